"""nginx before several workers: each has its part of the requests, whether connections are kept or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lasthop.engine import load as compiled
from tests.conftest import Serve

from .conftest import Before
from .fronts import missing
from .watching import counters

Load: Callable[..., Any] = compiled.Load

CONNECTIONS = 64
SECONDS = 6.0


@pytest.mark.skipif(missing("nginx") is not None, reason="nginx is not installed")
@pytest.mark.parametrize(("kind", "most"), [("nginx-even", 1.25), ("nginx", 1.15)])
def test_every_worker_has_its_part(serve: Serve, before: Before, kind: str, most: float) -> None:
    server = serve("applications.pages:application", "--workers", "4")
    front = before(kind, server.unix)
    load = Load(
        ("127.0.0.1", front.port), [b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"], connections=CONNECTIONS
    )
    load.run(SECONDS)  # one connection moves at a time
    earlier = [counters(server.pid, slot)["requests"] for slot in range(4)]
    had = load.run(SECONDS)
    served = [counters(server.pid, slot)["requests"] - earlier[slot] for slot in range(4)]
    assert ({200: had["requests"]}, 0) == (had["statuses"], sum(had["errors"].values()))
    assert max(served) <= most * sum(served) / 4, served
