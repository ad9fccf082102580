"""The body of a request on its way to the application: gathered or streamed, asked for or not, complete or broken off."""

import os
import threading
from typing import Any

import pytest

from tests.engine.conftest import Run
from tests.engine.running import PATIENCE, Environ, Link, Peer, Start, chunked, echo, get, hello, post

SIZES = [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 300_000, 3_000_000]


def telling(environ: Environ, start_response: Start) -> list[bytes]:
    """The kind of error that reading the body raises."""
    start_response("200 OK", [])
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        return [type(error).__name__.encode()]
    return [b"no error"]


@pytest.mark.parametrize("size", SIZES)
def test_a_body_of_known_length_arrives_whole(run: Run, threads: int, link: Link, size: int) -> None:
    body = os.urandom(size)
    peer = run(echo, threads).connect(link)
    for _ in range(2):
        assert body == peer.send(post(body)).reply().body


@pytest.mark.parametrize("size", SIZES)
def test_a_chunked_body_arrives_whole(run: Run, threads: int, size: int) -> None:
    body = os.urandom(size)
    chunks = [body[at : at + 70_001] for at in range(0, size, 70_001)]
    running = run(echo, threads)
    for _ in range(2):
        assert body == running.ask(chunked(*chunks)).body


def test_a_gathered_chunked_body_keeps_the_connection(run: Run, threads: int) -> None:
    peer = run(echo, threads).send(chunked(b"one", b"two") + chunked() + chunked(b"x" * 50_000) + get())
    assert [b"onetwo", b"", b"x" * 50_000, b""] == [reply.body for reply in peer.replies(4)]


@pytest.mark.parametrize("data", [post(b"hello" * 10), chunked(b"hello", b" there", b"!" * 20)])
def test_a_request_may_be_cut_at_any_byte(run: Run, data: bytes) -> None:
    running = run(echo)
    expected = running.ask(data).body
    for cut in range(1, len(data)):
        peer = running.send(data[:cut])
        running.ask()  # the first part has been read by now
        assert expected == peer.send(data[cut:]).reply().body, cut


def test_a_request_may_come_byte_by_byte_and_the_next_behind_it(run: Run, threads: int) -> None:
    peer = run(echo, threads).connect("tcp")
    for byte in (chunked(b"one", b"two") + post(b"three")) * 3:
        peer.send(bytes([byte]))
    assert [b"onetwo", b"three"] * 3 == [reply.body for reply in peer.replies(6)]


def test_a_large_body_streams_without_lying_in_memory(run: Run) -> None:
    size = 64 << 20
    before = peak_memory()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        start_response("200 OK", [])
        count = 0
        while block := environ["wsgi.input"].read(65536):
            count += len(block)
        return [str(count).encode()]

    running = run(application)
    for coding in ("length", "chunks"):
        peer = running.connect()
        if coding == "length":
            peer.send(get("/", f"Content-Length: {size}", method="POST"))
        else:
            peer.send(get("/", "Transfer-Encoding: chunked", method="POST"))
        for _ in range(64):
            block = b"x" * (1 << 20)
            peer.send(block if coding == "length" else b"100000\r\n" + block + b"\r\n")
        if coding == "chunks":
            peer.send(b"0\r\n\r\n")
        assert str(size).encode() == peer.reply().body
    if "SANITIZED" not in os.environ:
        assert peak_memory() - before < size // 2


def peak_memory() -> int:
    with open("/proc/self/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def test_100_continue_is_said_when_the_body_is_read(run: Run, threads: int) -> None:
    asked = threading.Event()
    let_on = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        asked.set()
        assert let_on.wait(PATIENCE)
        return echo(environ, start_response)

    peer = run(application, threads).send(
        get("/", "Content-Length: 5", "Expect: 100-continue", method="POST")
    )
    assert asked.wait(PATIENCE)
    assert peer.is_silent()
    let_on.set()
    interim = b""
    while not interim.endswith(b"\r\n\r\n"):
        interim += peer.socket.recv(1)
    assert b"HTTP/1.1 100 Continue\r\n\r\n" == interim
    assert b"hello" == peer.send(b"hello").reply().body
    assert b"next" == peer.send(post(b"next")).reply().body


def test_100_continue_is_not_said_when_the_body_is_not_read(run: Run, threads: int) -> None:
    peer = run(hello, threads).send(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
    reply = peer.reply()
    assert ([], b"hello", "close") == (reply.interim, reply.body, reply["connection"])


def test_100_continue_is_not_said_when_the_body_is_there(run: Run) -> None:
    running = run(echo)
    for data in (
        post(b"x" * 1000, "Expect: 100-continue"),
        chunked(b"x" * 1000, fields=("Expect: 100-continue",)),
    ):
        peer = running.connect()
        peer.send(data)
        reply = peer.reply()
        assert b"x" * 1000 == reply.body


def test_a_peer_that_ends_within_a_gathered_body_is_no_request(run: Run, threads: int) -> None:
    running = run(hello, threads)
    for data in (post(b"hello")[:-1], chunked(b"hello")[:-1], chunked(b"hello")[:-6]):
        assert b"" == running.send(data).end_sending().rest()
    assert 0 == running.counters["requests"]


@pytest.mark.parametrize("end", ["ends", "resets"])
def test_a_streamed_body_that_breaks_off_is_an_error(run: Run, threads: int, end: str) -> None:
    raised = []
    told = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        try:
            return echo(environ, start_response)
        except OSError as error:
            raised.append(type(error).__name__)
            told.set()
            raise

    running = run(application, threads)
    peer = running.send(get("/", "Content-Length: 1000000", method="POST") + b"x" * 100_000)
    if end == "ends":
        assert b"" == peer.end_sending().rest()
    else:
        peer.close()
    assert told.wait(PATIENCE)
    assert (["ConnectionResetError"], 0) == (raised, running.counters["errors"])


def test_an_application_that_passes_over_the_early_end_is_answered_for_nobody(run: Run) -> None:
    running = run(telling)
    peer = running.send(get("/", "Content-Length: 1000000", method="POST")).end_sending()
    assert b"ConnectionResetError" in peer.rest()


def stalled(run: Run, application: Any, **options: Any) -> Peer:
    running = run(application, body_timeout=0.4, **options)
    return running.send(get("/", "Content-Length: 1000000", method="POST") + b"x" * 1000)


def test_a_streamed_body_that_stalls_is_a_timeout_and_408(run: Run, threads: int) -> None:
    peer = stalled(run, echo, threads=threads)
    reply = peer.reply()
    assert (408, "close") == (reply.status, reply["connection"])


def test_an_application_may_answer_a_stalled_body_itself(run: Run) -> None:
    peer = stalled(run, telling)
    assert (200, b"TimeoutError") == peer.reply().summary
    assert b"" == peer.end_sending().rest()


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (b"x\r\n", 400),
        (b"5\r\nhelloX", 400),
        (b"5 ;a\r\n", 400),
        (b"ffffffff\r\n", 413),
        (b"0\r\nbad\r\n\r\n", 400),
    ],
)
@pytest.mark.parametrize("before", [0, 100_000])
def test_a_malformed_chunk_is_refused(run: Run, threads: int, before: int, bad: bytes, status: int) -> None:
    running = run(echo, threads)
    begin = get("/", "Transfer-Encoding: chunked", method="POST")
    if before:
        begin += b"%x\r\n%b\r\n" % (before, b"x" * before)
    peer = running.send(begin + bad)
    reply = peer.reply()
    assert (status, "close") == (reply.status, reply["connection"])
    assert (b"", 1, 0) == (
        peer.end_sending().rest(),
        running.counters["refused"],
        running.counters["errors"],
    )


def test_a_body_larger_than_the_limit_is_refused(run: Run) -> None:
    from lasthop.http1 import Limits

    running = run(echo, limits=Limits(body=100_000))
    assert [200, 413, 200, 413] == [
        running.ask(data).status
        for data in (
            post(b"x" * 100_000),
            post(b"x" * 100_001),
            chunked(b"x" * 50_000, b"x" * 50_000),
            chunked(b"x" * 50_000, b"x" * 50_001),
        )
    ]


@pytest.mark.parametrize("data", [post(b"x" * 65_536), chunked(b"x" * 60_000)])
def test_a_small_body_that_is_not_read_is_dropped_and_the_connection_kept(
    run: Run, threads: int, data: bytes
) -> None:
    peer = run(hello, threads).send(data + get())
    assert [(200, b"hello")] * 2 == [reply.summary for reply in peer.replies(2)]


def test_a_rest_that_comes_after_the_reply_is_dropped(run: Run, threads: int) -> None:
    """The application answers when it has read a part; what is left is not more than is read for the connection's sake."""

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(100)]

    peer = run(application, threads).connect()
    for _ in range(3):
        peer.send(get("/", "Content-Length: 65600", method="POST") + b"x" * 100)
        assert (200, b"x" * 100) == peer.reply().summary
        peer.send(b"G" * 30_000).send(b"E" * 30_000).send(b"T" * 5_500)
    peer.send(get("/", "Content-Length: 65600", method="POST") + b"x" * 100)
    assert (200, b"x" * 100) == peer.reply().summary
    assert (200, b"last") == peer.send(b"G" * 65_500 + post(b"last")).reply().summary


@pytest.mark.parametrize("kind", ["length", "chunks"])
def test_a_large_body_that_is_not_read_ends_the_connection_but_the_reply_arrives(
    run: Run, threads: int, link: Link, kind: str
) -> None:
    running = run(hello, threads)
    peer = running.connect(link)
    size = 5_000_000
    coding = f"Content-Length: {size}" if kind == "length" else "Transfer-Encoding: chunked"
    body = b"x" * size if kind == "length" else b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)
    peer.send(get("/", coding, method="POST") + body)
    reply = peer.reply()
    assert (200, b"hello", "close", b"") == (*reply.summary, reply["connection"], peer.rest())


def test_half_a_body_may_be_read(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(5)]

    peer = run(application, threads).send(
        post(b"hello there") + chunked(b"hel", b"lo there") + post(b"again")
    )
    assert [b"hello", b"hello", b"again"] == [reply.body for reply in peer.replies(3)]


def test_the_body_may_be_read_while_the_reply_is_made(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        while block := environ["wsgi.input"].read(1000):
            yield block

    body = os.urandom(200_000)
    peer = run(application, threads).connect()
    sending = threading.Thread(target=lambda: peer.send(post(body)))
    sending.start()
    reply = peer.reply()
    sending.join()
    # How much of the body would be left was not known when the head left.
    assert (True, "close") == (body == reply.body, reply["connection"])


def test_trailers_are_dropped(run: Run) -> None:
    data = get("/", "Transfer-Encoding: chunked", method="POST") + b"5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
    assert [b"hello"] * 2 == [reply.body for reply in run(echo).send(data + data).replies(2)]
