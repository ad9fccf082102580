"""What stands behind the fronts under test: an application that says what reached it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator

from lasthop.demo import Environ, StartResponse


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/breaks-off":
        return broken_off(start_response, environ["QUERY_STRING"])
    digest, length = hashlib.sha256(), 0
    while piece := environ["wsgi.input"].read(65536):
        digest.update(piece)
        length += len(piece)
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    body = json.dumps(seen | {"length": length, "digest": digest.hexdigest()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def broken_off(start_response: StartResponse, length: str) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", length)] if length else [])
    yield b"x" * 100_000
    raise RuntimeError("as it should")


def which(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = os.environ["WHICH"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
