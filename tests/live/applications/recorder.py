"""Records each request that it sees. /seen tells all of it; any other path is answered with the number that the request got.

A request is recorded when its body has been read to the end: one whose body breaks off was no request.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterable

from lasthop.demo import Environ, StartResponse

seen: list[dict[str, object]] = []
lock = threading.Lock()
numbers = itertools.count(1)


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/seen":
        with lock:
            body = json.dumps(seen).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    content = environ["wsgi.input"].read()
    number = next(numbers)
    with lock:
        seen.append(
            {
                "number": number,
                "method": environ["REQUEST_METHOD"],
                "uri": environ["RAW_URI"],
                "body": content.decode("latin-1"),
            }
        )
    body = b"[seen as %d by %s]" % (number, environ["RAW_URI"].encode("latin-1"))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
