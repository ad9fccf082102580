"""What an application keeps of one request never reaches another: it raises, or is without effect."""

import threading
from typing import Any

import pytest

from tests.engine.conftest import Run
from tests.engine.running import PATIENCE, Environ, Running, Start, get, post


class Keeping:
    """Keeps what it was given for its first request; does with it what it is told when it is asked again."""

    def __init__(self, first: bytes = b"first") -> None:
        self.kept: dict[str, Any] = {}
        self.raised: list[str] = []
        self.first = first

    def __call__(self, environ: Environ, start_response: Start) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/keep":
            write = start_response("200 OK", [])
            self.kept = {"environ": environ, "start_response": start_response, "write": write}
            return [self.first]
        start_response("200 OK", [("X-Mine", "1")])
        self.use(path)
        return [b"mine"]

    def use(self, path: str) -> None:
        try:
            if path == "/start":
                self.kept["start_response"]("500 Theirs", [("X-Theirs", "1")])
            elif path == "/write":
                self.kept["write"](b"theirs")
            elif path == "/input":
                self.raised.append(repr(self.kept["environ"]["wsgi.input"].read()))
        except (OSError, RuntimeError) as error:
            self.raised.append(str(error))


@pytest.mark.parametrize("where", ["same connection", "another"])
@pytest.mark.parametrize(
    ("path", "raised"),
    [
        ("/start", "start_response was called after its request had ended"),
        ("/write", "write was called after its request had ended"),
        ("/input", "wsgi.input was read after its request had ended"),
    ],
)
def test_what_was_kept_cannot_touch_another_request(
    run: Run, threads: int, path: str, raised: str, where: str
) -> None:
    application = Keeping()
    running = run(application, threads)
    data = get("/keep", "Content-Length: 5", method="POST") + b"theirs"[:5]
    peer = running.send(data)
    assert b"first" == peer.reply().body
    if where == "another":
        peer = running.connect()
    for _ in range(3):
        reply = peer.send(post(b"my body", path=path)).reply()
        assert (200, b"mine", "1", None) == (*reply.summary, reply["x-mine"], reply["x-theirs"])
    assert [raised] * 3 == application.raised


def test_a_body_that_was_read_stays_at_its_end(run: Run) -> None:
    application = Keeping()
    running = run(application)
    assert b"first" == running.ask(get("/keep")).body
    assert b"mine" == running.ask(post(b"my body", path="/input")).body
    assert ["b''"] == application.raised


def test_write_is_over_when_the_application_has_returned_though_its_reply_is_still_on_its_way(
    run: Run, threads: int
) -> None:
    returned = threading.Event()
    application = Keeping(b"x" * 5_000_000)

    def chunked(environ: Environ, start_response: Start) -> Any:
        body = application(environ, start_response)
        return iter(body) if environ["PATH_INFO"] == "/chunks" else body

    running = run(chunked, threads, access=lambda *facts: returned.set(), reply_timeout=1)
    peer = running.send(get("/keep") + get("/mine"))
    assert returned.wait(PATIENCE)
    application.use("/write")
    assert [True, False] == [reply.body == b"x" * 5_000_000 for reply in peer.replies(2)]
    assert ["write was called after its request had ended"] == application.raised


def test_write_is_over_when_chunks_are_still_on_their_way(run: Run, threads: int) -> None:
    returned = threading.Event()
    kept = []

    def application(environ: Environ, start_response: Start) -> Any:
        kept.append(start_response("200 OK", []))
        return iter([b"y" * 400_000])

    running = run(application, threads, access=lambda *facts: returned.set(), reply_timeout=1)
    peer = running.send(get("/large") + get("/next"))
    assert returned.wait(PATIENCE)
    with pytest.raises(RuntimeError):
        kept[0](b"theirs")
    assert [True, True] == [reply.body == b"y" * 400_000 for reply in peer.replies(2)]


class Closing:
    """A body that does something in its close()."""

    def __init__(self, action: Any, piece: bytes) -> None:
        self.action = action
        self.pieces = iter([piece])

    def __iter__(self) -> Any:
        return self.pieces

    def close(self) -> None:
        self.action()


def closing(run: Run, what: str, threads: int, **options: Any) -> tuple[Running, list[str]]:
    raised: list[str] = []

    def application(environ: Environ, start_response: Start) -> Any:
        write = start_response("200 OK", [("Content-Length", "5")] if what == "write" else [])
        stream = environ["wsgi.input"]
        stream.read(100)

        def action() -> None:
            try:
                if what == "write":
                    write(b"late")
                else:
                    raised.append(repr(len(stream.read())))
            except (OSError, RuntimeError) as error:
                raised.append(type(error).__name__)

        return Closing(action, b"hello")

    return run(application, threads, **options), raised


def test_write_in_close_is_too_late(run: Run, threads: int) -> None:
    running, raised = closing(run, "write", threads)
    peer = running.send(get() + get())
    assert [b"hello"] * 2 == [reply.body for reply in peer.replies(2)]
    assert ["RuntimeError"] * 2 == raised[:2]


def test_reading_the_body_in_close_takes_nothing_from_the_next_request(run: Run, threads: int) -> None:
    running, _ = closing(run, "read", threads, body_timeout=1)
    peer = running.connect()
    for _ in range(3):
        peer.send(get("/", "Content-Length: 65600", method="POST") + b"x" * 100)
        assert b"hello" == peer.reply().body
        peer.send(b"x" * 65_500)
    assert b"hello" == peer.send(post(b"the next")).reply().body


def test_a_read_that_waits_when_its_request_ends_raises(run: Run, threads: int) -> None:
    """A thread of the application's own reads on when the application has returned already."""
    raised: list[str] = []
    readers: list[threading.Thread] = []

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        def read() -> None:
            try:
                environ["wsgi.input"].read()
            except (OSError, RuntimeError) as error:
                raised.append(type(error).__name__)

        readers.append(threading.Thread(target=read))
        readers[0].start()
        environ["wsgi.input"].read(0)
        start_response("200 OK", [])
        return [b"hello"]

    running = run(application, threads)
    peer = running.send(get("/", "Content-Length: 1000000", method="POST") + b"x")
    assert b"hello" == peer.reply().body
    peer.close()
    readers[0].join(PATIENCE)
    assert (False, ["ConnectionResetError"]) == (readers[0].is_alive(), raised)
