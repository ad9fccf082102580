"""What goes on while the application has every thread: parked threads are woken, connections accepted, nobody blocks others."""

import threading
import time
from typing import Any

from tests.engine.conftest import Run
from tests.engine.running import PATIENCE, Environ, Link, Peer, Start, get, hello
from tests.engine.test_connection import wait_until


def test_as_many_applications_may_block_as_there_are_threads(run: Run, threads: int) -> None:
    """All of them wait for each other: each is in the application at the same time, or none gets out."""
    together = threading.Barrier(threads)

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        together.wait(PATIENCE)
        return hello(environ, start_response)

    running = run(application, threads)
    for _ in range(3):
        peers = [running.send(get()) for _ in range(threads)]
        assert [b"hello"] * threads == [peer.reply().body for peer in peers]


def test_all_threads_sleep_at_once(run: Run) -> None:
    pause = threading.Event()
    inside = 0
    most = 0
    lock = threading.Lock()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        pause.wait(0.02)
        with lock:
            inside -= 1
        return hello(environ, start_response)

    running = run(application, threads=16)
    peers = [running.connect() for _ in range(32)]
    for _ in range(20):
        for peer in peers:
            peer.send(get())
        assert [200] * 32 == [peer.reply().status for peer in peers]
    assert 16 == most


def test_threads_that_are_blocked_for_ever_do_not_block_the_others(run: Run, link: Link) -> None:
    release = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        if environ["PATH_INFO"] == "/block":
            release.wait()
        return hello(environ, start_response)

    running = run(application, threads=4)
    blocked = [running.send(get("/block"), link) for _ in range(3)]
    wait_until(lambda: running.counters["busy"] == 3)
    assert [b"hello"] * 100 == [running.ask(link=link).body for _ in range(100)]
    release.set()
    assert [b"hello"] * 3 == [peer.reply().body for peer in blocked]


def spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def test_threads_that_compute_for_long_do_not_block_the_others(run: Run) -> None:
    ended = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        while environ["PATH_INFO"] == "/compute" and not ended.is_set():
            spin(0.01)
        return hello(environ, start_response)

    running = run(application, threads=4)
    computing = [running.send(get("/compute")) for _ in range(2)]
    wait_until(lambda: running.counters["busy"] == 2)
    assert [b"hello"] * 10 == [running.ask().body for _ in range(10)]
    ended.set()
    assert [b"hello"] * 2 == [peer.reply().body for peer in computing]


def test_connections_are_accepted_while_all_threads_are_busy(run: Run, threads: int, link: Link) -> None:
    """A full queue of a socket file refuses at once: three times what the queue holds gets in."""
    release = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        release.wait(PATIENCE)
        return hello(environ, start_response)

    running = run(application, threads, backlog=8)
    peers: list[Peer] = []

    def accepted() -> bool:
        return running.counters["accepted"] == len(peers)

    for _ in range(threads + 24):
        peers.append(running.send(get(), link))
        wait_until(accepted)
        if len(peers) == threads:
            wait_until(lambda: running.counters["busy"] == threads)
    assert 24 <= running.counters["rescued"]
    release.set()
    assert [b"hello"] * len(peers) == [peer.reply().body for peer in peers]


def test_time_outs_hold_while_all_threads_are_busy(run: Run, threads: int) -> None:
    release = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        if environ["PATH_INFO"] == "/block":
            release.wait(PATIENCE)
        return hello(environ, start_response)

    running = run(application, threads, keep_alive=0.3)
    idle = running.send(get())
    assert 200 == idle.reply().status
    for _ in range(threads):
        running.send(get("/block"))
    wait_until(lambda: running.counters["busy"] == threads)
    assert b"" == idle.rest()
    release.set()


def test_turned_ns_goes_on_while_nothing_happens_and_stands_still_when_stuck(run: Run, threads: int) -> None:
    release = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        release.wait(PATIENCE)
        return hello(environ, start_response)

    running = run(application, threads)

    def turned() -> Any:
        return running.counters["turned_ns"]

    first = turned()
    wait_until(lambda: turned() > first)
    peers = [running.send(get()) for _ in range(threads)]
    wait_until(lambda: running.counters["busy"] == threads)
    threading.Event().wait(0.05)
    stuck = turned()
    threading.Event().wait(0.3)
    assert stuck == turned()
    assert time.monotonic_ns() - stuck < PATIENCE * 1e9
    release.set()
    assert [200] * threads == [peer.reply().status for peer in peers]
    wait_until(lambda: turned() > stuck)


def test_a_quiet_engine_uses_no_cpu(run: Run, threads: int) -> None:
    running = run(hello, threads)
    peer = running.send(get())
    assert 200 == peer.reply().status
    threading.Event().wait(0.1)
    before = time.process_time()
    threading.Event().wait(1)
    assert time.process_time() - before < 0.05
