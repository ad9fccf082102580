"""Many connections at the same moment, while every thread of every worker is in the application."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lasthop.engine import burst as compiled
from tests.conftest import Serve

from .conftest import until

burst: Callable[..., dict[str, Any]] = compiled.burst

CONNECTIONS = 5_000
LONGEST_QUEUE = int(Path("/proc/sys/net/core/somaxconn").read_text())
DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def in_application(log: Path) -> int:
    return log.read_text().count("in") if log.exists() else 0


@pytest.mark.skipif(LONGEST_QUEUE < 4096, reason="net.core.somaxconn is below 4096")
@pytest.mark.skipif(DESCRIPTORS < 2 * CONNECTIONS, reason="too few descriptors are allowed here")
def test_a_burst_that_meets_only_busy_threads_is_accepted_whole(serve: Serve, short_directory: Path) -> None:
    entered = short_directory / "entered"
    server = serve("occupied:application", env={"ENTERED": str(entered)})
    path = server.unix.removeprefix("unix:")
    busy = [server.connect(server.unix) for _ in range(16)]
    for each in busy:
        each.request("GET", "/sleep")
    until(lambda: in_application(entered) == 16)
    had = burst(path, CONNECTIONS, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", seconds=60.0)
    for each in busy:
        assert 200 == each.getresponse().status
        each.close()
    assert (0, {}, {200: CONNECTIONS}) == (had["refused"], had["other"], had["statuses"])
    quickest, _ = had["reply"][0]
    assert quickest > had["slowest_connect_ns"]  # they really were all busy until the last one was accepted
