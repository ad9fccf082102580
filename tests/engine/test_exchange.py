"""start_response, write and the framing of replies, as PEP 3333 and RFC 9112 want them."""

import sys
import threading
from typing import Any

import h11
import pytest

from tests.engine.conftest import Run
from tests.engine.running import Environ, Link, Start, get, hello


def answering(status: Any, headers: Any, *body: bytes) -> Any:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response(status, headers)
        return list(body)

    return application


def test_a_reply_has_what_the_application_said_and_what_http_wants(
    run: Run, threads: int, link: Link
) -> None:
    running = run(answering("201 Made up", [("X-A", "b"), ("x-a", "\xe9")], b"one", b"two"), threads)
    peer = running.send(get(), link)
    raw = b""
    while not raw.endswith(b"onetwo"):
        raw += peer.socket.recv(65536)
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:4] == [b"HTTP/1.1 201 Made up", b"X-A: b", b"x-a: \xe9", b"Content-Length: 6"]
    assert [line.split(b":")[0] for line in lines[4:]] == [b"Date", b"Server"]
    assert body == b"onetwo"


def test_date_and_server_of_the_application_stand_alone(run: Run) -> None:
    reply = run(answering("200 OK", [("Date", "then"), ("SERVER", "mine")])).ask()
    assert (["then"], ["mine"]) == (reply.values("date"), reply.values("server"))


def test_a_status_without_a_reason_keeps_its_space(run: Run) -> None:
    peer = run(answering("299", [])).send(get("/", "Connection: close"))
    assert peer.rest().startswith(b"HTTP/1.1 299 \r\n")


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        ("OK", [], "the status must begin with three digits"),
        ("20", [], "the status must begin with three digits"),
        ("2000 OK", [], "the status must begin with three digits"),
        ("200\tOK", [], "the status must begin with three digits"),
        ("", [], "the status must begin with three digits"),
        ("100 Continue", [], "interim or unknown status"),
        ("099 Odd", [], "interim or unknown status"),
        ("200 O\r\nK", [], "control character"),
        ("200 \N{SNOWMAN}", [], "beyond latin-1"),
        (b"200 OK", [], "must be a str"),
        (200, [], "must be a str"),
        ("200 OK", [("X-A", "b\r\nX-B: c")], "control character"),
        ("200 OK", [("X-A", "b\nc")], "control character"),
        ("200 OK", [("X-A", "b\0c")], "control character"),
        ("200 OK", [("X-A", "long enough for eight at once\x7f")], "control character"),
        ("200 OK", [("X-A", "\N{SNOWMAN}")], "beyond latin-1"),
        ("200 OK", [("X-A", b"b")], "must be a str"),
        ("200 OK", [("X-A", None)], "must be a str"),
        ("200 OK", [(b"X-A", "b")], "must be a str"),
        ("200 OK", [("X A", "b")], "may not have ' '"),
        ("200 OK", [("X-A:", "b")], "may not have ':'"),
        ("200 OK", [("X-\xe9", "b")], "may not have"),
        ("200 OK", [("", "b")], "a header name is empty"),
        ("200 OK", [["X-A", "b"]], "must be a tuple of two str"),
        ("200 OK", [("X-A", "b", "c")], "must be a tuple of two str"),
        ("200 OK", ["X-A: b"], "must be a tuple of two str"),
        ("200 OK", None, "not iterable"),
        ("200 OK", [("Content-Length", "five")], "Content-Length must be a number"),
        ("200 OK", [("Content-Length", "-5")], "Content-Length must be a number"),
        ("200 OK", [("Content-Length", "")], "Content-Length must be a number"),
        ("200 OK", [("Content-Length", "1" * 19)], "Content-Length must be a number"),
        ("200 OK", [("Content-Length", "5"), ("content-length", "6")], "two Content-Lengths that differ"),
    ],
)  # fmt: skip
def test_what_may_not_be_sent_is_an_error_of_the_application(
    run: Run, status: Any, headers: Any, said: str
) -> None:
    running = run(answering(status, headers, b"secret"))
    peer = running.send(get() + get())
    replies = peer.replies(2)
    assert [(500, b"Internal Server Error\n")] * 2 == [reply.summary for reply in replies]
    assert said in running.said[0]
    assert {"requests": 2, "errors": 2} == {key: running.counters[key] for key in ("requests", "errors")}


@pytest.mark.parametrize(
    "name",
    ["Transfer-Encoding", "Keep-Alive", "Upgrade", "Trailer", "TE", "Proxy-Connection", "connection", "CONNECTION"],
)  # fmt: skip
def test_hop_by_hop_headers_are_the_servers_own(run: Run, name: str) -> None:
    reply = run(answering("200 OK", [(name, "chunked"), ("X-A", "b")], b"hello")).ask()
    assert (None, "b", b"hello") == (reply[name.lower()], reply["x-a"], reply.body)


def test_headers_that_only_begin_like_those_are_sent(run: Run) -> None:
    names = [
        "Transfer-Encodings",
        "Keep",
        "Teapot",
        "T",
        "C",
        "D",
        "Contents",
        "Dated",
        "Servers",
        "Upgrader",
    ]
    reply = run(answering("200 OK", [(name, "x") for name in names])).ask()
    assert [name.lower() for name in names] == [name for name, value in reply.fields if value == "x"]


def test_the_application_may_end_the_connection(run: Run, threads: int) -> None:
    running = run(answering("200 OK", [("Connection", "close")], b"hello"), threads)
    peer = running.send(get())
    reply = peer.reply()
    assert ("close", b"hello", b"") == (reply["connection"], reply.body, peer.rest())


def test_headers_may_be_of_any_number_and_size(run: Run) -> None:
    headers = [(f"X-{number}", "v" * number * 10) for number in range(300)]
    reply = run(answering("200 OK", headers, b"hello")).ask()
    assert headers == [(name.title(), value) for name, value in reply.fields if name.startswith("x-")]


def test_start_response_twice_without_exc_info_is_an_error(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return [b"never"]

    running = run(application, threads)
    assert (500, b"Internal Server Error\n") == running.ask().summary
    assert "a second time" in running.said[0]


def test_start_response_with_exc_info_replaces_a_head_that_has_not_left(run: Run) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        start_response("200 OK", [("X-Old", "1"), ("Content-Length", "100"), ("Connection", "close")])
        try:
            raise ValueError
        except ValueError:
            start_response("503 Later", [("X-New", "1")], sys.exc_info())
        return [b"sorry"]

    peer = run(application).send(get() + get())
    for reply in peer.replies(2):
        assert (503, b"sorry") == reply.summary
        assert ("1", None, "5", None) == (
            reply["x-new"],
            reply["x-old"],
            reply["content-length"],
            reply["connection"],
        )


def test_start_response_with_exc_info_raises_it_when_the_head_has_left(run: Run, threads: int) -> None:
    raised = []

    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        yield b"begun"
        try:
            raise ValueError("in the middle")
        except ValueError:
            try:
                start_response("500 No", [], sys.exc_info())
            except ValueError as error:
                raised.append(str(error))
                raise

    running = run(application, threads)
    peer = running.send(get())
    with pytest.raises(h11.RemoteProtocolError):
        peer.reply()
    assert (["in the middle"], 1) == (raised, running.counters["errors"])


def test_a_status_that_failed_may_be_said_anew(run: Run) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        try:
            start_response("200 OK", [("X-Bad", "\n")])
        except ValueError:
            start_response("200 OK", [("X-Good", "1")])
        return [b"hello"]

    reply = run(application).ask()
    assert (200, "1", None) == (reply.status, reply["x-good"], reply["x-bad"])


def test_no_start_response_is_an_error(run: Run, threads: int) -> None:
    running = run(lambda environ, start_response: [b"hello"], threads)
    assert 500 == running.ask().status
    assert "before it called start_response" in running.said[0]


def test_start_response_may_come_with_the_first_piece(run: Run) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        yield b""
        start_response("202 Accepted", [])
        yield b"hello"

    assert (202, b"hello") == run(application).ask().summary


def test_what_write_is_given_comes_before_the_iterable(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"one ")
        write(b"")
        write(b"two " * 10_000)
        return [b"three"]

    peer = run(application, threads).send(get() + get())
    assert [b"one " + b"two " * 10_000 + b"three"] * 2 == [reply.body for reply in peer.replies(2)]


def test_write_before_start_response_or_with_text_is_an_error(run: Run) -> None:
    kept: list[Any] = []

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        if environ["PATH_INFO"] == "/text":
            start_response("200 OK", [])("text")  # type: ignore[arg-type]
        elif kept:
            kept[0](b"early")
        else:
            kept.append(start_response("200 OK", []))
        return []

    running = run(application)
    assert [200, 500, 500] == [running.ask(get(path)).status for path in ("/", "/", "/text")]
    assert "write was called after its request had ended" in running.said[0]
    assert "write takes bytes, not str" in running.said[1]


def test_write_can_be_called_with_a_content_length(run: Run) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "5")])(b"hel")
        return [b"lo"]

    reply = run(application).ask()
    assert ("5", None, b"hello") == (reply["content-length"], reply["transfer-encoding"], reply.body)


def test_a_reply_of_unknown_length_is_chunked_and_keeps_the_connection(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        yield b"a" * 10
        yield b"b" * 100_000
        yield b""
        yield b"c"

    peer = run(application, threads).send(get() + get())
    for reply in peer.replies(2):
        assert ("chunked", None) == (reply["transfer-encoding"], reply["content-length"])
        assert b"a" * 10 + b"b" * 100_000 + b"c" == reply.body


def test_a_reply_of_unknown_length_to_http_1_0_ends_with_the_connection(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    peer = run(application, threads).send(get("/", "Connection: keep-alive", version="1.0"))
    reply = peer.reply()
    assert (None, None, "close") == (reply["transfer-encoding"], reply["content-length"], reply["connection"])
    assert b"onetwo" == reply.body


def test_http_1_0_ends_without_keep_alive_and_goes_on_with_it(run: Run, threads: int, link: Link) -> None:
    running = run(hello, threads)
    peer = running.send(get(version="1.0"), link)
    reply = peer.reply()
    assert ("close", b"hello", b"") == (reply["connection"], reply.body, peer.rest())
    peer = running.connect(link)
    for _ in range(3):
        reply = peer.send(get("/", "Connection: Keep-Alive", version="1.0")).reply()
        assert ("keep-alive", b"hello") == (reply["connection"], reply.body)
    assert "close" == peer.send(get(version="1.0")).reply()["connection"]
    assert b"" == peer.rest()


def test_connection_close_is_heard_and_said(run: Run, threads: int) -> None:
    peer = run(hello, threads).send(get("/", "Connection: x, Close") + get())
    reply = peer.reply()
    assert ("close", b"hello") == (reply["connection"], reply.body)
    assert b"" == peer.rest()


def test_without_keep_alive_each_connection_has_one_request(run: Run) -> None:
    running = run(hello, keep_alive=0)
    peer = running.send(get() + get())
    assert ("close", b"") == (peer.reply()["connection"], peer.rest())
    assert 1 == running.counters["requests"]


def test_too_much_body_is_cut_at_its_content_length(run: Run, threads: int) -> None:
    bodies: dict[str, Any] = {
        "/list": [b"hello", b", and more"],
        "/inside": [b"hel", b"lo, and more"],
        "/large": [b"hello" + b"x" * 100_000],
        "/pieces": (piece for piece in (b"hello", b"more")),
    }

    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [("Content-Length", "5")])
        return bodies[environ["PATH_INFO"]]

    running = run(application, threads)
    peer = running.connect()
    for path in bodies:
        assert b"hello" == peer.send(get(path)).reply().body
    assert (b"hello", True) == (peer.send(get("/list")).reply().body, len(running.said) == 5)
    assert "more than its Content-Length of 5 bytes" in running.said[0]


def test_too_little_body_ends_the_connection(run: Run, threads: int) -> None:
    running = run(answering("200 OK", [("Content-Length", "10")], b"hello"), threads)
    peer = running.send(get() + get())
    raw = peer.rest()
    assert (1, True) == (raw.count(b"HTTP/1.1"), raw.endswith(b"\r\n\r\nhello"))
    assert "5 bytes less than its Content-Length of 10" in running.said[0]


@pytest.mark.parametrize("body", [[], [b""], [b"", b""], (), iter(()), iter([b""])])
def test_an_empty_body_has_a_length_of_nought(run: Run, body: Any) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        return body

    peer = run(application).send(get() + get())
    assert [("0", b"")] * 2 == [(reply["content-length"], reply.body) for reply in peer.replies(2)]


def test_a_reply_to_head_has_a_head_alone(run: Run, threads: int) -> None:
    bodies: dict[str, Any] = {
        "/list": (lambda: [b"hello"], "5", None),
        "/none": (list, None, None),
        "/pieces": (lambda: iter([b"hello", b"more"]), None, None),
        "/large": (lambda: [b"x" * 1_000_000], "1000000", None),
    }

    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        return bodies[environ["PATH_INFO"]][0]()

    peer = run(application, threads).connect()
    for path, (_, length, coding) in bodies.items():
        reply = peer.send(get(path, method="HEAD")).reply("HEAD")
        assert (length, coding, b"") == (reply["content-length"], reply["transfer-encoding"], reply.body)


def test_a_reply_to_head_keeps_the_length_that_the_application_gave(run: Run) -> None:
    peer = run(answering("200 OK", [("Content-Length", "1234")])).connect()
    for _ in range(2):
        assert "1234" == peer.send(get(method="HEAD")).reply("HEAD")["content-length"]


@pytest.mark.parametrize(
    ("status", "length", "kept"), [("204 No", None, None), ("204 No", "5", None), ("304 Same", "5", "5")]
)
def test_204_and_304_have_no_body(run: Run, status: str, length: str | None, kept: str | None) -> None:
    headers = [] if length is None else [("Content-Length", length)]
    peer = run(answering(status, headers, b"hello")).connect()
    for _ in range(2):
        reply = peer.send(get()).reply()
        assert (int(status[:3]), b"") == reply.summary
        assert (kept, None) == (reply["content-length"], reply["transfer-encoding"])


def test_write_after_the_peer_has_gone_raises_and_is_no_error_of_the_application(run: Run) -> None:
    ended = []

    def application(environ: Environ, start_response: Start) -> Any:
        write = start_response("200 OK", [])
        try:
            for _ in range(1000):
                write(b"x" * 1_000_000)
        except OSError as error:
            ended.append(type(error))
            raise
        return []

    running = run(application)
    peer = running.send(get())
    peer.socket.recv(1)
    peer.close()
    running.finish()
    assert ([BrokenPipeError], 0) == (ended, running.counters["errors"])


def test_only_the_thread_that_serves_the_request_may_write(run: Run) -> None:
    raised = []

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        write = start_response("200 OK", [])

        def other() -> None:
            try:
                write(b"theirs")
            except RuntimeError as error:
                raised.append(str(error))

        writing = threading.Thread(target=other)
        writing.start()
        writing.join()
        write(b"mine")
        return []

    assert b"mine" == run(application).ask().body
    assert ["write was called by another thread than the one that serves the request"] == raised
