"""Applications that compute for some tenths of a millisecond: one, the same again, and one that does 5 % more work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

LOOPS = 10_000
BODY = b"done"


def _worker(loops: int) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        total = 0
        for number in range(loops):
            total += number
        start_response("200 OK", [("Content-Length", str(len(BODY)))])
        return [BODY]

    return application


less = _worker(LOOPS)
again = _worker(LOOPS)
more = _worker(LOOPS * 105 // 100)
