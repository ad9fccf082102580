"""The lifespan: before the first request, after the last, and what becomes of an application that cannot begin."""

import pytest

from lasthop.errors import DemoFailed
from tests.asgi.conftest import Start, ask, said_by


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
    assert "there is none" not in server.said()
    with pytest.raises(DemoFailed, match="there is none"):
        start("applications:app", "--lifespan", "on")
    start("applications:living", "--lifespan", "off")


def test_one_that_never_ends_is_not_waited_for_longer_than_the_grace(start: Start) -> None:
    server = start("applications:never_ends", "--graceful-timeout", "1")
    assert 0 == server.stop()
    said_by(server, "has not ended within")
