"""The load beside h2load and wrk: on a server that is the limit, all three must find the same number of requests a second; and it costs less than wrk.

The server does a little work for each request, so that it costs more than any of the three. They take turns in short rounds; the best and the median of each
are compared. A machine with other work disturbs single rounds, so there are more when the first do not agree; a load that counts wrongly never agrees.
"""

import os
import re
import resource
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lasthop.demo.serving import Serving
from tests.conftest import Serve
from tests.engine.answering import Address, Floor, measure

CONNECTIONS = 32
ROUNDS = 5
TRIES = 4
WITHIN = 0.10

pytestmark = pytest.mark.skipif(
    "SANITIZED" in os.environ, reason="a sanitized load is slower than the server"
)


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


@contextmanager
def on_a_core(number: int) -> Iterator[None]:
    """What runs or is started meanwhile has this processor: the server one, those that ask it another."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) > 1:
        os.sched_setaffinity(0, {allowed[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def ours(address: Address) -> float:
    found = measure(address, seconds=0.5, warmup=0.05, connections=CONNECTIONS)
    assert ({200: found["requests"]}, {}) == (found["statuses"], found["errors"])
    return float(found["requests"] / found["seconds"])


def said(pattern: str, *command: str) -> float:
    """The number that a program says, which must find no error."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Socket errors" not in done.stdout, done.stdout
    assert "Non-2xx" not in done.stdout, done.stdout
    found = re.search(pattern, done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


def h2load(address: Address) -> float:
    asked = (
        [f"--base-uri=unix:{address}", "http://localhost/"]
        if isinstance(address, str)
        else ["http://{}:{}/".format(*address)]
    )
    # For a time and not for a number of requests: else its connections end one after the other, and the last ones are alone.
    times = ["--duration=500ms", "--warm-up-time=50ms"]
    command = [program("h2load", "nghttp2-client"), "--h1", "-t1", f"-c{CONNECTIONS}", *times, *asked]
    return said(r"finished in \S+, ([\d.]+) req/s", *command)


def wrk(address: Address) -> float:
    command = [program("wrk", "wrk"), "-t1", f"-c{CONNECTIONS}", "-d1", "http://{}:{}/".format(*address)]
    return said(r"Requests/sec:\s+([\d.]+)", *command)


def agrees(first: list[float], second: list[float]) -> bool:
    """Is their best, their median, or the median of rounds that followed each other within a tenth?"""
    ratios = [
        max(first) / max(second),
        statistics.median(first) / statistics.median(second),
        statistics.median(a / b for a, b in zip(first, second, strict=True)),
    ]
    return any(abs(ratio - 1) <= WITHIN for ratio in ratios)


@pytest.fixture
def server(serve: Serve) -> Serving:
    with on_a_core(0):
        return serve("applications:working", "--threads", "1")


@pytest.mark.parametrize(("link", "other"), [("unix", h2load), ("tcp", h2load), ("tcp", wrk)])
def test_it_finds_what_others_find(server: Serving, link: str, other: Callable[[Address], float]) -> None:
    port = int(server.tcp.rpartition(":")[2])
    address: Address = server.unix.removeprefix("unix:") if link == "unix" else ("127.0.0.1", port)
    mine: list[float] = []
    others: list[float] = []
    with on_a_core(1):
        for _ in range(TRIES):
            for number in range(ROUNDS):
                if number % 2:
                    mine.append(ours(address))
                    others.append(other(address))
                else:
                    others.append(other(address))
                    mine.append(ours(address))
            if agrees(mine, others):
                return
    pytest.fail(f"requests/s: ours {mine}, the other's {others}")


def wrk_cpu_us(address: Address) -> float:
    """CPU time of wrk by each request, its start included: tens of thousands of requests make it vanish."""
    command = [program("wrk", "wrk"), "-t1", f"-c{CONNECTIONS}", "-d1", "http://{}:{}/".format(*address)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    requests = said(r"(\d+) requests in", *command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e6 / requests


def our_cpu_us(address: Address) -> float:
    found = measure(address, seconds=0.5, warmup=0.05, connections=CONNECTIONS)
    return float(found["busy_ns"] / found["requests"] / 1000)


def test_a_request_costs_no_more_than_with_wrk(floor: Floor) -> None:
    address = floor.addresses["tcp"]
    for process in floor.pids.values():
        os.sched_setaffinity(process, {min(os.sched_getaffinity(0))})
    mine: list[float] = []
    others: list[float] = []
    with on_a_core(1):
        for _ in range(TRIES):
            for _ in range(3):
                mine.append(our_cpu_us(address))
                others.append(wrk_cpu_us(address))
            if statistics.median(mine) <= statistics.median(others):
                return
    pytest.fail(f"CPU microseconds a request: ours {mine}, wrk's {others}")
