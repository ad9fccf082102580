"""Uses all that PEP 3333 offers an application, between two validators: wsgiref.validate looks at what goes in and what comes out."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from wsgiref.validate import WSGIWarning, validator

from lasthop.demo import Environ, StartResponse

warnings.simplefilter("error", WSGIWarning)

TEXT = [("Content-Type", "text/plain")]


def inner(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].flush()
    page = PAGES.get(environ["PATH_INFO"])
    if page is None:
        start_response("200 OK", TEXT)
        return [b"list"]
    return page(environ, start_response)


def a_list(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "7")])
    return [b"one", b" ", b"two"]


def a_generator(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    for number in range(3):
        yield b"%d " % number


def empty(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [*TEXT, ("X-Empty", "")])
    return []


def written(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", TEXT)
    write(b"written")
    write(b" and ")
    return [b"returned"]


def changed_mind(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    try:
        raise RuntimeError("the second thought")
    except RuntimeError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    return [b"sorry"]


def nothing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return []


def unchanged(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("304 Not Modified", [("ETag", '"1"')])
    return []


def a_file(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the wrapper closes it
    file.write(b"from a file")
    file.seek(0)
    start_response("200 OK", TEXT)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 4)
    return wrapped


def told(start_response: StartResponse, what: object) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [str(what).encode()]


def read(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return told(start_response, len(environ["wsgi.input"].read(1_000_000)))


def read_in_pieces(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    length = 0
    while piece := environ["wsgi.input"].read(1000):
        length += len(piece)
    return told(start_response, length)


def readline(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return told(start_response, [environ["wsgi.input"].readline().decode() for _ in range(4)])


def readlines(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return told(start_response, [line.decode() for line in environ["wsgi.input"].readlines()])


def iterate(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return told(start_response, [line.decode() for line in environ["wsgi.input"]])


PAGES: dict[str, Callable[[Environ, StartResponse], Iterable[bytes]]] = {
    "/list": a_list,
    "/generator": a_generator,
    "/empty": empty,
    "/written": written,
    "/changed-mind": changed_mind,
    "/nothing": nothing,
    "/unchanged": unchanged,
    "/file": a_file,
    "/read": read,
    "/read-in-pieces": read_in_pieces,
    "/readline": readline,
    "/readlines": readlines,
    "/iterate": iterate,
}

application = validator(inner)
