"""What a server tells of itself: its queues, its workers, its requests, while all kinds of things happen to it."""

import fcntl
import os
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from .asking_status import ask, inodes_of, listening_inode, name_of, status
from .conftest import Server, Start, children_of, hold_still, until
from .test_ready import next_message, notified

__all__ = ["notified"]

WAITING = """
import os
from applications import application as at_once

def wait(name):
    with open(os.environ[name]) as gate:
        gate.read()

if "IMPORT" in os.environ:
    wait("IMPORT")

def application(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        wait("REQUEST")
    return at_once(environ, start_response)
"""


class Waiting:
    """An application whose import, and whose requests to ``/wait``, wait until a test lets them go on."""

    def __init__(self, start: Start, directory: Path, *waits: str, **settings: Any) -> None:
        (directory / "waiting.py").write_text(WAITING)
        self._gates = {name: directory / name for name in waits}
        for gate in self._gates.values():
            os.mkfifo(gate)
        self.server: Server = start(
            "waiting:application",
            pythonpath=[str(directory), str(Path(__file__).parent)],
            environment={name: str(gate) for name, gate in self._gates.items()},
            **settings,
        )

    def ask(self) -> threading.Thread:
        """A request that is in the application, and waits there."""
        thread = threading.Thread(target=self.server.get, args=("/wait",))
        thread.start()
        until(lambda: status(self.server)["totals"]["threads_busy"] == 1)
        return thread

    def go_on(self, name: str) -> None:
        self._gates[name].write_text("")  # a FIFO: as soon as it is read


def fill(stack: ExitStack, path: str, connections: int) -> None:
    """Connect so often without saying a word."""
    for _ in range(connections):
        made = stack.enter_context(socket.socket(socket.AF_UNIX))
        made.setblocking(False)
        made.connect(path)


def metrics(server: Server) -> dict[str, dict[str, float]]:
    """The samples by name, and of each the values by the label that tells them apart."""
    code, kind, body = ask(name_of(server.pid), "/metrics")
    assert (200, "text/plain; version=0.0.4; charset=utf-8") == (code, kind)
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(body):
        assert family.documentation
        assert family.type in ("counter", "gauge")
        assert (family.type == "counter") == all(each.name.endswith("_total") for each in family.samples)
        for each in family.samples:
            found.setdefault(each.name, {})[next(iter(each.labels.values()), "")] = each.value
    return found


def test_a_queue_that_fills_is_seen_everywhere_and_that_it_is_over_too(
    start: Start, tmp_path: Path, notified: socket.socket
) -> None:
    path = f"{tmp_path}/app.sock"
    server = start(
        bind=[f"unix:{path}"], backlog=5, timeout=0, environment={"NOTIFY_SOCKET": notified.getsockname()}
    )
    (worker,) = server.workers()
    assert {"waiting": 0, "holds": 6, "backlog": 5} == {
        name: status(server)["listeners"][0]["queue"][name] for name in ("waiting", "holds", "backlog")
    }
    with ExitStack() as stack:
        hold_still(worker)
        fill(stack, path, 2)
        assert 2 == status(server)["listeners"][0]["queue"]["waiting"]
        fill(stack, path, 4)
        with pytest.raises(BlockingIOError):
            fill(stack, path, 1)
        queue = status(server)["listeners"][0]["queue"]
        assert (6, 6, 6, 1) == tuple(queue[name] for name in ("waiting", "holds", "deepest", "times_full"))
        assert queue["deepest_at"]
        found = metrics(server)
        assert {f"unix:{path}": 6} == found["lasthop_queue_depth"] == found["lasthop_queue_limit"]
        server.wait_log(f"unix:{path}: 6 connections wait in the queue, which holds 6 and is full; workers")
        server.wait_log("a full queue refuses at once, and the front answers 502")
        until(lambda: "queue 6 of 6" in next_message(notified, "STATUS")["STATUS"])
        until(lambda: status(server)["listeners"][0]["queue"]["seconds_full"] > 0)
    os.kill(worker, signal.SIGCONT)
    server.wait_log("the queue is short again (the deepest seen was 6 of 6")
    until(lambda: next_message(notified, "STATUS")["STATUS"] == "1 worker, 4 threads")
    queue = status(server)["listeners"][0]["queue"]
    assert (0, 6, 1) == tuple(queue[name] for name in ("waiting", "deepest", "times_full"))
    assert 1 == server.log().count("connections wait in the queue, which holds 6 and is full")


def test_a_tcp_queue_is_seen_too(start: Start) -> None:
    server = start(backlog=3, timeout=0)
    (worker,) = server.workers()
    host, port = server.addresses[0].rsplit(":", 1)
    hold_still(worker)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(socket.create_connection((host, int(port)), 20))
        until(lambda: status(server)["listeners"][0]["queue"]["waiting"] == 2)
        assert 4 == status(server)["listeners"][0]["queue"]["holds"]
        server.wait_log("2 connections wait in the queue, which holds 4; workers accept too slowly")
        assert "over TCP a full queue" in server.log()


def test_busy_threads_are_named_as_the_reason(start: Start, tmp_path: Path) -> None:
    path = f"{tmp_path}/app.sock"
    waiting = Waiting(
        start, tmp_path, "REQUEST", bind=[f"unix:{path}"], backlog=3, threads=1, max_connections=1, timeout=0
    )
    thread = waiting.ask()
    with ExitStack() as stack:
        fill(stack, path, 3)
        waiting.server.wait_log("all 1 threads are busy")
        waiting.server.wait_log("hint: more --threads when requests wait for others")
    waiting.go_on("REQUEST")
    thread.join()


def test_requests_are_counted_over_reloads_and_deaths(start: Start) -> None:
    server = start(workers=2)
    for _ in range(7):
        server.get()
    assert (7, 0, 0) == _counted(server)
    server.send(signal.SIGHUP)
    server.wait_log("reloaded: 2 workers")
    for _ in range(3):
        server.get()
    assert 10 == status(server)["totals"]["requests"]
    until(lambda: len(server.workers()) == 2)
    assert (10, 1, 0) == _counted(server)
    assert 10 == metrics(server)["lasthop_requests_total"][""]
    killed = server.workers().pop()
    os.kill(killed, signal.SIGKILL)
    until(lambda: status(server)["totals"]["workers_died"] == 1)
    until(lambda: status(server)["totals"]["workers_serving"] == 2)
    assert killed not in {each["pid"] for each in status(server)["workers"]}
    server.get()
    assert (11, 1, 1) == _counted(server)


def _counted(server: Server) -> tuple[int, int, int]:
    found = status(server)
    return found["totals"]["requests"], found["reloads"], found["totals"]["workers_died"]


def test_the_document_says_who_serves_what_and_how(start: Start, tmp_path: Path) -> None:
    server = start(
        "applications:create(greeting='a secret')",
        bind=[f"unix:{tmp_path}/app.sock?mode=0600", "127.0.0.1:0"],
        workers=2,
        threads=3,
        environment={"DATABASE_URL": "a secret"},
    )
    assert "a secret" == server.get()
    found = status(server)
    assert ("applications:create(…)", server.pid, "ready", True, 1, 0) == tuple(
        found[name] for name in ("target", "pid", "state", "ready", "generation", "reloads")
    )
    assert (2, 3) == (found["settings"]["workers"], found["settings"]["threads"])
    assert server.addresses == [each["address"] for each in found["listeners"]]
    assert ["0600", None] == [each["mode"] for each in found["listeners"]]
    assert server.workers() == {each["pid"] for each in found["workers"]}
    assert {"serving"} == {each["stage"] for each in found["workers"]}
    assert 1 == sum(each["requests"] for each in found["workers"])
    assert (6, 0, 0) == tuple(found["totals"][name] for name in ("threads", "threads_busy", "failed"))
    assert "secret" not in str(found)


def test_with_preload_and_before_any_request_everything_is_there(start: Start) -> None:
    server = start(preload=True, workers=2)
    assert [("serving", 0)] * 2 == [(each["stage"], each["requests"]) for each in status(server)["workers"]]
    assert 2 == len(metrics(server)["lasthop_worker_requests_total"])


def test_metrics_agree_with_the_status(start: Start) -> None:
    server = start(workers=2)
    sent = sum(len(server.get()) for _ in range(3))
    until(lambda: metrics(server)["lasthop_sent_bytes_total"][""] == sent)  # counted when it has left
    found, totals = metrics(server), status(server)["totals"]
    assert 3 == found["lasthop_requests_total"][""] == sum(found["lasthop_worker_requests_total"].values())
    assert totals["sent_bytes"] == found["lasthop_sent_bytes_total"][""]
    assert (1, 0, 2, 2) == tuple(
        found[f"lasthop_{name}"][""]
        for name in ("ready", "reloads_total", "workers_serving", "workers_wanted")
    )
    assert found["lasthop_start_time_seconds"][""] > 1.7e9


def test_ready_is_told_during_start_reload_and_stop(start: Start, tmp_path: Path) -> None:
    waiting = Waiting(start, tmp_path, "IMPORT", "REQUEST", wait=False)
    server = waiting.server
    address = name_of(server.pid)
    until(lambda: bool(children_of(server.pid)))
    assert (503, "starting\n") == ask(address, "/ready")[::2]
    waiting.go_on("IMPORT")
    server.wait_ready()
    assert (200, "ready\n") == ask(address, "/ready")[::2]
    server.send(signal.SIGHUP)
    until(lambda: ask(address, "/ready")[::2] == (200, "reloading\n"))
    waiting.go_on("IMPORT")
    until(lambda: ask(address, "/ready")[::2] == (200, "ready\n"))
    thread = waiting.ask()
    server.send(signal.SIGTERM)
    until(lambda: ask(address, "/ready")[::2] == (503, "stopping\n"))
    assert (0, "stopping") == (metrics(server)["lasthop_ready"][""], status(server)["state"])
    waiting.go_on("REQUEST")
    thread.join()
    assert 0 == server.wait()


def test_no_other_process_has_the_status_socket_open(start: Start) -> None:
    server = start(workers=2, preload=True)
    inode = listening_inode(name_of(server.pid).removeprefix("unix:"))
    assert inode in inodes_of(server.pid)
    assert not any(inode in inodes_of(each) for each in server.workers())


def test_the_status_socket_goes_to_the_server_that_takes_over(start: Start, tmp_path: Path) -> None:
    at = f"unix:{tmp_path}/status.sock"
    first = start(status_socket=at)
    second = start(bind=first.addresses, status_socket=at, replace=True)
    assert 0 == first.wait()
    second.wait_log("status at")
    assert second.pid == status(second, at)["pid"]
    assert "Traceback" not in first.log() + second.log()
    second.send(signal.SIGTERM)
    assert 0 == second.wait()
    assert [] == list(tmp_path.glob("*.sock"))


def test_a_second_term_does_not_leave_the_status_sockets_file(start: Start, tmp_path: Path) -> None:
    at = tmp_path / "status.sock"
    server = start(status_socket=f"unix:{at}")
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # whoever removes a socket's file waits for that, for a moment
        server.send(signal.SIGTERM)
        server.wait_log("stopping")
        until(lambda: not server.workers())
        server.send(signal.SIGTERM)
        assert 0 == server.wait()
    finally:
        os.close(directory)
    assert not at.exists()
