"""Even load: where new connections go when there are several workers, and what one that cannot come does to the others."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from tests.conftest import Serve

from .conftest import until


def ask(connection: Connection, path: str = "/") -> int:
    """The pid of the worker that answers."""
    connection.request("GET", path)
    return int(connection.getresponse().read())


def keep_open(server: Serving, address: str, count: int) -> tuple[list[Connection], Counter[int]]:
    """Open kept-alive connections, one after the other; how many each worker has."""
    connections = [server.connect(address) for _ in range(count)]
    return connections, Counter(ask(each) for each in connections)


def wait_for(server: Serving, workers: int) -> None:
    """Until all of them serve: a worker is ready before all of its threads run."""
    seen: set[int] = set()
    while len(seen) < workers:
        connection = server.connect()
        seen.add(ask(connection))
        connection.close()


def states(pid: int) -> set[str]:
    """What all threads of a process do, as /proc has it."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {(each / "stat").read_text().rpartition(")")[2].split()[0] for each in tasks}


def close(connections: list[Connection]) -> None:
    for each in connections:
        each.close()


@pytest.mark.parametrize("threads", ["1", "16"])
@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_kept_connections_are_spread_over_the_workers(serve: Serve, link: str, threads: str) -> None:
    server = serve("applications:application", "--workers", "4", "--threads", threads)
    wait_for(server, 4)
    connections, had = keep_open(server, getattr(server, link), 64)
    close(connections)
    assert (4, True) == (len(had), max(had.values()) <= 1.25 * 16), had


@pytest.mark.parametrize("threads", ["1", "16"])
def test_connections_of_one_request_are_spread_over_the_workers(serve: Serve, threads: str) -> None:
    server = serve("applications:application", "--workers", "4", "--threads", threads)
    wait_for(server, 4)
    had: Counter[int] = Counter()
    for _ in range(800):
        connection = server.connect(server.unix)
        had[ask(connection)] += 1
        connection.close()
    assert (4, True) == (len(had), max(had.values()) <= 1.15 * 200), had


@pytest.mark.parametrize("threads", ["1", "16"])
def test_a_worker_that_is_stopped_holds_nobody_back(serve: Serve, threads: str) -> None:
    server = serve("applications:application", "--workers", "2", "--threads", threads)
    wait_for(server, 2)
    connections, had = keep_open(server, server.unix, 60)
    stopped, other = had
    # It has nothing to do and said that it waits; now it looks like the better one for ever.
    close([each for each in connections if ask(each) == stopped])
    os.kill(stopped, signal.SIGSTOP)
    try:
        until(lambda: states(stopped) == {"T"})  # a thread on the other processor may still be accepting
        more, then = keep_open(server, server.unix, 30)
        close(more)
    finally:
        os.kill(stopped, signal.SIGCONT)
    close(connections)
    assert {other: 30} == then


def test_a_worker_that_is_busy_gets_no_more_while_another_is_idle(
    serve: Serve, short_directory: Path
) -> None:
    entered = short_directory / "entered"
    server = serve("occupied:application", "--workers", "2", "--threads", "1", env={"ENTERED": str(entered)})
    wait_for(server, 2)
    sleeping = server.connect(server.unix)
    sleeping.request("GET", "/sleep")
    until(entered.exists)
    connections, had = keep_open(server, server.unix, 20)
    busy = int(sleeping.getresponse().read())
    close([*connections, sleeping])
    assert 0 == had[busy]


def test_the_successor_of_one_that_died_gets_what_comes_first(serve: Serve) -> None:
    server = serve("applications:application", "--workers", "2", "--threads", "2")
    wait_for(server, 2)
    connections, had = keep_open(server, server.unix, 20)
    dead, other = had
    os.kill(dead, signal.SIGKILL)
    seen: set[int] = set()
    while not seen - {dead, other}:  # until the successor serves
        connection = server.connect(server.unix)
        seen.add(ask(connection))
        connection.close()
    more, then = keep_open(server, server.unix, 8)
    close([*connections, *more])
    assert (0, True) == (then[dead], sum(count for pid, count in then.items() if pid not in had) >= 6), then
