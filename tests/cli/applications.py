"""What the tests of the command line serve."""

from __future__ import annotations

from lasthop.demo import Environ, StartResponse


def hello(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def broken_factory() -> None:
    raise RuntimeError("the database is not there")


async def asynchronous(scope: object, receive: object, send: object) -> None:
    raise ValueError("it is not to be asked")
