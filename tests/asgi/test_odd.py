"""What applications and peers do seldom, or should not do at all: no reply is mixed up with another, and nothing that is broken looks whole."""

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import unix_connect

from lasthop.demo.serving import Serving
from tests.asgi.conftest import Raw, ask, connect, quiet, said_by, until
from tests.conftest import Serve

ROOT = Path(__file__).parents[2]
HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
StartOdd = Callable[..., Serving]


@pytest.fixture
def start(serve: Serve) -> StartOdd:
    return lambda *options: serve("tests.asgi.odd:app", *options, cwd=ROOT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """More than a socket takes at once; beside it one that nobody may see."""
    (tmp_path / "secret").write_bytes(b"s" * 4_000_000)
    path = tmp_path / "file"
    path.write_bytes(b"f" * 4_000_000)
    return path


def text_of(server: Serving, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    connection = ask(server)
    connection.request("GET", path, headers=headers or {})
    reply = connection.getresponse()
    return reply.status, reply.read().decode()


def still_serves(server: Serving) -> None:
    assert (200, "nobody") == text_of(server, "/says_who")


def test_context_variables_do_not_leak_along_a_connection(start: StartOdd) -> None:
    server = start()
    raw = connect(server)
    raw.send(
        b"GET /sets_who HTTP/1.1\r\nHost: a\r\n\r\nGET /says_who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert raw.rest().endswith(b"nobody")


def test_context_variables_do_not_leak_to_others(start: StartOdd) -> None:
    server = start()
    stream = connect(server)
    stream.get("/streams_as_anna")
    for _ in range(150):
        still_serves(server)
    stream.close()


def test_a_file_is_not_sent_after_the_end(start: StartOdd, file: Path) -> None:
    server = start()
    raw = connect(server)
    raw.get(f"/file_after_the_end?{file}", "Connection: close\r\n")
    said_by(server, "late file: a file was sent before http.response.start, or after the end")
    assert b"f" not in raw.rest().partition(b"\r\n\r\n")[2].replace(b"1e8480", b"")
    still_serves(server)


def test_a_file_that_is_given_up_breaks_the_reply(start: StartOdd, file: Path) -> None:
    server = start()
    raw = connect(server)
    raw.get(f"/file_given_up?{file}")
    said_by(server, "given up RuntimeError")
    whole = raw.rest().partition(b"\r\n\r\n")[2]
    assert len(whole) < file.stat().st_size
    assert set(whole) <= set(b"f")
    still_serves(server)


def test_nothing_comes_into_a_file_that_is_under_way(start: StartOdd, file: Path) -> None:
    server = start()
    raw = connect(server)
    raw.get(f"/beside_a_file?{file}", "Connection: close\r\n")
    said_by(server, "has tried")  # the peer reads only now
    body = raw.rest().partition(b"\r\n\r\n")[2]
    words = b"RuntimeError RuntimeError RuntimeError"
    assert b"3d0900\r\n" + b"f" * 4_000_000 + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(words), words) == body
    quiet(server)


def test_a_file_that_nobody_waits_for_breaks_the_reply(start: StartOdd, file: Path) -> None:
    server = start()
    raw = connect(server)
    raw.get(f"/leaves_a_file_under_way?{file}")
    said_by(server, "returned before its reply was complete")
    assert len(raw.rest()) < file.stat().st_size
    still_serves(server)
    quiet(server)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/path_after_a_piece", "begun RuntimeError"),
        ("/odd_files", "TypeError ValueError ValueError"),
        ("/fails_half_way", "fine"),
        ("/created", ""),
    ],
)
def test_a_message_that_is_refused_leaves_nothing(start: StartOdd, file: Path, path: str, body: str) -> None:
    server = start()
    raw = connect(server)
    for close in ("", "Connection: close\r\n"):
        raw.get(f"{path}?{file}", close)
    assert 2 == raw.rest().count(b"HTTP/1.1 20")
    assert (201 if path == "/created" else 200, body) == text_of(server, f"{path}?{file}")
    quiet(server)


def test_what_is_short_of_its_length_never_looks_whole_with_trailers_either(start: StartOdd) -> None:
    server = start()
    raw = connect(server)
    raw.get("/short_with_trailers")
    raw.get("/says_who", "Connection: close\r\n")
    said = raw.rest()
    assert said.startswith(b"HTTP/1.1 500 ")
    assert 2 == said.count(b"HTTP/1.1 ")
    assert said.endswith(b"\r\n\r\nnobody")
    said_by(server, "97 bytes shorter")


def test_trailers_follow_a_file_and_are_fields_as_others(start: StartOdd, file: Path) -> None:
    server = start()
    raw = connect(server)
    raw.get(f"/file_with_trailers?{file}", "TE: trailers\r\nConnection: close\r\n")
    assert raw.rest().endswith(b"f\r\n0\r\nx-sum: 7\r\n\r\n")
    raw = connect(server)
    raw.get("/late_trailers", "TE: trailers\r\nConnection: close\r\n")
    raw.until(b"all of it\r\n")
    refused = b" ".join([b"ValueError"] * 5)
    assert b"0\r\nx-said: " + refused + b"\r\n\r\n" == raw.rest()
    quiet(server)


def test_one_task_streams_while_another_waits_for_the_body(start: StartOdd) -> None:
    server = start()
    raw = connect(server)
    raw.send(
        b"POST /receives_beside HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\nConnection: close\r\n\r\nabc"
    )
    time.sleep(0.2)  # more waits for the peer than it takes
    assert raw.rest().endswith(b"\r\n0\r\n\r\n")
    quiet(server)


def test_the_body_may_come_though_it_was_not_asked_for(start: StartOdd) -> None:
    server = start()
    raw = connect(server)
    raw.send(
        b"POST /receives_after_the_head HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    )
    assert raw.until(b"begun \r\n").startswith(b"HTTP/1.1 200 OK")
    raw.send(b"abc")
    assert b"3\r\nabc\r\n0\r\n\r\n" == raw.rest()
    quiet(server)


def test_who_gives_up_receiving_has_all_time(start: StartOdd) -> None:
    server = start("--body-timeout", "0.5")
    raw = connect(server)
    raw.send(b"POST /receives_for_a_while HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nabc")
    raw.until(b"without it")


def test_a_peer_whose_body_stalls_is_told(start: StartOdd) -> None:
    server = start("--body-timeout", "0.5")
    raw = connect(server)
    raw.send(b"POST /reads_it_all HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nabc")
    assert raw.rest().startswith(b"HTTP/1.1 408 ")
    quiet(server)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_is_asked_of_the_loop_while_a_task_is_made_is_done(start: StartOdd, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = start("--loop", loop)
    assert [(200, "collected")] * 100 == [text_of(server, "/collects") for _ in range(100)]
    assert (200, "100 100 100") == text_of(server, "/says_what_was_asked")
    quiet(server)


def test_the_scope_is_a_requests_own(start: StartOdd) -> None:
    server = start()
    said = [text_of(server, "/marks_the_scope") for _ in range(12)]
    assert {(200, "False 3.0")} == {(status, text[:9]) for status, text in said}


def test_a_reply_that_only_ends_with_its_connection_breaks_off_with_a_reset(start: StartOdd) -> None:
    server = start()
    raw = connect(server, server.tcp)
    raw.get("/breaks_off", version="1.0")
    raw.until(b"begun")
    with pytest.raises(ConnectionResetError):
        raw.rest()


def test_a_group_of_losses_is_a_loss(start: StartOdd) -> None:
    server = start()
    raw = connect(server)
    raw.get("/fails_in_a_group")
    raw.until(b"\r\n\r\n")
    raw.close()
    still_serves(server)
    assert 0 == server.stop()
    quiet(server)


@pytest.mark.parametrize("over_tcp", [False, True])
def test_who_stops_when_told_that_the_peer_has_gone_has_not_failed(start: StartOdd, over_tcp: bool) -> None:
    server = start()
    for path in ("/stops_when_told", "/stops_before_it_begins"):
        raw = connect(server, server.tcp if over_tcp else None)
        raw.get(path)
        said_by(server, f"{path} waits")
        raw.close()
        said_by(server, f"{path} was told")
    assert 0 == server.stop()
    assert "before its reply was complete" not in server.said()
    quiet(server)


# Stopping


def half_a_head(server: Serving) -> Raw:
    raw = connect(server)
    raw.send(b"GET / HT")
    return raw


def stalled_body(server: Serving) -> Raw:
    raw = connect(server)
    raw.send(b"POST /reads_it_all HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nabc")
    return raw


def silent_websocket(server: Serving) -> Raw:
    raw = connect(server)
    raw.get("/large", HANDSHAKE)
    raw.until(b"\r\n\r\n")
    return raw


def endless(server: Serving) -> Raw:
    raw = connect(server)
    raw.get("/sleeps_until_cancelled")
    raw.until(b"begun")
    return raw


@pytest.mark.parametrize("holds_up", [half_a_head, stalled_body, silent_websocket, endless])
@pytest.mark.parametrize("reload", [False, True])
def test_no_peer_keeps_the_application_from_its_end(
    start: StartOdd, holds_up: Callable[[Serving], Raw], reload: bool
) -> None:
    server = start("--graceful-timeout", "4")
    holds_up(server)
    still_serves(server)
    server.process.send_signal(signal.SIGHUP if reload else signal.SIGTERM)
    said_by(server, "lifespan ends")
    if holds_up is endless:
        assert "cancelled\n" in server.said()
    if not reload:
        assert 0 == server.process.wait(20)
    assert "killing it" not in server.said()


# WebSockets


def connections(server: Serving) -> int:
    (worker,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return len(list(Path(f"/proc/{worker}/fd").iterdir()))


def test_nothing_is_left_of_who_was_not_heard(start: StartOdd) -> None:
    server = start()
    still_serves(server)
    before = connections(server)
    message = b"\x82\xfe\x03\xe8\0\0\0\0" + bytes(1000)
    for _ in range(5):
        raw = connect(server)
        raw.get("/ends_unread", HANDSHAKE)
        raw.until(b"\r\n\r\n")
        raw.send(message * 300 + b"\x88\x82\0\0\0\0\x03\xe8")
        raw.rest()
        raw.close()
    until(lambda: connections(server) <= before, server.said)
    assert 0 == server.stop()
    quiet(server)


def test_a_denial_that_fails_is_a_500(start: StartOdd) -> None:
    server = start()
    for path in ("/half_denied", "/denied_with_text"):
        with pytest.raises(InvalidStatus) as caught:
            unix_connect(server.unix.removeprefix("unix:"), f"ws://example.org{path}")
        assert 500 == caught.value.response.status_code


def test_who_answers_a_handshake_whose_peer_has_gone_answers_nobody(start: StartOdd) -> None:
    server = start()
    raw = connect(server)
    raw.get("/answers_late", HANDSHAKE)
    raw.close()
    said_by(server, "has answered nobody")
    quiet(server)


def test_a_large_message_may_take_longer_than_the_time_for_a_reply(start: StartOdd) -> None:
    server = start("--reply-timeout", "1")
    raw = connect(server)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    raw.get("/large", HANDSHAKE)
    raw.until(b"\r\n\r\n")
    got = 0
    while got < 4_000_010:
        piece = raw.socket.recv(160_000)
        assert piece, got
        got += len(piece)
        time.sleep(0.1)  # steadily, but two and a half seconds for all of it
    assert 4_000_010 == got
