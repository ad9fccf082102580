"""A burst: each of its connections has one fate, and all are told."""

import resource
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from lasthop.engine.load import burst
from tests.engine.answering import Floor, Talk, always, once, reply
from tests.engine.conftest import Answer
from tests.engine.running import Link, get

HELLO = reply()


def fire(address: Any, count: int, request: bytes = get(), **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = burst(address, count, request, **options)  # type: ignore[no-untyped-call]
    fates = found["refused"] + found["replied"] + found["timed_out"] + sum(found["other"].values())
    assert count == found["asked"] == fates
    assert found["connected"] == sum(number for _, number in found["connect"])
    assert found["replied"] == sum(number for _, number in found["reply"]) == sum(found["statuses"].values())
    return found


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("count", [1, 200, 1500])
def test_all_are_answered_where_the_queue_has_room(floor: Floor, link: Link, count: int) -> None:
    found = fire(floor.addresses[link], count)
    assert (count, 0, {}, 0) == (found["connected"], found["refused"], found["other"], found["timed_out"])
    assert {200: count} == found["statuses"]
    assert 0 < found["slowest_connect_ns"] < 5_000_000_000
    assert 0 < found["slowest_reply_ns"] < 5_000_000_000


@pytest.mark.parametrize("link", ["unix", "tcp", "tcp6"])
def test_each_asks_once_and_closes(answer: Answer, link: Link) -> None:
    server = answer(always(HELLO))
    found = fire(server.addresses[link], 60)
    assert {200: 60} == found["statuses"]
    assert (60, 60) == (server.asked(), server.accepted)


def test_a_full_queue_refuses_the_rest_over_a_socket_file(short_directory: Path) -> None:
    path = str(short_directory / "full.sock")
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(path)
        full.listen(4)
        begun = time.monotonic()
        found = fire(path, 20, seconds=0.2)
    assert (5, 15, 5) == (found["connected"], found["refused"], found["timed_out"])
    assert 0.2 <= time.monotonic() - begun < 2


def test_a_full_queue_delays_over_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4) as full:
        found = fire(full.getsockname(), 20, seconds=0.2)
    assert (0, 20) == (found["refused"], found["timed_out"])
    assert 5 <= found["connected"] < 20


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_nobody_there_refuses_all(short_directory: Path, link: Link) -> None:
    path = str(short_directory / "dead.sock")
    with socket.socket() as taken, socket.socket(socket.AF_UNIX) as dead:
        taken.bind(("127.0.0.1", 0))
        dead.bind(path)
        found = fire(path if link == "unix" else taken.getsockname(), 10)
    assert (0, 10) == (found["connected"], found["refused"])


def test_a_socket_file_that_is_not_there_is_told_apart(short_directory: Path) -> None:
    found = fire(str(short_directory / "none.sock"), 10)
    assert (0, 0, {"ENOENT": 10}) == (found["connected"], found["refused"], found["other"])


def test_what_goes_wrong_later_is_told(answer: Answer) -> None:
    fates = [HELLO, HELLO[:-1], b"no reply at all\r\n", b""]

    def talk(peer: Talk) -> None:
        peer.head()
        with peer.server.lock:
            text = fates.pop(0)
        if text:
            peer.send(text)
        else:
            peer.server.over.wait(20)

    found = fire(answer(talk).path, 4, seconds=0.3)
    assert ({200: 1}, {"early_end": 1, "malformed": 1}, 1) == (
        found["statuses"],
        found["other"],
        found["timed_out"],
    )


def test_a_reset_is_told_by_its_name(answer: Answer) -> None:
    def talk(peer: Talk) -> None:
        peer.head()
        peer.reset()

    assert {"ECONNRESET": 5} == fire(answer(talk).addresses["tcp"], 5)["other"]


def test_replies_of_all_forms_are_read(answer: Answer) -> None:
    until_the_end = b"HTTP/1.0 200 OK\r\n\r\n" + bytes(300_000)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    for text in (until_the_end, chunked, HELLO):
        assert {200: 10} == fire(answer(once(text)).path, 10)["statuses"]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert {200: 3} == fire(answer(always(head)).path, 3, get(method="HEAD"))["statuses"]


def test_a_large_request_goes_out_whole(answer: Answer) -> None:
    body = bytes(3_000_000)

    def talk(peer: Talk) -> None:
        peer.head()
        peer.body(len(body))
        peer.send(HELLO)

    assert {200: 5} == fire(answer(talk).path, 5, get("/", f"Content-Length: {len(body)}") + body)["statuses"]


def test_times_run_from_before_connecting(answer: Answer) -> None:
    def talk(peer: Talk) -> None:
        peer.head()
        time.sleep(0.2)
        peer.send(HELLO)

    found = fire(answer(talk).path, 3)
    assert 200_000_000 < found["slowest_reply_ns"] < 2_000_000_000
    assert found["slowest_connect_ns"] < 200_000_000


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("/x", 0, get()), ValueError, "count is 0"),
        (("/x", 1.5, get()), TypeError, "count is a whole number"),
        (("/x", True, get()), TypeError, "count"),
        (("/x", 1 << 70, get()), ValueError, "count"),
        (("/x", 1, b""), ValueError, "the request is empty"),
        (("/x", 1, "GET"), TypeError, "a request is bytes, not str"),
        ((None, 1, get()), TypeError, "an address is"),
        ((("localhost", 1), 1, get()), ValueError, "names are not looked up"),
    ],
)
def test_what_is_no_burst_is_refused(arguments: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        burst(*arguments)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds is"):
        fire("/x", 1, seconds=seconds)


def test_too_few_descriptors_are_said_beforehand() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    try:
        with pytest.raises(OSError, match="this process may have 300"):
            fire("/x", 500)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
