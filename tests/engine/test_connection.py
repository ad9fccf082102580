"""Time-outs, each as the peer sees it: what was too slow is ended in time, what was not is left alone."""

import socket
import threading
import time
from typing import Any

import pytest

from tests.engine.conftest import Run
from tests.engine.running import Environ, Link, Peer, Start, chunked, get, hello, post

SHORT = 0.3
LONG = 15.0
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture(params=[1, 16], ids=lambda count: f"{count}-threads")
def threads(request: pytest.FixtureRequest) -> int:
    """Fewer ways than elsewhere: these tests consist of waiting."""
    count: int = request.param
    return count


def only(name: str) -> dict[str, Any]:
    """Options under which only this time-out can be what ends a connection."""
    names = ("head_timeout", "body_timeout", "reply_timeout", "keep_alive")
    return dict.fromkeys(names, LONG) | {name: SHORT}


def took(peer: Peer) -> tuple[bytes, bool]:
    """What came until the end, and whether it came neither at once nor very late."""
    begun = time.monotonic()
    received = peer.rest()
    return received, SHORT * 0.5 < time.monotonic() - begun < LONG * 0.5


def test_a_connection_on_which_nothing_comes_is_closed(run: Run, threads: int, link: Link) -> None:
    running = run(hello, threads, **only("head_timeout"))
    assert (b"", True) == took(running.connect(link))
    assert 1 == running.counters["timed_out"]


@pytest.mark.parametrize("data", [b"G", b"GET / HTTP/1.1\r\n", get()[:-1]])
def test_half_a_head_is_too_slow(run: Run, threads: int, data: bytes) -> None:
    running = run(hello, threads, **only("head_timeout"))
    assert (TOO_SLOW, True) == took(running.send(data))
    assert 1 == running.counters["timed_out"]


def test_a_head_that_trickles_is_too_slow(run: Run, threads: int) -> None:
    running = run(hello, threads, **only("head_timeout"))
    peer = running.connect()
    trickling = threading.Event()

    def trickle() -> None:
        try:
            for byte in get("/" + "x" * 1000):
                peer.send(bytes([byte]))
                trickling.wait(0.02)
        except OSError:
            trickling.set()

    sending = threading.Thread(target=trickle)
    sending.start()
    assert (TOO_SLOW, True) == took(peer)
    sending.join()
    assert trickling.is_set()


def test_half_a_second_head_is_too_slow(run: Run) -> None:
    running = run(hello, **only("head_timeout"))
    peer = running.send(get() + get()[:-2])
    assert 200 == peer.reply().status
    assert (TOO_SLOW, True) == took(peer)


@pytest.mark.parametrize("data", [post(b"hello")[:-1], chunked(b"hello")[:-3], chunked(b"x" * 50_000)[:-10]])
def test_half_a_gathered_body_is_too_slow(run: Run, threads: int, data: bytes) -> None:
    running = run(hello, threads, **only("body_timeout"))
    assert (TOO_SLOW, True) == took(running.send(data))
    assert {"requests": 0, "timed_out": 1} == {
        key: running.counters[key] for key in ("requests", "timed_out")
    }


def test_a_body_that_goes_on_is_not_too_slow(run: Run) -> None:
    running = run(hello, **only("body_timeout"))
    peer = running.send(get("/", "Content-Length: 12", method="POST"))
    pause = threading.Event()
    for _ in range(12):
        pause.wait(SHORT / 4)
        peer.send(b"x")
    assert 200 == peer.reply().status


def test_a_body_that_the_application_left_unread_is_awaited_no_longer(run: Run) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(100)]

    running = run(application, **only("body_timeout"))
    peer = running.send(get("/", "Content-Length: 65600", method="POST") + b"x" * 100)
    assert 200 == peer.reply().status
    assert (b"", True) == took(peer)


def test_an_idle_connection_is_closed(run: Run, threads: int, link: Link) -> None:
    running = run(hello, threads, **only("keep_alive"))
    peer = running.connect(link)
    for _ in range(3):
        assert 200 == peer.send(get()).reply().status
    assert (b"", True) == took(peer)
    assert 1 == running.counters["timed_out"]


def test_a_peer_that_never_reads_is_ended(run: Run, threads: int, link: Link) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        return [b"x" * 10_000_000]

    running = run(application, threads, **only("reply_timeout"))
    running.send(get(), link)
    wait_until(lambda: running.counters["timed_out"] == 1)
    wait_until(lambda: running.counters["connections"] == 0)


def test_a_stream_to_a_peer_that_never_reads_is_ended(run: Run, threads: int) -> None:
    ended = threading.Event()

    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 10_000
        finally:
            ended.set()

    running = run(application, threads, **only("reply_timeout"))
    running.send(get())
    assert ended.wait(LONG)
    wait_until(lambda: running.counters["connections"] == 0)


def wait_until(met: Any) -> None:
    """Look until a counter is what it must become, or give up."""
    deadline = time.monotonic() + LONG / 2
    pause = threading.Event()
    while not met():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def test_a_peer_that_reads_slowly_gets_all(run: Run, link: Link) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [("Content-Length", "3000000")])
        return [b"x" * 3_000_000]

    running = run(application, **only("reply_timeout"))
    peer = running.connect(link, receive_buffer=65_536).send(get())
    pause = threading.Event()
    received = 0
    while received < 3_000_000:
        pause.wait(SHORT / 20)
        data = peer.socket.recv(200_000)
        assert data
        received += len(data)


def busy_for(seconds: float, body: bytes) -> Any:
    pause = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        pause.wait(seconds)
        start_response("200 OK", [])
        return [body]

    return application


def test_the_time_that_the_application_took_is_not_the_peers(run: Run, threads: int) -> None:
    """The peer has the whole reply_timeout from the reply on, and the whole keep_alive."""
    body = b"x" * 5_000_000
    running = run(busy_for(0.7, body), threads, **only("reply_timeout"))
    peer = running.connect()
    for _ in range(2):
        peer.send(get())
        peer.socket.recv(1, socket.MSG_PEEK)
        threading.Event().wait(SHORT / 2)
        assert len(body) == len(peer.reply().body)


def test_a_connection_is_idle_from_the_end_of_its_reply(run: Run, threads: int) -> None:
    running = run(busy_for(0.7, b"hello"), threads, **only("keep_alive"))
    peer = running.send(get())
    assert b"hello" == peer.reply().body
    threading.Event().wait(SHORT / 2)
    assert b"hello" == peer.send(get()).reply().body


def test_requests_that_wait_for_a_busy_engine_are_not_too_slow(run: Run) -> None:
    running = run(busy_for(0.7, b"hello"), head_timeout=SHORT, keep_alive=SHORT, body_timeout=SHORT)
    peers = [running.send(data) for data in (get(), post(b"x"), chunked(b"x"))]
    late = running.send(get()[:-2])
    threading.Event().wait(SHORT / 4)
    late.send(b"\r\n")
    assert [b"hello"] * 4 == [peer.reply().body for peer in [*peers, late]]


def test_the_time_that_others_took_is_not_the_peers(run: Run) -> None:
    """Half a head is read in one batch with a request that takes long: it has its own time all the same."""
    gate = threading.Event()
    pause = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        if environ["PATH_INFO"] == "/gate":
            gate.wait(LONG)
        else:
            pause.wait(0.7)
        return hello(environ, start_response)

    running = run(application, **only("head_timeout"))
    first = running.send(get("/gate"))
    wait_until(lambda: running.counters["busy"] == 1)
    slow, half = running.send(get("/slow")), running.send(get("/half")[:-2])
    gate.set()
    assert [200, 200] == [peer.reply().status for peer in (first, slow)]
    pause.wait(SHORT / 2)
    assert 200 == half.send(b"\r\n").reply().status


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_no_byte_makes_a_connection_immune(run: Run, link: Link) -> None:
    """Urgent data over TCP, and descriptors over a socket file, end a read before all was read that is there."""
    release = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        release.wait(LONG)
        return hello(environ, start_response)

    running = run(application, **only("head_timeout"))
    blocking = running.send(get())
    wait_until(lambda: running.counters["busy"] == 1)
    peer = running.connect(link)
    if link == "tcp":
        peer.send(b"GET / HT")
        peer.socket.send(b"!", socket.MSG_OOB)
        peer.send(b"TP/1.")
    else:
        peer.send(b"GET / HT")
        socket.send_fds(peer.socket, [b"TP"], [peer.socket.fileno()])
        peer.send(b"/1.")
    release.set()
    assert 200 == blocking.reply().status
    assert peer.rest().startswith(b"HTTP/1.1 4")


def test_an_end_after_the_reply_is_awaited_for_seconds_only(run: Run) -> None:
    peer = run(hello).send(b"bad\r\n\r\n")
    assert 400 == peer.reply().status
    assert b"" == peer.rest()
    peer.socket.settimeout(LONG)
    with pytest.raises(OSError):  # noqa: PT012
        while True:
            peer.send(b"x")
            threading.Event().wait(0.05)
