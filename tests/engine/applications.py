"""Applications that a `lasthop serve` in the tests of the engine serves."""

from collections.abc import Callable, Iterable
from typing import Any


def working(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """A few dozen microseconds of work: more than a load generator has with a request, so that the server is the limit."""
    sum(range(3000))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
