"""What stands behind the fronts under test: an application that says what reached it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable

from lasthop.demo import Environ, StartResponse


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    digest, length = hashlib.sha256(), 0
    while piece := environ["wsgi.input"].read(65536):
        digest.update(piece)
        length += len(piece)
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    body = json.dumps(seen | {"length": length, "digest": digest.hexdigest()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def which(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = os.environ["WHICH"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
