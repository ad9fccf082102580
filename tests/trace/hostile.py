"""An application for traces that goes wrong in several ways, and one whose reply tries to take the terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

StartResponse = Callable[..., object]


def evil(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 \x1b[31m<script>", [("X-Evil", "<TCP:[127.0.0.1:1->127.0.0.1:2]>")])
    return [b"\x1b]0;owned\x07<script>alert(1)</script>"]


def refuses(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("500 Internal Server Error", [("Content-Length", "0")])
    return []


def closes(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Connection", "close"), ("Content-Length", "2")])
    return [b"ok"]


def chunks(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return iter([b"one", b"two"])


def waits(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    threading.Event().wait(30)
    return refuses(environ, start_response)
