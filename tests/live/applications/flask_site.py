"""A small Flask application: a page, JSON, a form, an upload, a stream that needs its request, a file, cookies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

from flask import (
    Flask,
    jsonify,
    make_response,
    render_template_string,
    request,
    send_file,
    stream_with_context,
)

application: Any = Flask(__name__)

PAGE = "<h1>{{ title }}</h1><ul>{% for each in guests %}<li>{{ each }}</li>{% endfor %}</ul>"


def page() -> Any:
    return render_template_string(PAGE, title="Guests & friends", guests=["Ada", "<Grace>"])


def json() -> Any:
    return jsonify(got=request.get_json(), method=request.method)


def form() -> Any:
    return f"welcome {request.form['guest']}"


def upload() -> Any:
    given = request.files["document"]
    content = given.read()
    return jsonify(name=given.filename, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def stream() -> Any:
    def lines() -> Iterator[str]:
        for number in range(int(request.args["lines"])):  # needs the request while it is sent
            yield f"line {number}\n"

    return application.response_class(stream_with_context(lines()), mimetype="text/plain")


def file() -> Any:
    return send_file(os.environ["LIVE_FILE"])


def cookies() -> Any:
    reply = make_response("baked")
    for name in ("one", "two", "three"):
        reply.set_cookie(name, f"value of {name}", httponly=True)
    return reply


def client() -> Any:
    return jsonify(
        address=request.remote_addr,
        secure=request.is_secure,
        host=request.host,
        url=request.url,
        peer=request.environ.get("lasthop.peer"),
    )


application.add_url_rule("/client", view_func=client)
application.add_url_rule("/page", view_func=page)
application.add_url_rule("/json", view_func=json, methods=["POST"])
application.add_url_rule("/form", view_func=form, methods=["POST"])
application.add_url_rule("/upload", view_func=upload, methods=["POST"])
application.add_url_rule("/stream", view_func=stream)
application.add_url_rule("/file", view_func=file)
application.add_url_rule("/cookies", view_func=cookies)
