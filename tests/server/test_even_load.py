"""Even load: where new connections go when there are several workers, and what one that cannot come does to the others."""

import os
import select
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from tests.conftest import Serve

from .conftest import PATIENCE_SECONDS, children_of, until


def ask(connection: Connection, path: str = "/") -> int:
    """The pid of the worker that answers."""
    connection.request("GET", path)
    return int(connection.getresponse().read())


def keep_open(server: Serving, address: str, count: int) -> tuple[list[Connection], Counter[int]]:
    """Open kept-alive connections, one after the other; how many each worker has."""
    connections = [server.connect(address) for _ in range(count)]
    return connections, Counter(ask(each) for each in connections)


def is_even(had: Counter[int], workers: int, most: float = 1.25) -> bool:
    """Did as many take part, and none of them too much?"""
    return len(had) == workers and max(had.values()) <= most * had.total() / workers


def until_even(server: Serving, address: str, count: int, workers: int, most: float = 1.25) -> Counter[int]:
    """Open connections until they are spread evenly: on a machine that has no time, now and then others must step in."""
    seen: list[Counter[int]] = []

    def again() -> bool:
        connections, had = keep_open(server, address, count)
        close(connections)
        seen.append(had)
        return is_even(had, workers, most)

    until(again, lambda: str(seen))
    return seen[-1]


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
    until_even(server, getattr(server, link), 64, workers=4)


def test_connections_over_both_links_count_together(serve: Serve) -> None:
    server = serve("applications:application", "--workers", "4", "--threads", "2")
    wait_for(server, 4)

    def are_even() -> bool:
        over_unix, had = keep_open(server, server.unix, 10)
        over_tcp, had_too = keep_open(server, server.tcp, 54)
        close([*over_unix, *over_tcp])
        return is_even(had + had_too, 4)

    until(are_even)


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGHUP, 3), (signal.SIGTTIN, 4), (signal.SIGTTOU, 2)]
)
def test_workers_that_came_take_part_and_those_that_went_do_not_count(
    serve: Serve, number: signal.Signals, workers: int
) -> None:
    server = serve("applications:application", "--workers", "3", "--threads", "2", "--graceful-timeout", "2")
    wait_for(server, 3)
    before = children_of(server.pid)
    earlier, _ = keep_open(server, server.unix, 30)
    server.process.send_signal(number)
    if number == signal.SIGHUP:
        until(lambda: not before & children_of(server.pid))
    until(lambda: len(children_of(server.pid)) == workers)
    wait_for(server, workers)
    close(earlier)
    had = until_even(server, server.unix, 24 * workers, workers)
    assert children_of(server.pid) == set(had)


def test_workers_that_end_after_so_many_requests_lose_none(serve: Serve) -> None:
    server = serve("applications:application", "--workers", "3", "--threads", "2", "--max-requests", "50")
    had: Counter[int] = Counter()

    def successor_serves() -> bool:
        """They end, each when its successor is there. `ask` fails when a request is lost."""
        for _ in range(1000):
            connection = server.connect(server.unix)
            had[ask(connection)] += 1
            connection.close()
        return len(had) > 3

    until(successor_serves, lambda: str(had))


@pytest.mark.parametrize("threads", ["1", "16"])
def test_connections_of_one_request_are_spread_over_the_workers(serve: Serve, threads: str) -> None:
    server = serve("applications:application", "--workers", "4", "--threads", threads)
    wait_for(server, 4)

    def are_even() -> bool:
        had: Counter[int] = Counter()
        for _ in range(800):
            connection = server.connect(server.unix)
            had[ask(connection)] += 1
            connection.close()
        return is_even(had, 4, 1.15)

    until(are_even)


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
    assert had[busy] <= 2, had  # in need, it steps in


def test_one_that_was_busy_for_long_need_not_make_up_for_it(serve: Serve, short_directory: Path) -> None:
    entered, gate = short_directory / "entered", short_directory / "gate"
    os.mkfifo(gate)
    server = serve(
        "occupied:application",
        *("--workers", "2", "--threads", "1"),
        env={"ENTERED": str(entered), "GATE": str(gate)},
    )
    wait_for(server, 2)
    held = server.connect(server.unix)
    held.request("GET", "/held")
    until(entered.exists)
    stuck = []
    for _ in range(400):
        connection = server.connect(server.unix)
        connection.request("GET", "/")
        if select.select([connection.sock], [], [], 1.0)[0]:
            connection.close()
        else:
            stuck.append(connection)  # the one that is free did not come, so the busy one stepped in
    gate.write_text("go on")
    busy = int(held.getresponse().read())
    close([held, *stuck])
    had: Counter[int] = Counter()
    for _ in range(400):
        connection = server.connect(server.unix)
        had[ask(connection)] += 1
        connection.close()
    assert had[busy] <= 300, had  # what is its part, and what it may be behind


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
    more, then = keep_open(server, server.unix, 20)
    close([*connections, *more])
    assert 0 == then[dead]
    # The other one may be woken for some before it has left the accepting to the new one.
    assert sum(count for pid, count in then.items() if pid not in had) > then[other], then


@dataclass
class Asking:
    """A client that keeps its connection until it is told that it ends, and remembers whatever else went wrong."""

    server: Serving
    address: str
    told: int = 0
    """Replies that ended the connection."""
    served: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = self.server.connect(self.address)
        self.ask(0)

    def ask(self, number: int) -> None:
        """A GET or a POST, in turn. A connection that is not there any more, though nobody said so, is a failure."""
        body = f"{number} " * 300
        if self.connection.sock is None:
            self.connection.connect()
        if number % 2:
            self.connection.request("POST", "/echo", body)
        else:
            self.connection.request("GET", "/")
        reply = self.connection.getresponse()
        text = reply.read().decode()
        if reply.status != 200 or (number % 2 and text != body):
            self.wrong.append(f"{number}: {reply.status} {text[:40]}")
        if not number % 2:
            self.served[int(text)] += 1
        self.told += reply.will_close

    def ask_until(self, ends: threading.Event) -> None:
        number = 0
        while not ends.is_set():
            number += 1
            try:
                self.ask(number)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test tells
                self.wrong.append(f"{number}: {error!r}")
                return


@pytest.mark.parametrize("threads", ["1", "16"])
@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_no_request_is_lost_when_busy_connections_move_to_another_worker(
    serve: Serve, link: str, threads: str
) -> None:
    server = serve("applications:application", "--workers", "2", "--threads", threads)
    wait_for(server, 2)
    address = getattr(server, link)
    clients = [Asking(server, address) for _ in range(24)]
    first = next(iter(clients[0].served))
    # All of the work comes on a few connections of one worker; the other's many do nothing.
    mine = [client for client in clients if first in client.served]
    idle = [client for client in clients if client not in mine]
    assert len(mine) > 4
    assert len(idle) > 4
    close([client.connection for client in mine[5:]])
    quiet, *busy = mine[:5]
    for client in busy:
        client.served.clear()
    ends = threading.Event()
    asking = [threading.Thread(target=client.ask_until, args=(ends,)) for client in busy]
    for thread in asking:
        thread.start()
    try:
        give_up = time.monotonic() + 3 * PATIENCE_SECONDS
        while time.monotonic() < give_up and not any(client.wrong for client in busy):
            before = sum_of(busy)
            time.sleep(0.2)
            had = sum_of(busy) - before
            if sum(client.told for client in busy) >= 6 and is_even(had, 2, most=1.6):
                break
    finally:
        ends.set()
        for thread in asking:
            thread.join()
    assert [] == [text for client in busy for text in client.wrong]
    assert sum(client.told for client in busy) >= 6
    assert is_even(had, 2, most=1.6), had
    # Those that asked for nothing were closed by nobody.
    for client in (quiet, *idle):
        assert client.connection.sock is not None
        client.ask(0)  # on the same connection; the reply to this may end it
        assert [] == client.wrong
    close([client.connection for client in clients])


def sum_of(clients: list[Asking]) -> Counter[int]:
    """Which worker served how many of their GETs."""
    return sum((client.served.copy() for client in clients), Counter())
