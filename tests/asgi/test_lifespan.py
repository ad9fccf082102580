"""The lifespan: before the first request, after the last, and what becomes of an application that cannot begin."""

import asyncio
import signal
from typing import Any

import pytest

from lasthop.errors import DemoFailed
from lasthop.server import lifespan
from tests.asgi.conftest import Start, ask, quiet, said_by


def test_it_begins_before_the_first_request_and_ends_after_the_last(start: Start) -> None:
    server = start("applications:living")
    assert "begins" in server.said()
    connection = ask(server)
    connection.request("GET", "/")
    assert b'{"colour": "green"}' == connection.getresponse().read()
    assert "ends" not in server.said()
    assert 0 == server.stop()
    assert 1 == server.said().count("ends\n")


@pytest.mark.parametrize(
    ("target", "words"),
    [("cannot_start", "the database is away"), ("raises_at_start", "ValueError: as it should")],
)
def test_who_cannot_begin_is_not_served(start: Start, target: str, words: str) -> None:
    with pytest.raises(DemoFailed, match=words):
        start(f"applications:{target}", "--lifespan", "on")


def test_who_knows_no_lifespan_is_served_without(start: Start) -> None:
    server = start("applications:app")
    said_by(server, "[INFO] served without a lifespan: the application raised RuntimeError('there is none')")
    assert 1 == server.said().count("there is none")
    quiet(server)
    with pytest.raises(DemoFailed, match="there is none"):
        start("applications:app", "--lifespan", "on")
    start("applications:living", "--lifespan", "off")


def test_one_that_never_ends_is_not_waited_for_longer_than_the_grace(start: Start) -> None:
    server = start("applications:never_ends", "--graceful-timeout", "1")
    assert 0 == server.stop()
    said_by(server, "has not ended within 1 s; it is cancelled")


def test_requests_are_tasks_of_the_factory_that_it_sets(start: Start) -> None:
    server = start("applications:with_own_tasks")
    for _ in range(2):
        connection = ask(server)
        connection.request("GET", "/")
        assert b"OwnTask" == connection.getresponse().read()
    assert 0 == server.stop()
    quiet(server)


def test_a_message_that_answers_nothing_is_refused(start: Start) -> None:
    server = start("applications:says_what_nobody_asked")
    assert "refused: 'lifespan.shutdown.complete' was sent when it answers nothing" in server.said()
    assert "refused: a lifespan has no message of type 'http.response.start'" in server.said()
    assert 0 == server.stop()
    quiet(server)


def test_one_that_cancels_all_tasks_begins_in_order(start: Start) -> None:
    server = start("applications:begins_with_all")
    connection = ask(server)
    connection.request("GET", "/")
    assert b'{"colour": "green"}' == connection.getresponse().read()
    assert 0 == server.stop()
    assert 1 == server.said().count("ends\n")
    quiet(server)


def test_one_that_cancels_all_tasks_ends_in_order(start: Start) -> None:
    server = start("applications:ends_with_all")
    assert "refused: 'lifespan.startup.complete' was sent when it answers nothing" in server.said()
    connection = ask(server)
    connection.request("GET", "/")
    assert b"hello" == connection.getresponse().read()
    assert 0 == server.stop()
    assert 1 == server.said().count("ends\n")
    quiet(server)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_ends_in_order_when_the_server_is_interrupted(start: Start, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = start("applications:living", "--loop", loop)
    assert 0 == server.stop(signal.SIGINT)
    assert 1 == server.said().count("ends\n")
    assert "killing it" not in server.said()
    quiet(server)


def test_one_that_fails_while_requests_are_served_ends_nothing(start: Start) -> None:
    server = start("applications:fails_while_serving")
    for _ in range(2):
        connection = ask(server)
        connection.request("GET", "/")
        assert b"hello" == connection.getresponse().read()
    said_by(server, "lifespan failed while requests are served")
    assert 0 == server.stop()
    assert 1 == server.said().count("ValueError: as it should")


def test_a_start_may_take_longer_than_the_timeout_as_long_as_the_loop_turns(start: Start) -> None:
    server = start("applications:begins_slowly", "--timeout", "1")
    connection = ask(server)
    connection.request("GET", "/")
    assert b"hello" == connection.getresponse().read()
    quiet(server)


def test_a_start_that_holds_the_loop_up_is_ended(start: Start) -> None:
    with pytest.raises(
        DemoFailed, match=r"(?s)the application has been loading.*holds_the_loop_up.*stood still"
    ):
        start("applications:holds_the_loop_up", "--timeout", "1")


def test_with_no_grace_it_ends_in_order_all_the_same(start: Start) -> None:
    server = start("applications:living", "--graceful-timeout", "0")
    assert 0 == server.stop()
    assert 1 == server.said().count("ends\n")
    quiet(server)


def test_one_that_stops_the_loop_begins_and_ends_in_order(start: Start) -> None:
    server = start("applications:stops_the_loop_and_lives")
    connection = ask(server)
    connection.request("GET", "/")
    assert b"hello" == connection.getresponse().read()
    assert 0 == server.stop()
    assert ["startup ends", "shutdown ends"] == [
        line for line in server.said().splitlines() if line.endswith(" ends")
    ]
    quiet(server)


def test_a_start_that_takes_long_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lifespan, "LONG_SECONDS", 0.01)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        while not caplog.messages:
            await asyncio.sleep(0.01)
        await send({"type": "lifespan.startup.complete"})
        await receive()

    async def begin_and_end() -> None:
        living = lifespan.Lifespan(application, "shop:app", "on")
        await asyncio.wait_for(living.start(), 20)
        await living.stop(5)

    asyncio.run(begin_and_end())
    assert [
        "the application's lifespan has been starting for 0.01 s; nothing is served before it has"
    ] == caplog.messages
