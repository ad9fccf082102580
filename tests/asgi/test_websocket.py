"""WebSockets through the real server, with the websockets library as the other end."""

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect, unix_connect

from lasthop.demo.serving import Serving
from tests.asgi.conftest import Start, ask, opened, quiet, said_by, until
from tests.asgi.conftest import connect as connect_raw
from tests.conftest import Serve
from tests.live import watching


def talk(server: Serving, path: str = "/", link: str = "unix", **options: Any) -> ClientConnection:
    options = {"max_size": None, "open_timeout": 20, "close_timeout": 20} | options
    if link == "unix":
        return unix_connect(server.unix.removeprefix("unix:"), f"ws://example.org{path}", **options)
    return connect(f"ws://{server.tcp}{path}", **options)


def held(manager: ClientConnection) -> ClientConnection:
    """Open until the test has ended, or closes it."""
    connection = manager.__enter__()
    opened.append(connection)
    return connection


def ending(connection: ClientConnection) -> tuple[int, str]:
    """The close frame that comes."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            connection.recv(timeout=20)
    assert connection.close_code is not None
    return connection.close_code, connection.close_reason or ""


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_come_back(start: Start, link: str, compression: str | None) -> None:
    server = start("applications:socket")
    with talk(server, link=link, compression=compression) as peer:
        for message in ("", "hello", "ü" * 70_000, b"", bytes(range(256)), b"x" * 5_000_000):
            peer.send(message)
            assert message == peer.recv(timeout=20)
        peer.send(iter(["in ", "three ", "pieces"]))
        assert "in three pieces" == peer.recv(timeout=20)
        peer.ping().wait(20)
    said_by(server, "websocket ended: 1000")
    quiet(server)


def test_subprotocol_and_headers_of_the_handshake(start: Start) -> None:
    server = start("applications:socket")
    with talk(server, "/greeting", subprotocols=["chat", "other"]) as peer:
        assert "chat" == peer.subprotocol
        assert peer.response is not None
        assert "/greeting" == peer.response.headers["x-seen"]


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/denied", 403, b""), ("/denial", 418, b"a teapot"), ("/fails", 500, b""), ("/returns", 500, b"")],
)
def test_a_handshake_that_is_not_accepted(start: Start, path: str, status: int, body: bytes) -> None:
    server = start("applications:socket")
    with pytest.raises(InvalidStatus) as caught:
        held(talk(server, path))
    assert (status, body) == (caught.value.response.status_code, bytes(caught.value.response.body or b""))


def test_how_it_ends(start: Start) -> None:
    server = start("applications:socket", "--ws-max-size", "1KiB")
    with talk(server) as peer:
        peer.send("close")
        assert (4001, "asked") == ending(peer)
    with talk(server, "/fails_later") as peer:
        assert 1011 == ending(peer)[0]
    with talk(server, compression=None) as peer:
        peer.send("x" * 1025)
        assert 1009 == ending(peer)[0]
    said_by(server, "websocket ended: 1009")
    with talk(server) as peer:
        peer.close(4002, "mine")
    said_by(server, "websocket ended: 4002")
    peer = held(talk(server))
    peer.socket.shutdown(socket.SHUT_RDWR)
    said_by(server, "websocket ended: 1006")
    peer.close()


def test_a_peer_that_is_quiet_is_asked_and_one_that_is_gone_is_let_go(start: Start) -> None:
    server = start("applications:socket", "--ws-ping-interval", "0.2", "--ws-ping-timeout", "0.5")
    raw = connect_raw(server)
    raw.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in raw.until(b"\r\n\r\n")
    assert raw.socket.recv(1) == b"\x89"  # a ping, which nobody answers
    raw.rest()
    said_by(server, "websocket ended: 1006")


def test_frames_that_come_with_the_handshake_are_not_lost(start: Start) -> None:
    server = start("applications:socket")
    raw = connect_raw(server)
    raw.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        b"\x81\x82\0\0\0\0hi"
    )
    raw.until(b"\r\n\r\n")
    assert b"\x81\x02hi" == raw.until(b"hi")
    raw.close()


def test_a_bad_handshake_is_refused_and_a_plain_request_is_served(start: Start) -> None:
    server = start("applications:socket")
    raw = connect_raw(server)
    raw.get(
        "/",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    )
    text = raw.rest()
    assert text.startswith(b"HTTP/1.1 426 ")
    assert b"sec-websocket-version: 13" in text.lower()
    connection = ask(server)
    connection.request("GET", "/")
    assert b"hello" == connection.getresponse().read()


def test_a_peer_that_does_not_read_holds_the_application_back(start: Start) -> None:
    server = start(
        "applications:socket", "--ws-ping-interval", "0"
    )  # a ping could cover up for a wake-up that is lost
    peer = held(talk(server, "/floods", compression=None, ping_interval=None))
    for _ in range(3):
        with talk(server) as other:
            other.send("hello")
            assert "hello" == other.recv(timeout=20)
    assert "flooded" not in server.said()
    for _ in range(1000):
        assert 65536 == len(peer.recv(timeout=20))
    said_by(server, "flooded")
    peer.close()


def test_an_application_that_does_not_take_messages_holds_the_peer_back(start: Start) -> None:
    server = start("applications:socket")
    raw = connect_raw(server)
    raw.send(
        b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    raw.until(b"\r\n\r\n")
    raw.socket.setblocking(False)
    frame = b"\x82\xfe\x40\x00\0\0\0\0" + bytes(0x4000)
    sent = 0
    try:
        while sent < 50 << 20:
            sent += raw.socket.send(frame)
    except BlockingIOError:
        pass
    assert sent < 2 << 20
    raw.close()


@pytest.mark.parametrize("target", ["applications:socket", "applications:plain"])
def test_without_the_library_requests_are_served(serve: Serve, short_directory: Path, target: str) -> None:
    package = short_directory / "missing" / "websockets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'websockets'\")")
    server = serve(target, env={"PYTHONPATH": os.pathsep.join([str(package.parent), *sys.path])})
    raw = connect_raw(server)
    raw.get(
        "/",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    )
    assert raw.until(b"hello").startswith(b"HTTP/1.1 200 OK\r\n")
    if target == "applications:socket":
        said_by(server, "pip install 'lasthop[websocket]'")
    quiet(server)


def test_a_stop_tells_everybody(start: Start) -> None:
    server = start("applications:socket")
    peers = [held(talk(server)) for _ in range(20)]
    server.process.terminate()
    assert {1012} == {ending(peer)[0] for peer in peers}
    for peer in peers:
        peer.close()
    assert 0 == server.process.wait(20)
    assert 20 == server.said().count("websocket ended: 1012")
    quiet(server)


def test_a_reload_sends_everybody_to_the_new_workers(start: Start) -> None:
    server = start("applications:socket")
    peers = [held(talk(server, link=link)) for link in ("unix", "tcp") * 5]
    server.process.send_signal(signal.SIGHUP)
    assert {1012} == {ending(peer)[0] for peer in peers}
    for peer in peers:
        peer.close()
    said_by(server, "reloaded")
    with talk(server) as peer:
        peer.send("hello")
        assert "hello" == peer.recv(timeout=20)
    quiet(server)


def test_without_anybody_left_nothing_is_left(start: Start) -> None:
    server = start("applications:socket")
    for _ in range(20):
        peer = held(talk(server))
        peer.send("hello")
        assert "hello" == peer.recv(timeout=20)
        peer.socket.shutdown(socket.SHUT_RDWR)
    until(lambda: server.said().count("websocket ended") == 20, server.said)
    quiet(server)


def test_one_that_is_too_old_is_told_of_and_nothing_else_suffers(serve: Serve, tmp_path: Path) -> None:
    """A stand-in for a release of the library that lacks what is needed."""
    (tmp_path / "websockets").mkdir()
    (tmp_path / "websockets/__init__.py").touch()
    (tmp_path / "websockets/datastructures.py").write_text("class MultiDict: ...\n")
    server = serve(
        "applications:socket", env={"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    )
    assert "too old (cannot import name 'Headers'" in server.said()
    connection = ask(server)
    connection.request("GET", "/")
    assert b"hello" == connection.getresponse().read()
    quiet(server)


HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize("closing", [False, True])
def test_pings_of_a_peer_that_does_not_read_are_no_burden(start: Start, closing: bool) -> None:
    # Who closes reads no more of it, and lets go of it when it has taken nothing for so long.
    server = start("applications:socket", *(["--reply-timeout", "2"] if closing else []))
    worker = watching.only_worker(server.pid)
    raw = connect_raw(server)
    raw.get("/", HANDSHAKE)
    raw.until(b"\r\n\r\n")
    if closing:
        raw.send(b"\x81\x85\0\0\0\0close")
    before = watching.memory(worker)
    watching.forget_peak(worker)
    pings = (b"\x89\xfd\0\0\0\0" + b"p" * 125) * 10_000
    sent = 0
    with contextlib.suppress(OSError) if closing else contextlib.nullcontext():
        while sent < 100_000_000:
            sent += raw.socket.send(pings[sent % len(pings) :])
    assert watching.grew(worker, before) < 20_000_000
    raw.close()
    quiet(server)


def test_of_many_pings_the_last_is_answered_once_the_peer_reads(start: Start) -> None:
    server = start("applications:socket")
    raw = connect_raw(server)
    raw.get("/", HANDSHAKE)
    raw.until(b"\r\n\r\n")
    raw.send((b"\x89\xfd\0\0\0\0" + b"p" * 125) * 50_000 + b"\x89\x84\0\0\0\0last")
    pong = b"\x8a\x7d" + b"p" * 125
    said = b""
    while not said.endswith(b"\x8a\x04last"):
        said += raw.socket.recv(65536)
    assert said.removesuffix(b"\x8a\x04last").replace(pong, b"") == b""
    assert len(said) < 40_000 * len(pong)
    raw.send(b"\x81\x82\0\0\0\0hi")
    assert b"\x81\x02hi" == raw.until(b"hi")
    raw.close()


def test_the_handshakes_reply_has_each_of_its_fields_once(start: Start) -> None:
    server = start("applications:socket")
    for path, date in (("/own_headers", b"never"), ("/", b"GMT")):
        raw = connect_raw(server)
        raw.get(path, HANDSHAKE)
        head = raw.until(b"\r\n\r\n").lower()
        assert (1, 1) == (head.count(b"\r\ndate: "), head.count(b"\r\nserver: "))
        assert date.lower() in head
        raw.close()


def test_a_handshake_by_http_1_0_is_a_plain_request_and_the_log_says_why(start: Start) -> None:
    server = start("applications:socket")
    for _ in range(2):
        raw = connect_raw(server)
        raw.get("/", HANDSHAKE, version="1.0")
        assert raw.rest().endswith(b"\r\n\r\nhello")
    said_by(
        server, "it came by HTTP/1.0, which has none; if from a front, in nginx by: proxy_http_version 1.1;"
    )
    assert 1 == server.said().count("HTTP/1.0")
