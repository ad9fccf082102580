"""Applications of the comparisons under test."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Always the same."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def create() -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """A factory."""
    return hello


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """What it was sent: method, a header, the body."""
    body = environ["wsgi.input"].read()
    text = (
        f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ.get('HTTP_X_ASKED')} {len(body)}".encode()
    )
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]


def failing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """A 500."""
    start_response("500 Internal Server Error", [("Content-Length", "6")])
    return [b"sorry\n"]


def hanging(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Never."""
    time.sleep(3600)
    return []


def by_link(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Another body on each link."""
    text = b"over tcp" if environ["REMOTE_ADDR"] else b"over a unix socket"
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]


_numbers = itertools.count()


def changing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Another body each time."""
    text = f"{next(_numbers)} {time.time_ns()}".encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]


def dying(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Two replies, and the end of the process that serves."""
    if next(_numbers) >= 2:
        os._exit(1)
    return hello(environ, start_response)


_served = itertools.count()


def stalling(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """As the others at first, and then never."""
    if next(_served) > 200:
        time.sleep(3600)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def endless(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """A body without an end."""
    start_response("200 OK", [])
    while True:
        yield bytes(65536)


def telling(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """An error that repeats what it was asked with, as debugging pages do."""
    told = "".join(
        str(environ.get(key)) for key in ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY")
    ).encode()
    start_response("500 Oops", [("Content-Length", str(len(told)))])
    return [told]


def coloured(environ: Environ, start_response: StartResponse) -> list[bytes]:
    raise RuntimeError("\x1b[31mred")
