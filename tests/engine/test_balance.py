"""Several engines on one queue, which know of each other by a board."""

import os
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from lasthop import engine as compiled
from tests.engine.conftest import Run
from tests.engine.running import PATIENCE, Peer, Running, echo, get, hello, post

Engine: Callable[..., Any] = compiled.Engine
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def answering(text: bytes) -> Application:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(len(text)))])
        return [text]

    return application


def ask(connected: socket.socket) -> bytes:
    connected.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    reply = HTTPResponse(connected)
    reply.begin()
    return reply.read()


def test_a_board_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a board has 16384 bytes, not 64"):
        Engine(answering(b"a"), [], board=bytearray(64), place=0)


@pytest.mark.parametrize("places", [(0, 1), (253, 254)])
def test_engines_on_one_board_take_connections_in_turn(
    short_directory: Path, places: tuple[int, int]
) -> None:
    board = bytearray(compiled.BOARD_SIZE)
    with socket.socket(socket.AF_UNIX) as listening:
        path = str(short_directory / "s")
        listening.bind(path)
        listening.listen()
        engines = [
            Engine(answering(b"%d" % place), [(listening.fileno(), "a", "80")], board=board, place=place)
            for place in places
        ]
        threads = [threading.Thread(target=each.serve) for each in engines]
        for thread in threads:
            thread.start()
        connected = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        had: Counter[bytes] = Counter()
        for each in connected:
            each.settimeout(20)
            each.connect(path)
            had[ask(each)] += 1
        for each in connected:
            each.close()
        for engine in engines:
            engine.stop()
        for thread in threads:
            thread.join()
        for engine in engines:
            engine.close()
    assert (2, True) == (len(had), max(had.values()) <= 30), had


def test_an_engine_beyond_the_board_serves_without_it(short_directory: Path) -> None:
    board = bytearray(compiled.BOARD_SIZE)
    engine = Engine(answering(b"a"), [], board=board, place=255)
    engine.close()
    assert bytes(compiled.BOARD_SIZE) == board


LINE = struct.Struct("=4i q 2i q 24x")
"""A worker's line on the board: -, open, listens, ready; taken; surcharge, -; requests a second."""


class Neighbour:
    """A board on which, besides the engine at place 0, a worker stands that seems to have nothing to do, and never comes."""

    def __init__(self, *, is_there: bool = True) -> None:
        self.board = bytearray(compiled.BOARD_SIZE)
        struct.pack_into("=i", self.board, 0, 2)
        LINE.pack_into(self.board, 2 * LINE.size, 0, 0, is_there, is_there, 0, 0, 0, 0)

    @property
    def taken(self) -> tuple[int, int]:
        """What the engine has written: connections that are open, and that it was given."""
        _, opened, _, _, taken, _, _, _ = LINE.unpack_from(self.board, LINE.size)
        return opened, taken


def test_a_line_is_as_long_as_the_supervisor_believes() -> None:
    assert compiled.BOARD_SIZE == 256 * LINE.size


def test_connections_are_answered_also_if_another_that_should_have_them_never_comes(
    run: Run, threads: int
) -> None:
    running = run(hello, threads, board=Neighbour().board)
    assert [200] * 40 == [running.ask(get(), "tcp" if number % 2 else "unix").status for number in range(40)]


def test_who_is_turned_away_is_not_counted_on_the_board(run: Run, threads: int) -> None:
    neighbour = Neighbour(is_there=False)
    running = run(hello, threads, board=neighbour.board, allow_peer=((41_001,), ()))
    for _ in range(50):
        assert b"" == running.connect().rest()
    peers = [running.connect("tcp").send(get()) for _ in range(3)]
    assert [200] * 3 == [peer.reply().status for peer in peers]
    assert (3, 3) == neighbour.taken


def test_who_is_turned_away_while_all_threads_are_busy_is_not_counted_on_the_board(run: Run) -> None:
    neighbour = Neighbour(is_there=False)
    began, go_on = threading.Event(), threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began.set()
        go_on.wait(PATIENCE)
        return hello(environ, start_response)

    running = run(application, 1, board=neighbour.board, allow_peer=((41_001,), ()))
    held = running.connect("tcp").send(get())
    assert began.wait(PATIENCE)
    try:
        assert [b""] * 20 == [running.connect().rest() for _ in range(20)]
        assert (1, 1) == neighbour.taken
    finally:
        go_on.set()
    assert 200 == held.reply().status


def test_a_connection_for_which_the_kernel_woke_one_that_does_not_come_is_answered(
    short_directory: Path,
) -> None:
    with socket.socket(socket.AF_UNIX) as listening, select.epoll() as other:
        path = str(short_directory / "s")
        listening.bind(path)
        listening.listen()
        # The kernel wakes one of those that wait, and this one came first: as a worker that is killed the moment it was woken.
        other.register(listening, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        engine = Engine(answering(b"a"), [(listening.fileno(), "a", "80")])
        serving = threading.Thread(target=engine.serve)
        serving.start()
        for _ in range(5):
            woken = threading.Thread(target=other.poll, args=(2.0,))
            woken.start()
            with socket.socket(socket.AF_UNIX) as connected:
                connected.settimeout(PATIENCE)
                connected.connect(path)
                assert b"a" == ask(connected)
            woken.join()
        engine.stop()
        serving.join()
        engine.close()


def cpu_of_the_attendant() -> float:
    """Seconds of CPU time that the native threads of this process's engines have used."""
    used = 0.0
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text() == "lasthop-attend\n":
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


@pytest.mark.parametrize("is_busy", [False, True])
def test_who_has_as_many_as_may_be_waits_in_peace_for_one_to_end(run: Run, is_busy: bool) -> None:
    go_on = threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/held":
            go_on.wait(PATIENCE)
        return hello(environ, start_response)

    running = run(application, 1, board=Neighbour().board, max_connections=2)
    open_ = [running.connect().send(get()) for _ in range(2)]
    assert [200] * 2 == [peer.reply().status for peer in open_]
    if is_busy:
        open_[0].send(get("/held"))
    waiting = running.connect().send(get())
    before = cpu_of_the_attendant()
    time.sleep(0.6)  # in which an attendant that tries again and again would use all the CPU time it gets
    used = cpu_of_the_attendant() - before
    go_on.set()
    open_[1].close()
    assert 200 == waiting.reply().status
    assert used < 0.3


def until_let_go(running: Running, request: bytes, beside: Callable[[], object]) -> Peer:
    """Ask on one connection until a reply ends it, as the engine is asked more than its neighbour; what happened `beside` each time."""
    peer = running.connect()
    until = time.monotonic() + PATIENCE
    while peer.send(request).reply()["connection"] != "close":
        beside()
        assert time.monotonic() < until, "the engine never let go of a connection"
    return peer


@pytest.mark.parametrize("request_", [get(), post(b"x" * 10_000)])
def test_who_is_asked_more_than_the_others_ends_a_connection_in_a_reply(
    run: Run, threads: int, request_: bytes
) -> None:
    running = run(echo, threads, board=Neighbour().board)
    idle = running.connect().send(get())
    assert 200 == idle.reply().status
    assert b"" == until_let_go(running, request_, lambda: None).rest()
    # Only whoever asked was told. One that waits for its next request is not closed behind its back.
    assert 200 == idle.send(get()).reply().status


def test_a_connection_that_has_brought_more_requests_is_kept_until_the_last_is_answered(
    run: Run, threads: int
) -> None:
    running = run(echo, threads, board=Neighbour().board)
    pipelining: list[Peer] = []
    lost: list[list[str | None]] = []

    def pipeline() -> None:
        if not pipelining:
            pipelining.append(running.connect())
        pipelining[0].send(get() + post(b"second") + post(b"third"))
        closing = []
        for body in (b"", b"second", b"third"):
            reply = pipelining[0].reply()
            assert (200, body) == reply.summary
            closing.append(reply["connection"])
        if closing[0] or closing[1]:
            lost.append(closing)
        if closing[2]:
            pipelining.pop()

    for _ in range(3):
        until_let_go(running, get(), pipeline)
    assert [] == lost


def test_an_engine_that_is_alone_ends_no_connection(run: Run) -> None:
    running = run(hello, 1, board=Neighbour(is_there=False).board)
    peers = [running.connect() for _ in range(2)]
    until = time.monotonic() + 1.0  # ten times as long as it takes to compare
    while time.monotonic() < until:
        assert [None, None] == [peer.send(get()).reply()["connection"] for peer in peers]
