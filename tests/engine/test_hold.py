"""Replies that are held back while others are ready: all of them arrive, in order, and none waits for the application."""

import threading
import time
from typing import Any

from tests.engine.conftest import Run
from tests.engine.running import PATIENCE, Environ, Start, get
from tests.engine.test_connection import wait_until


def computing(environ: Environ, start_response: Start) -> list[bytes]:
    until = time.perf_counter() + 0.0005
    while time.perf_counter() < until:
        pass
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]


def test_replies_of_an_application_that_computes_are_right_and_in_order(run: Run, threads: int) -> None:
    running = run(computing, threads)
    peers = [running.connect("unix" if number % 2 else "tcp") for number in range(32)]
    turn = 0
    # Where other processes take the processor, replies are held only in a quiet moment: one comes.
    while turn < 25 or (turn < 1000 and not running.counters["held"]):
        for number, peer in enumerate(peers):
            peer.send(get(f"/{number}/{turn}"))
        for number, peer in enumerate(peers):
            assert f"/{number}/{turn}".encode() == peer.reply().body
        turn += 1
    assert 32 * turn == running.counters["requests"]
    assert running.counters["held"] > 0


def test_pipelines_are_answered_in_order_while_replies_are_held(run: Run, threads: int) -> None:
    running = run(computing, threads)
    peers = [running.send(b"".join(get(f"/{number}/{turn}") for turn in range(20))) for number in range(16)]
    for number, peer in enumerate(peers):
        assert [f"/{number}/{turn}".encode() for turn in range(20)] == [
            reply.body for reply in peer.replies(20)
        ]


def test_peers_that_go_away_while_their_reply_is_held_leave_nothing(run: Run, threads: int) -> None:
    running = run(computing, threads)
    for turn in range(20):
        peers = [running.send(get(f"/{turn}")) for _ in range(32)]
        for number, peer in enumerate(peers):
            if number % 2:
                peer.close()
        for number, peer in enumerate(peers):
            if number % 2 == 0:
                assert f"/{turn}".encode() == peer.reply().body


def test_a_held_reply_does_not_wait_for_the_application(run: Run) -> None:
    """Behind requests that compute comes one that blocks: their replies arrive while it is still inside."""
    gate = threading.Event()
    release = threading.Event()

    def application(environ: Environ, start_response: Start) -> Any:
        if environ["PATH_INFO"] == "/gate":
            gate.wait(PATIENCE)
        if environ["PATH_INFO"] == "/block":
            release.wait(PATIENCE)
        return computing(environ, start_response)

    running = run(application)
    peers = [running.connect() for _ in range(32)]
    first, last = running.connect(), running.connect()
    for turn in range(10):
        for peer in [first, *peers, last]:
            peer.send(get("/warm"))
        assert [b"/warm"] * 34 == [peer.reply().body for peer in [first, *peers, last]]
        gate.clear()
        release.clear()
        first.send(get("/gate"))
        wait_until(lambda: running.counters["busy"] == 1)
        for peer in peers:
            peer.send(get(f"/{turn}"))
        last.send(get("/block"))
        gate.set()
        assert [f"/{turn}".encode()] * 32 == [peer.reply().body for peer in peers]
        release.set()
        assert [b"/gate", b"/block"] == [peer.reply().body for peer in (first, last)]
    assert running.counters["held"] > 0
