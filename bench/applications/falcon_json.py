# mypy: disable-error-code="import-untyped,import-not-found,misc,no-untyped-call,untyped-decorator"
"""Falcon with a small JSON reply through a route with a converter."""

from __future__ import annotations

import falcon

from bench.applications import THING


class Thing:
    """One thing by its number."""

    def on_get(self, _request: falcon.Request, response: falcon.Response, number: int) -> None:
        """Reply with the thing."""
        response.media = {"id": number, **THING}


app = falcon.App()
app.add_route("/things/{number:int}", Thing())
