"""What `lasthop trace` serves when no application is named: a WSGI application that sends back the body it was sent, or a line of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

LINE = b"The request was here.\n"


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Read all, then reply with as much."""
    body = environ["wsgi.input"].read() or LINE
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
