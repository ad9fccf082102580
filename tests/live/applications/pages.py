"""A plain WSGI application: what fronts forward, what hostile peers ask for, and what tells about itself."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qs

from lasthop.demo import Environ, StartResponse

MIB = 1 << 20
BLOCK = hashlib.sha256(b"a block").digest() * (MIB // 32)

closed = {"streams": 0}
lock = threading.Lock()


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    name = environ["PATH_INFO"].strip("/").partition("/")[0]
    query = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    match name:
        case "hello":
            return text(start_response, "200 OK", b"hello")
        case "pid":
            return text(start_response, "200 OK", b"%d" % os.getpid())
        case "echo":
            return echo(environ, start_response)
        case "asked":
            seen = {key: value for key, value in environ.items() if isinstance(value, str)}
            return text(start_response, "200 OK", json.dumps(seen).encode())
        case "large":
            return large(int(query["mib"]), query.get("how", "list"), environ, start_response)
        case "slow":
            time.sleep(int(query["ms"]) / 1000)
            return text(start_response, "200 OK", b"slept")
        case "nothing":
            start_response("204 No Content", [])
            return []
        case "unchanged":
            start_response("304 Not Modified", [("ETag", '"1"')])
            return []
        case "fails":
            raise RuntimeError("a secret of the application")
        case "marked":
            start_response("200 OK", [("X-Long", "v" * 3000), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
            return [b"marked"]
        case "closed":
            return text(start_response, "200 OK", b"%d" % closed["streams"])
        case "ignores":  # its request's body
            return text(start_response, "200 OK", b"not read")
    return text(start_response, "404 Not Found", b"nothing here")


def text(start_response: StartResponse, status: str, body: bytes) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    length, digest = 0, hashlib.sha256()
    while piece := environ["wsgi.input"].read(65536):
        length += len(piece)
        digest.update(piece)
    return text(start_response, "200 OK", f"{length} {digest.hexdigest()} {os.getpid()}".encode())


def large(mib: int, how: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """So many MiB: as a list of one object many times over, from a generator whose end is unknown, or as a file of zeros."""
    if how == "stream":
        start_response("200 OK", [])
        return Stream(mib)
    if how == "file":
        zeros = tempfile.TemporaryFile()  # noqa: SIM115 - the wrapper closes it
        zeros.truncate(mib * MIB)
        start_response("200 OK", [])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](zeros, 65536)
        return wrapped
    start_response("200 OK", [("Content-Length", str(mib * MIB))])
    return [BLOCK] * mib


class Stream:
    """Its close() is counted."""

    def __init__(self, mib: int) -> None:
        self._blocks = iter([BLOCK] * mib)

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        with lock:
            closed["streams"] += 1
