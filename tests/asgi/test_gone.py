"""The peer goes away, at each possible moment; the server stops; a worker is stuck. Nothing is left behind."""

import json
import signal
import socket
import time
from typing import Any

import pytest

from lasthop.demo.serving import Serving
from tests.asgi.conftest import Start, ask, connect, quiet, said_by, until

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"


def totals(server: Serving, path: str) -> dict[str, Any]:
    connection = ask(server, f"unix:{path}")
    connection.request("GET", "/status")
    told: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return told


def nobody_is_connected(server: Serving, path: str) -> bool:
    workers = totals(server, path)["workers"]
    return [(0, 0)] == [(each["connections"], each["threads_busy"]) for each in workers]


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /hel",
        GET % b"hello",
        GET % b"sleep?0.1",
        GET % b"sleep?5",
        GET % b"waits_for_the_end",
        GET % b"stream",
        GET % b"background",
        GET % b"disconnects_after_reply",
        POST % b"echo",
        POST % b"echo" + b"12345",
        POST % b"echo" + b"1234567890",
        POST % b"waits_for_the_end" + b"1234567890",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        GET % b"hello" * 3 + b"GET /",
        GET % b"sleep?0.1" * 3,
    ],
    ids=range(16),
)
@pytest.mark.parametrize("how", ["closes", "resets", "ends its side"])
def test_nothing_is_left_when_the_peer_goes(
    start: Start, short_directory: Any, link: str, said: bytes, how: str
) -> None:
    status = f"{short_directory}/status"
    server = start("applications:app", "--status-socket", f"unix:{status}")
    peers = [connect(server, getattr(server, link)) for _ in range(5)]
    for peer in peers:
        peer.send(said)
        if how == "resets" and link == "tcp":
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if how == "ends its side":
            peer.socket.shutdown(socket.SHUT_WR)
        else:
            peer.close()
    if b"sleep?5" not in said and how == "ends its side":
        for peer in peers:
            peer.rest()
            peer.close()
    if b"sleep?5" not in said:
        until(lambda: nobody_is_connected(server, status), lambda: totals(server, status))
    connection = ask(server)
    connection.request("GET", "/hello")
    assert b"hello" == connection.getresponse().read()
    connection.close()
    for peer in peers:
        peer.close()
    server.stop()
    told = server.said()
    assert [] == [
        word
        for word in ("was destroyed", "never awaited", "never retrieved", "Exception ignored")
        if word in told
    ], told


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_the_application_hears_at_once_that_the_peer_has_gone(start: Start, link: str) -> None:
    server = start()
    raw = connect(server, getattr(server, link))
    raw.get("/waits_for_the_end")
    said_by(server, "waits")
    raw.close()
    said_by(server, "then: http.disconnect")


def test_after_the_reply_there_is_nothing_more_to_receive(start: Start) -> None:
    server = start()
    connection = ask(server)
    connection.request("GET", "/disconnects_after_reply")
    assert b"done" == connection.getresponse().read()
    said_by(server, "after the reply: http.disconnect")
    connection.request("GET", "/hello")
    assert b"hello" == connection.getresponse().read()


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_an_endless_reply_ends_with_its_peer(start: Start, link: str) -> None:
    server = start()
    raw = connect(server, getattr(server, link))
    raw.get("/endless")
    raw.until(b"\r\n\r\n")
    raw.close()
    said_by(server, "endless ended: BrokenPipeError")


def test_a_peer_that_does_not_read_holds_the_application_back(start: Start) -> None:
    server = start()
    raw = connect(server)
    raw.get("/endless")
    raw.until(b"\r\n\r\n")
    connection = ask(server)
    for _ in range(3):
        connection.request("GET", "/sleep?0.1")
        connection.getresponse().read()
    assert "gave 4 MiB" not in server.said()
    while "gave 4 MiB" not in server.said():
        assert raw.socket.recv(1 << 20)
    raw.close()
    said_by(server, "endless ended")


def test_a_task_goes_on_after_its_reply_and_keeps_nobody_waiting(start: Start) -> None:
    server = start()
    connection = ask(server)
    connection.request("GET", "/background")
    assert b"done" == connection.getresponse().read()
    connection.request("GET", "/hello")
    assert b"hello" == connection.getresponse().read()
    said_by(server, "background ended")


def test_a_stop_lets_requests_and_tasks_end(start: Start) -> None:
    server = start()
    waiting, done = connect(server), ask(server)
    waiting.get("/sleep?0.5")
    done.request("GET", "/background")
    done.getresponse().read()
    server.process.send_signal(signal.SIGTERM)
    assert b"200 OK" in waiting.rest()
    assert 0 == server.process.wait(20)
    assert "background ended" in server.said()
    quiet(server)


def test_a_stop_cuts_off_what_does_not_end(start: Start) -> None:
    server = start("applications:app", "--graceful-timeout", "3")
    raw = connect(server)
    raw.get("/sleep?3600")
    hello = ask(server)
    hello.request("GET", "/hello")
    hello.getresponse().read()
    server.process.send_signal(signal.SIGTERM)
    assert raw.rest().startswith(b"HTTP/1.1 500 ")
    assert 0 == server.process.wait(20)
    said_by(server, "have not ended in time are cancelled: 1: GET '/sleep'")
    quiet(server)


def test_what_goes_on_after_its_reply_is_told_of_when_it_is_cut_off(start: Start) -> None:
    server = start("applications:app", "--graceful-timeout", "3")
    for _ in range(2):
        done = ask(server)
        done.request("GET", "/background?3600")
        done.getresponse().read()
    assert 0 == server.stop()
    assert server.said().count("GET '/background' (after its reply)") == 2
    quiet(server)


def test_a_reload_loses_no_request(start: Start) -> None:
    server = start("applications:app", "--workers", "2")
    kept = ask(server)
    kept.request("GET", "/pid")
    before = kept.getresponse().read()
    slow = connect(server)
    slow.get("/sleep?1")
    server.process.send_signal(signal.SIGHUP)
    said_by(server, "reloaded")
    assert b"200 OK" in slow.until(b"\r\n\r\n")
    kept.request("GET", "/pid")
    assert before == kept.getresponse().read()
    fresh = ask(server)
    fresh.request("GET", "/pid")
    assert before != fresh.getresponse().read()


def test_workers_retire_after_so_many_requests(start: Start) -> None:
    server = start("applications:app", "--max-requests", "5")
    seen: set[bytes] = set()
    give_up = time.monotonic() + 20
    while len(seen) < 3 and time.monotonic() < give_up:
        connection = ask(server)
        connection.request("GET", "/pid")
        seen.add(connection.getresponse().read())
        connection.close()
    assert len(seen) >= 3


def answers(server: Serving) -> bool:
    connection = ask(server)
    try:
        connection.request("GET", "/hello")
        return connection.getresponse().read() == b"hello"
    except ConnectionError:
        return False


def test_a_loop_that_does_not_turn_is_shown_and_replaced(start: Start) -> None:
    server = start("applications:app", "--timeout", "1")
    raw = connect(server)
    raw.get("/blocks?30")
    said_by(server, "applications.py")
    said_by(server, "in blocks")
    said_by(server, "which was stuck, was ended by SIGABRT; starting another")
    until(
        lambda: answers(server)
    )  # the one that is stuck takes connections as long as it lives, and then they end with it


def test_a_loop_that_rests_is_not_stuck(start: Start) -> None:
    server = start("applications:app", "--timeout", "3")
    connection = ask(server)
    connection.request("GET", "/pid")
    before = connection.getresponse().read()
    connection.request("GET", "/sleep?6")
    assert before == connection.getresponse().read()


def test_a_worker_that_nobody_asks_is_not_stuck(start: Start) -> None:
    server = start("applications:app", "--timeout", "1")
    pids = set()
    for seconds in (0, 4):
        time.sleep(seconds)  # in which nobody has a connection
        connection = ask(server)
        connection.request("GET", "/pid")
        pids.add(connection.getresponse().read())
        connection.close()
    assert 1 == len(pids)
    quiet(server)
