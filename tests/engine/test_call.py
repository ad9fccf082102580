"""What an application may return, how it may fail, and what it is owed whatever happens: one close()."""

import threading
from collections.abc import Iterator
from typing import Any

import h11
import pytest

from tests.engine.conftest import Run
from tests.engine.running import PATIENCE, Environ, Reply, Start, get, hello


class Body:
    """An iterable that counts what is done to it."""

    def __init__(self, *pieces: Any, fails_at: int = -1) -> None:
        self.pieces = iter(pieces)
        self.fails_at = fails_at
        self.given = 0
        self.closed = 0
        self.closing = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.given == self.fails_at:
            raise RuntimeError("no more of it")
        self.given += 1
        return next(self.pieces)

    def close(self) -> None:
        self.closed += 1
        self.closing.set()


class Sized(Body):
    def __init__(self, length: int, *pieces: Any) -> None:
        super().__init__(*pieces)
        self.length = length

    def __len__(self) -> int:
        return self.length


def returning(body: Any) -> Any:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        return body

    return application


def framing(reply: Reply) -> tuple[str | None, bytes]:
    return reply["content-length"], reply.body


class Many(list[bytes]):
    pass


@pytest.mark.parametrize(
    ("body", "length"),
    [
        ([b"a", b"b"], "2"),
        ((b"a", b"b"), "2"),
        (Many([b"ab"]), "2"),
        (Many([b"a", b"b"]), None),
        ({b"ab": 1}, "2"),
        (iter([b"a", b"b"]), None),
        (Sized(1, b"ab"), "2"),
        (Sized(1, b"", b"ab"), "2"),
        (Sized(2, b"a", b"b"), None),
    ],
)
def test_any_iterable_of_bytes_is_a_body(run: Run, body: Any, length: str | None) -> None:
    assert (length, b"ab") == framing(run(returning(body)).ask())


def test_an_object_of_one_piece_cannot_give_two(run: Run) -> None:
    running = run(returning(Sized(1, b"one", b"two")))
    assert ("3", b"one") == framing(running.ask())
    assert "more than its Content-Length of 3" in running.said[0]


def test_large_and_small_pieces_keep_their_order(run: Run, threads: int) -> None:
    pieces = [bytes([65 + n % 26]) * (n * 977 % 40_000) for n in range(200)]

    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        return pieces if environ["PATH_INFO"] == "/list" else iter(pieces)

    peer = run(application, threads).send(get("/list") + get("/pieces"))
    assert [True, True] == [reply.body == b"".join(pieces) for reply in peer.replies(2)]


def test_more_pieces_than_the_kernel_takes_at_once(run: Run) -> None:
    pieces = [bytes([n % 256]) * 20_000 for n in range(200)]
    assert b"".join(pieces) == run(returning(pieces)).ask().body


@pytest.mark.parametrize("body", [b"hello", "hello", None, 5, hello])
def test_what_is_no_iterable_of_pieces_is_an_error(run: Run, body: Any) -> None:
    running = run(returning(body))
    assert [500, 500] == [running.ask().status for _ in range(2)]
    assert 2 == running.counters["errors"]


@pytest.mark.parametrize("piece", ["text", bytearray(b"x"), memoryview(b"x"), None, 5])
@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_pieces_that_are_no_bytes_are_an_error(run: Run, kind: Any, piece: Any) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        return kind([piece])

    running = run(application)
    assert (500, b"Internal Server Error\n") == running.ask().summary
    assert f"must give bytes, not {type(piece).__name__}" in running.said[0]


def test_close_is_called_once_when_all_was_given(run: Run, threads: int) -> None:
    body = Body(b"one", b"two")
    assert b"onetwo" == run(returning(body), threads).ask().body
    assert (True, 1) == (body.closing.wait(PATIENCE), body.closed)


def test_close_is_called_once_when_the_iterable_fails_at_once(run: Run, threads: int) -> None:
    body = Body(fails_at=0)
    running = run(returning(body), threads)
    assert 500 == running.ask().status
    assert (True, 1) == (body.closing.wait(PATIENCE), body.closed)
    assert "no more of it" in running.said[0]


def test_close_is_called_once_when_the_iterable_fails_later(run: Run, threads: int) -> None:
    body = Body(b"one", b"two", fails_at=1)
    running = run(returning(body), threads)
    with pytest.raises(h11.RemoteProtocolError):
        running.ask()
    assert (True, 1) == (body.closing.wait(PATIENCE), body.closed)


def test_close_is_called_once_when_the_peer_goes_away(run: Run, threads: int) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    body = Body()
    body.pieces = endless()
    running = run(returning(body), threads)
    peer = running.send(get())
    peer.socket.recv(1)
    peer.close()
    assert (True, 1) == (body.closing.wait(PATIENCE), body.closed)
    assert 0 == running.counters["errors"]


def test_close_is_called_once_when_nobody_reads_and_the_peer_goes_away(run: Run, threads: int) -> None:
    body = Sized(1, b"x" * 10_000_000)
    running = run(returning(body), threads)
    peer = running.send(get())
    peer.socket.recv(1)
    peer.close()
    assert (True, 1) == (body.closing.wait(PATIENCE), body.closed)


def test_close_is_called_for_a_reply_to_head(run: Run) -> None:
    body = Body(b"one")
    assert b"" == run(returning(body)).ask(get(method="HEAD"), method="HEAD").body
    assert (True, 1) == (body.closing.wait(PATIENCE), body.closed)


def test_a_close_that_fails_harms_no_reply(run: Run, threads: int) -> None:
    class Failing(Body):
        def close(self) -> None:
            raise RuntimeError("cannot close")

    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        return Failing(b"hello")

    running = run(application, threads)
    peer = running.send(get() + get())
    assert [b"hello", b"hello"] == [reply.body for reply in peer.replies(2)]
    running.finish()
    assert 2 == running.counters["errors"]


def failing(environ: Environ, start_response: Start) -> Any:
    kinds = {"/system-exit": SystemExit, "/interrupt": KeyboardInterrupt, "/generator-exit": GeneratorExit}
    if environ["PATH_INFO"] == "/after":
        start_response("200 OK", [("X-Secret", "1")])
    raise kinds.get(environ["PATH_INFO"], RuntimeError)("a secret")


@pytest.mark.parametrize("path", ["/", "/after", "/system-exit", "/interrupt", "/generator-exit"])
def test_an_application_that_fails_is_answered_without_its_words(run: Run, threads: int, path: str) -> None:
    running = run(failing, threads)
    peer = running.send(get(path) + get(path))
    for reply in peer.replies(2):
        assert (500, b"Internal Server Error\n") == reply.summary
        assert "text/plain" == reply["content-type"]
        assert [] == [value for _, value in reply.fields if "secret" in value]
    assert ["a secret" in said for said in running.said] == [True, True]


def test_an_application_that_fails_at_head_is_answered_with_a_head(run: Run) -> None:
    peer = run(failing).connect()
    for _ in range(2):
        reply = peer.send(get(method="HEAD")).reply("HEAD")
        assert (500, "22", b"") == (reply.status, reply["content-length"], reply.body)


def test_an_iterable_that_fails_after_its_first_piece_breaks_the_reply_off(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        yield b"begun"
        raise RuntimeError("in the middle")

    running = run(application, threads)
    raw = running.send(get() + get()).rest()
    assert (1, True) == (raw.count(b"HTTP/1.1"), raw.endswith(b"5\r\nbegun\r\n"))
    assert "in the middle" in running.said[0]


def test_an_application_that_fails_after_write_breaks_the_reply_off(run: Run) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [("Content-Length", "10")])(b"begun")
        raise RuntimeError

    with pytest.raises(h11.RemoteProtocolError):
        run(application).ask()


def test_the_access_log_hears_of_each_reply(run: Run, threads: int) -> None:
    heard: list[tuple[str, int, int, bool]] = []
    told = threading.Semaphore(0)

    def access(environ: Environ, status: int, size: int, seconds: float) -> None:
        heard.append((environ["RAW_URI"], status, size, 0 <= seconds < PATIENCE))
        told.release()

    def application(environ: Environ, start_response: Start) -> Any:
        if environ["PATH_INFO"] == "/fails":
            raise RuntimeError
        start_response("404 No", [])
        return [b"x" * 100_000]

    running = run(application, threads, access=access)
    peer = running.connect()
    for data in (get("/a?b"), get("/fails"), b"bad\r\n\r\n"):
        peer.send(data).reply()
        assert told.acquire(timeout=PATIENCE)
    assert [("/a?b", 404, 100_000, True), ("/fails", 500, 22, True), ("-", 400, 0, True)] == heard


def test_an_access_log_that_fails_harms_no_reply(run: Run, threads: int) -> None:
    def access(*facts: object) -> None:
        raise OSError("no room on the device")

    running = run(hello, threads, access=access)
    peer = running.send(get() + get())
    assert [b"hello", b"hello"] == [reply.body for reply in peer.replies(2)]
    assert [400, b"hello"] == [running.ask(b"bad\r\n\r\n").status, running.ask().body]


def test_errors_without_a_log_go_to_stderr(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert 500 == run(failing, log=None).ask().status
    assert "RuntimeError: a secret" in capfd.readouterr().err
