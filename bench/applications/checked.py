"""An application that looks at what it was sent: the digest of a request's body must be the one in X-Digest. Every reply has 64 bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

GREETING = hashlib.sha256(b"hello").hexdigest().encode()
PIECE = 65536


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """GET: always the same; POST: the digest of the body, with 409 where it is not the one that was promised."""
    status, body = "200 OK", GREETING
    if environ["REQUEST_METHOD"] == "POST":
        digest = hashlib.sha256()
        while piece := environ["wsgi.input"].read(PIECE):
            digest.update(piece)
        body = digest.hexdigest().encode()
        if body.decode() != environ.get("HTTP_X_DIGEST"):
            status = "409 Conflict"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
