# mypy: disable-error-code="import-untyped,import-not-found,misc,no-untyped-call,untyped-decorator"
"""Flask with a small JSON reply through a route with a converter."""

from __future__ import annotations

import flask

from bench.applications import THING

app = flask.Flask(__name__)


@app.get("/things/<int:number>")
def thing(number: int) -> flask.Response:
    """One thing by its number."""
    return flask.jsonify(id=number, **THING)
