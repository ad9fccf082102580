"""The bundled example: `lasthop serve lasthop.demo:app`, and `python -m lasthop.demo` shows it on both links.

A plain WSGI application of five pages, without a framework, so that what a request costs is the server's cost.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]

PIECE = 65536
"""How much of a body is in memory at once."""

LONGEST_WAIT_MS = 10_000
LINES = 5


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request."""
    page = PAGES.get(environ["PATH_INFO"])
    if page is None:
        return _text(start_response, "404 Not Found", "Here are only " + ", ".join(PAGES) + ".\n")
    return page(environ, start_response)


def _greeting(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Say by which link the request came."""
    # A peer on a UNIX socket has no address; over TCP it has one, with a port.
    port = environ.get("REMOTE_PORT", "")
    link = f"TCP from {environ['REMOTE_ADDR']}" if port else "a UNIX socket"
    return _text(start_response, "200 OK", f"Hello! This request came over {link}.\n")


def _hello(_: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Say the same on every link: what `make compare` asks for."""
    return _text(start_response, "200 OK", "Hello, world!\n")


def _echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read the body in pieces; its length and digest."""
    length, digest = 0, hashlib.sha256()
    while piece := environ["wsgi.input"].read(PIECE):
        length += len(piece)
        digest.update(piece)
    return _text(start_response, "200 OK", f"{length} bytes, sha256 {digest.hexdigest()}\n")


def _slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Wait for as many milliseconds as `ms` says, as an application waits for its database."""
    given = parse_qs(environ.get("QUERY_STRING", "")).get("ms", ["100"])[0]
    if not given.isdecimal() or int(given) > LONGEST_WAIT_MS:
        return _text(start_response, "400 Bad Request", f"ms is a whole number up to {LONGEST_WAIT_MS}.\n")
    time.sleep(int(given) / 1000)
    return _text(start_response, "200 OK", f"waited {given} ms\n")


def _stream(_: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """A reply whose length is not known when it begins."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return (f"line {number} of {LINES}\n".encode() for number in range(1, LINES + 1))


def _text(start_response: StartResponse, status: str, text: str) -> list[bytes]:
    body = text.encode()
    start_response(
        status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    )
    return [body]


PAGES: dict[str, Callable[[Environ, StartResponse], Iterable[bytes]]] = {
    "/": _greeting,
    "/hello": _hello,
    "/echo": _echo,
    "/slow": _slow,
    "/stream": _stream,
}
