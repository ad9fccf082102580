"""Messages whose parts are code that sends, and ways to keep what serves again: no byte too many leaves, and nobody meets another request."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import unix_connect

from lasthop.demo.serving import Serving
from tests.asgi.conftest import connect, quiet, said_by
from tests.asgi.test_tasks import get
from tests.conftest import Serve

ROOT = Path(__file__).parents[2]
HANDSHAKE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: {}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
Begin = Callable[[], Serving]


@pytest.fixture
def begin(serve: Serve) -> Begin:
    return lambda: serve("tests.asgi.sly:app", cwd=ROOT)


@pytest.mark.parametrize("when", ["", "?later"])
@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/fields_that_send", b"x-sent: by hand\r\n"),
        ("/trailers_that_send", b"0\r\nx-sent: by hand\r\n\r\n"),
        ("/links_that_send", b"Link: by hand\r\n\r\n"),
        ("/file_that_sends", b"Content-Length: 7\r\n"),
        ("/empty_files", b"\r\n\r\n5\r\nafter\r\n0\r\n\r\n"),
        ("/body_that_sends", b"\r\n\r\n7\r\na piece\r\n0\r\n\r\n"),
    ],
)
def test_no_message_comes_into_another(begin: Begin, path: str, when: str, end: bytes) -> None:
    """What follows on the connection is the next reply, and nothing before it."""
    server = begin()
    raw = connect(server)
    for _ in range(3):
        raw.get(path + when, "TE: trailers\r\n")
    raw.get("/ordered", "Connection: close\r\n")
    said = raw.rest()
    assert 4 == said.count(b"HTTP/1.1 200 OK")
    assert 3 == said.count(end)
    assert b"early" not in said
    assert said.endswith(b"in order")
    quiet(server)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "what", ["returns", "raises", "again", "trailers", "text", "short", "long", "path", "missing"]
)
def test_a_reply_that_was_begun_and_has_not_left_is_a_500(
    begin: Begin, what: str, method: str, version: str
) -> None:
    """One head, and whatever happened no part of another."""
    if what in ("short", "long", "path") and method == "HEAD":
        pytest.skip("a HEAD has no body to be of a wrong length")
    server = begin()
    raw = connect(server)
    raw.get(f"/begins?{what}", "Connection: close\r\n", version, method)
    said = raw.rest()
    assert said.startswith(b"HTTP/1.1 500 ")
    assert 1 == said.count(b"HTTP/1.1")
    assert said.endswith(b"Internal Server Error\n" if method == "GET" else b"\r\n\r\n")


def test_who_is_refused_a_message_may_send_a_better_one(begin: Begin) -> None:
    server = begin()
    raw = connect(server)
    raw.get("/goes_on")
    raw.get("/ordered", "Connection: close\r\n")
    said = raw.rest()
    assert 2 == said.count(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\nyesHTTP/1.1 " in said
    assert said.endswith(b"\r\n\r\nin order")
    quiet(server)


def test_a_status_is_what_it_is(begin: Begin) -> None:
    server = begin()
    raw = connect(server)
    for status in (5_000_000, -7, 10**30, 404):
        raw.get(f"/any_status?{status}", "Connection: close\r\n" if status == 404 else "")
    said = raw.rest()
    assert 3 == said.count(b"HTTP/1.1 500 ")
    assert 1 == said.count(b"HTTP/1.1 404 ")
    said_by(server, "a status is a number from 200 to 999: 5000000")


@pytest.mark.parametrize("how", ["exception", "exit", "interrupt"])
def test_whatever_stands_in_its_scope_a_request_that_fails_is_a_500(begin: Begin, how: str) -> None:
    server = begin()
    assert ["500", "500"] == get(server, *[f"/cannot_be_named?{how}"] * 2)
    said_by(server, "the application failed: a request whose scope cannot be shown")
    said_by(server, "LookupError: as it should")


def test_a_message_may_be_any_mapping(begin: Begin) -> None:
    server = begin()
    assert ["in order"] * 2 == get(server, "/ordered", "/ordered")
    quiet(server)


@pytest.mark.parametrize("when", ["", "?later"])
def test_the_keys_of_a_message_need_only_be_equal(begin: Begin, when: str) -> None:
    server = begin()
    assert ["well spelled"] * 2 == get(server, *[f"/spells_its_keys{when}"] * 2)
    quiet(server)


@pytest.mark.parametrize("when", ["", "?later"])
def test_a_message_may_be_emptied_while_it_is_looked_at(begin: Begin, when: str) -> None:
    server = begin()
    raw = connect(server)
    raw.get(f"/empties_its_messages{when}", "Connection: close\r\n")
    said = raw.rest()
    assert said.startswith(b"HTTP/1.1 201 Created\r\n" + b"x" * 20 + b": " + b"y" * 20 + b"\r\n")
    assert said.endswith(b"\r\n\r\n" + b"z" * 3_000)
    quiet(server)


@pytest.mark.parametrize("part", ["type", "status"])
def test_a_message_that_misses_a_part_is_a_500_and_the_log_tells_which(begin: Begin, part: str) -> None:
    server = begin()
    assert ["500"] * 2 == get(server, *[f"/misses_one?{part}"] * 2)
    said_by(server, f"KeyError: '{part}'")


def test_who_keeps_its_coroutine_sees_no_other_request_in_it(begin: Begin) -> None:
    server = begin()
    said = get(
        server, "/keeps_its_coroutine", "/looks_through_it", "/keeps_its_coroutine", "/looks_through_it"
    )
    assert ["kept", "False", "kept", "False"] == said
    quiet(server)


def test_what_is_remembered_of_its_calls_weakly_is_of_one_request(begin: Begin) -> None:
    server = begin()
    assert ["nothing nothing"] * 4 == get(server, *["/remembers_its_calls"] * 4)
    quiet(server)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a task does not tell its context")
def test_what_is_remembered_of_its_context_weakly_is_of_one_request(begin: Begin) -> None:
    server = begin()
    assert ["0"] * 4 == get(server, *["/remembers_its_context"] * 4)
    quiet(server)


@pytest.mark.parametrize("path", ["/throws_into_who_stands_by", "/cancels_it_twice"])
def test_what_is_done_to_the_task_that_stands_by_is_borne(begin: Begin, path: str) -> None:
    server = begin()
    raw = connect(server)
    raw.get(path, "Connection: close\r\n")
    assert ["in order"] * 2 == get(server, "/ordered", "/ordered")
    assert raw.rest().endswith(b"\r\n\r\n1" if path == "/throws_into_who_stands_by" else b"\r\n\r\nTrue True")
    assert ["in order"] * 2 == get(server, "/ordered", "/ordered")
    assert 0 == server.stop()
    assert "killing it" not in server.said()
    quiet(server)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a task does not tell its context")
def test_a_thread_may_run_in_the_context_that_stands_by(begin: Begin) -> None:
    server = begin()
    raw = connect(server)
    raw.get("/occupies_its_context", "Connection: close\r\n")
    assert ["in order"] == get(server, "/ordered")
    assert raw.rest().endswith(b"occupied")
    assert ["in order", "left", "in order"] == get(server, "/ordered", "/leaves_it", "/ordered")
    assert 0 == server.stop()
    quiet(server)


@pytest.mark.parametrize("when", ["", "?later"])
def test_who_cancels_all_tasks_ends_no_worker(begin: Begin, when: str) -> None:
    server = begin()
    assert ["cancelled", "in order", "cancelled"] == get(
        server, f"/cancels_all{when}", "/ordered", f"/cancels_all{when}"
    )
    said_by(server, "the application cancelled the server's own task; it goes on")
    assert 0 == server.stop()
    quiet(server)


# WebSockets


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_talks_is_told_that_the_server_ends(begin: Begin, number: signal.Signals) -> None:
    server = begin()
    with unix_connect(server.unix.removeprefix("unix:"), "ws://example.org/listens") as peer:
        server.process.send_signal(number)
        with pytest.raises(ConnectionClosed):
            peer.recv(20)
        assert 1012 == peer.close_code
    assert 0 == server.stop()
    said_by(server, "heard {'type': 'websocket.disconnect', 'code': 1012")
    quiet(server)


def test_a_denial_that_is_not_as_long_as_it_says_is_a_500(begin: Begin) -> None:
    server = begin()
    with pytest.raises(InvalidStatus) as caught:
        unix_connect(server.unix.removeprefix("unix:"), "ws://example.org/denied_shorter")
    assert 500 == caught.value.response.status_code
    said_by(server, "the body of the reply is 5 bytes shorter than its Content-Length of 7")


def test_a_handshake_is_answered_once(begin: Begin) -> None:
    server = begin()
    with unix_connect(server.unix.removeprefix("unix:"), "ws://example.org/accepts_while_it_closes") as peer:
        assert "talks" == peer.recv(20)
    quiet(server)


def test_who_speaks_another_version_is_told_which_is_spoken(begin: Begin) -> None:
    """RFC 9110, 15.5.22 and 7.8; RFC 6455, 4.4."""
    raw = connect(begin())
    raw.get("/denied_shorter", HANDSHAKE.format(8))
    said = raw.rest().lower()
    assert said.startswith(b"http/1.1 426 ")
    assert b"\r\nupgrade: websocket\r\n" in said
    assert b"\r\nconnection: upgrade\r\n" in said
    assert b"\r\nsec-websocket-version: 13\r\n" in said
