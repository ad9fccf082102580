"""Applications without a framework: the reply's bytes are made once, so that what is measured is the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

HELLO = b"Hello, World!"
KIB = 1024
SLEEP_SECONDS = 0.001
COMPUTE_SECONDS = 0.020


def _constant(body: bytes) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    length = str(len(body))

    def application(_environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", length)])
        return [body]

    return application


hello = _constant(HELLO)
body_64k = _constant(b"x" * (64 * KIB))
body_1m = _constant(b"x" * (KIB * KIB))


def sleep(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Wait 1 ms without the GIL, as for a database's answer."""
    time.sleep(SLEEP_SECONDS)
    return hello(environ, start_response)


def compute(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """On ``/compute``: use 20 ms of CPU time in Python code. On any other path: reply at once."""
    if environ["PATH_INFO"] == "/compute":
        end = time.thread_time() + COMPUTE_SECONDS
        while time.thread_time() < end:
            sum(range(500))
    return hello(environ, start_response)
