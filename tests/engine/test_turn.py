"""A connection's turns: pipelines, slow readers, refusals, and that one peer's doings are no other peer's trouble."""

import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from lasthop.http1 import REFUSALS, Limits
from tests.engine.conftest import Run
from tests.engine.running import PATIENCE, Environ, Link, Start, chunked, echo, get, hello, post


def path_as_body(environ: Environ, start_response: Start) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode("latin-1")]


def large(environ: Environ, start_response: Start) -> Any:
    """As many bytes as the path says, as one piece or as pieces."""
    kind, size = environ["PATH_INFO"].strip("/").split("/")
    start_response("200 OK", [])
    if kind == "list":
        return [b"x" * int(size)]
    return (b"x" * 10_000 for _ in range(int(size) // 10_000))


def test_a_pipeline_is_answered_in_order(run: Run, threads: int, link: Link) -> None:
    paths = [f"/{number}" for number in range(2000)]
    peer = run(path_as_body, threads).connect(link)
    sending = threading.Thread(target=lambda: peer.send(b"".join(get(path) for path in paths)))
    sending.start()
    assert [path.encode() for path in paths] == [reply.body for reply in peer.replies(2000)]
    sending.join()


def test_a_pipeline_may_mix_all_kinds_of_requests(run: Run, threads: int) -> None:
    one = (
        post(b"a" * 10)
        + chunked(b"b", b"c" * 70_000)
        + get()
        + post(b"d" * 66_000)
        + b"\r\n"
        + chunked()
        + post(b"")
    )
    expected = [b"a" * 10, b"b" + b"c" * 70_000, b"", b"d" * 66_000, b"", b""]
    peer = run(echo, threads).connect()
    sending = threading.Thread(target=lambda: peer.send(one * 5))
    sending.start()
    assert [True] * 30 == [
        reply.body == body for reply, body in zip(peer.replies(30), expected * 5, strict=True)
    ]
    sending.join()


def test_a_request_behind_half_of_one_waits_for_its_rest(run: Run, threads: int) -> None:
    running = run(path_as_body, threads)
    second = get("/second")
    for cut in range(1, len(second)):
        peer = running.send(get("/first") + second[:cut])
        assert b"/first" == peer.reply().body
        assert b"/second" == peer.send(second[cut:]).reply().body


def test_an_empty_line_between_requests_is_passed_over(run: Run) -> None:
    peer = run(hello).send(get() + b"\r\n" + get() + b"\r\n")
    assert [200, 200] == [reply.status for reply in peer.replies(2)]


@pytest.mark.parametrize("kind", ["list", "pieces"])
def test_a_slow_reader_keeps_nobody_waiting(run: Run, threads: int, link: Link, kind: str) -> None:
    """With as many slow readers as threads, and small pieces that wait in the engine, all is well; see AHEAD in exchange.py."""
    size = 5_000_000 if kind == "list" else 200_000
    running = run(large, threads)
    slow = [running.send(get(f"/{kind}/{size}"), link) for _ in range(threads + 2)]
    assert [1000] * 20 == [len(running.ask(get("/list/1000"), link).body) for _ in range(20)]
    for peer in slow:
        assert size == len(peer.reply().body)


def test_a_stream_to_a_slow_reader_holds_only_its_thread(run: Run) -> None:
    running = run(large, threads=4)
    slow = [running.send(get("/pieces/5000000")) for _ in range(3)]
    assert [1000] * 20 == [len(running.ask(get("/list/1000")).body) for _ in range(20)]
    for peer in slow:
        assert 5_000_000 == len(peer.reply().body)


def test_the_next_request_waits_until_a_slow_reader_has_read(run: Run, threads: int) -> None:
    running = run(large, threads)
    peer = running.send(get("/list/5000000"))
    for number in range(50):
        peer.send(get(f"/list/{number}"))
    assert [5_000_000, *range(50)] == [len(reply.body) for reply in peer.replies(51)]


def test_a_stream_behind_a_full_socket_buffer_has_the_patience_of_any_other(run: Run) -> None:
    """Replies that fill the buffer to its end leave no room for even one byte of the next, which is no reason to give it up."""
    reply_size = 3000 + 125
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        filling = 0
        try:
            while True:
                assert reply_size == ours.send(b"x" * reply_size)
                filling += 1
        except BlockingIOError:
            pass
    for count in range(filling - 2, filling + 3):
        asked = threading.Event()

        def application(environ: Environ, start_response: Start, asked: threading.Event = asked) -> Any:
            start_response("200 OK", [])
            if environ["PATH_INFO"] == "/fill":
                return [b"x" * 3000]
            return pieces(asked)

        running = run(application, threads=2)
        peer = running.send(get("/fill") * count + get("/stream"))
        asked.wait(0.2)  # it does not come where the last of the filling waits itself
        running.ask(get("/fill"))
        assert [3000] * count + [600_000] == [len(reply.body) for reply in peer.replies(count + 1)]
        running.finish()


def pieces(asked: threading.Event) -> Any:
    for number in range(60):
        if number == 40:
            asked.set()
        yield b"y" * 10_000


def test_a_peer_that_pipelines_without_end_does_not_starve_others(run: Run, threads: int) -> None:
    def busy(environ: Environ, start_response: Start) -> list[bytes]:
        until = time.perf_counter() + 0.0003  # so that there is always another request when one is done
        while time.perf_counter() < until:
            pass
        return hello(environ, start_response)

    running = run(busy, threads)
    flooding = subprocess.Popen(
        [sys.executable, "-c", FLOOD, running.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert flooding.stdout is not None
        assert b"x" == flooding.stdout.read(1)
        for link in LINKS:
            peer = running.connect(link)
            peer.socket.settimeout(5)
            assert [b"hello"] * 3 == [peer.send(get()).reply().body for _ in range(3)]
        assert flooding.poll() is None
    finally:
        flooding.kill()
        flooding.communicate()


LINKS: tuple[Link, ...] = ("unix", "tcp")
FLOOD = """
import socket, sys, threading
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
def read():
    received = 0
    while data := s.recv(1 << 20):
        before, received = received, received + len(data)
        if before < 50_000 <= received:
            sys.stdout.write("x"); sys.stdout.flush()
threading.Thread(target=read, daemon=True).start()
while True:
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n" * 20_000)
"""


def test_a_peer_that_sends_on_after_its_refusal_does_not_starve_others(run: Run) -> None:
    running = run(hello)
    peer = running.connect()
    stop = threading.Event()

    def flood() -> None:
        try:
            peer.send(b"bad\r\n\r\n")
            while not stop.is_set():
                peer.send(b"x" * 1_000_000)
        except OSError:
            pass

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        assert [b"hello"] * 20 == [running.ask().body for _ in range(20)]
    finally:
        stop.set()
        peer.socket.shutdown(socket.SHUT_RDWR)
        flooding.join()


def test_a_peer_that_sends_on_after_its_refusal_is_ended_in_time(run: Run) -> None:
    running = run(hello)
    peer = running.send(b"bad\r\n\r\n")
    begun = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT012
        while time.monotonic() - begun < PATIENCE:
            peer.send(b"x" * 1_000_000)


def test_a_refusal_is_told_and_ends_the_connection(run: Run, threads: int, link: Link) -> None:
    running = run(hello, threads)
    peer = running.send(get() + b"bad line\r\n\r\n" + get(), link)
    assert 200 == peer.reply().status
    reply = peer.reply()
    assert (400, b"400 Bad Request\n", "close") == (*reply.summary, reply["connection"])
    assert (b"", 1, 1) == (
        peer.end_sending().rest(),
        running.counters["requests"],
        running.counters["refused"],
    )


SMALL = Limits(line=100, fields=5, field_size=60, head=300, body=100)
REFUSED: dict[str, bytes] = {
    "bad_request_line": b"GET /\r\n\r\n",
    "bad_method": b"G(T / HTTP/1.1\r\n\r\n",
    "bad_target": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad_version": b"GET / HTTP/1.x\r\n\r\n",
    "version_not_supported": b"GET / HTTP/2.0\r\n\r\n",
    "bare_lf": b"GET / HTTP/1.1\n\r\n",
    "bare_cr": b"GET / HTTP/1.1\rX\n\r\n",
    "bad_header_name": get("/", "X A: b"),
    "bad_header_value": get("/", "X-A: \x01"),
    "folded_header": get("/", " folded"),
    "missing_host": b"GET / HTTP/1.1\r\n\r\n",
    "repeated_host": get("/", "Host: a"),
    "bad_host": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "bad_content_length": get("/", "Content-Length: 5x"),
    "repeated_content_length": get("/", "Content-Length: 5", "Content-Length: 5"),
    "length_and_chunked": get("/", "Content-Length: 5", "Transfer-Encoding: chunked"),
    "bad_transfer_encoding": get("/", "Transfer-Encoding: chunked, gzip"),
    "transfer_encoding_1_0": get("/", "Transfer-Encoding: chunked", version="1.0"),
    "unknown_transfer_encoding": get("/", "Transfer-Encoding: gzip, chunked"),
    "ambiguous_name": get("/", "X-A: b", "X_A: c"),
    "bad_expect": get("/", "Expect: more"),
    "line_too_long": get("/" + "x" * 100),
    "too_many_fields": get("/", "A: b", "C: d", "E: f", "G: h", "I: j"),
    "field_too_large": get("/", "A: " + "x" * 60),
    "head_too_large": get("/" + "x" * 80, *["A: " + "x" * 55] * 4),
    "body_too_large": post(b"x" * 101),
    "bad_chunk_size": get("/", "Transfer-Encoding: chunked") + b"x\r\n",
    "bad_chunk_extension": get("/", "Transfer-Encoding: chunked") + b"5;=\r\n",
    "bad_chunk_end": get("/", "Transfer-Encoding: chunked") + b"1\r\nabc",
    "bad_trailer": get("/", "Transfer-Encoding: chunked") + b"0\r\nbad line\r\n",
    "connect_refused": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "empty_lines": b"\r\n\r\n\r\n",
}


def test_each_refusal_can_be_provoked() -> None:
    assert list(REFUSALS) == list(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_the_engine_refuses_by_name_and_status(run: Run, name: str) -> None:
    running = run(hello, limits=SMALL)
    reply = running.ask(REFUSED[name])
    status, sentence = REFUSALS[name]
    assert status == reply.status
    who = "a peer of the UNIX socket"
    assert [f"refused a request of {who} with {status} ({name}): {sentence}"] == running.said


def test_a_peer_that_ends_its_side_is_still_answered(run: Run, threads: int, link: Link) -> None:
    running = run(echo, threads)
    for data in (get(), post(b"hello"), chunked(b"x" * 100_000)):
        peer = running.send(data, link).end_sending()
        assert 200 == peer.reply().status
        assert b"" == peer.rest()


def test_a_slow_reader_that_has_ended_its_side_gets_all(run: Run, threads: int, link: Link) -> None:
    peer = run(large, threads).send(get("/list/5000000"), link).end_sending()
    assert (5_000_000, b"") == (len(peer.reply().body), peer.rest())


def test_peers_that_come_and_go_leave_nothing(run: Run, threads: int) -> None:
    running = run(echo, threads)
    data = post(b"hello" * 100)
    for number in range(300):
        peer = running.send(data[: number * 2], "unix" if number % 2 else "tcp")
        if number % 3 == 0:
            peer.close()
        elif number % 3 == 1:
            peer.end_sending()
    assert b"hello" * 100 == running.ask(data).body


def resident() -> int:
    with open("/proc/self/statm") as facts:  # noqa: PTH123
        return int(facts.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif("SANITIZED" in os.environ, reason="the sanitizer keeps freed memory for a while")
def test_many_connections_and_requests_do_not_grow_the_process(run: Run, threads: int) -> None:
    running = run(echo, threads)

    def work(rounds: int) -> None:
        for number in range(rounds):
            running.ask(post(b"x" * 20_000), "unix" if number % 2 else "tcp")
            peer = running.send(chunked(b"y" * 1000) * 3 + get("/x")[:-2])
            assert [1000] * 3 == [len(reply.body) for reply in peer.replies(3)]
            running.ask(b"bad\r\n\r\n")
            for each in running.peers:
                each.close()
            running.peers.clear()

    work(200)
    before = resident()
    work(600)
    assert resident() - before < 1_500_000
