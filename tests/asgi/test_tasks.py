"""Each request has a task of its own, as far as anybody can tell: what it does with it, or leaves in it, reaches no other."""

from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path

import pytest

from lasthop.demo.serving import Serving
from tests.asgi.conftest import ask, connect, quiet, said_by
from tests.conftest import Serve

ROOT = Path(__file__).parents[2]
Begin = Callable[[], Serving]


@pytest.fixture(params=["asyncio", "uvloop"])
def begin(request: pytest.FixtureRequest, serve: Serve) -> Begin:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return lambda: serve("tests.asgi.tasks:app", "--loop", request.param, cwd=ROOT)


def get(server: Serving, *paths: str) -> list[str]:
    """What is said one after the other over one connection."""
    connection = ask(server)
    said = []
    for path in paths:
        connection.request("GET", path)
        answer: HTTPResponse = connection.getresponse()
        body = answer.read().decode()
        said.append(body if answer.status == 200 else str(answer.status))
    return said


def test_each_has_a_name_of_its_own(begin: Begin) -> None:
    names = get(begin(), *["/name"] * 5)
    assert 5 == len({each for each in names if each.startswith("request-")})


def test_who_keeps_its_task_sees_it_end_and_no_other_request_in_it(begin: Begin) -> None:
    server = begin()
    said = get(server, "/keeps_it", "/keeps_it_and_fails", "/keeps_it", "/what_was_kept")
    assert ["kept", "500", "kept", "None ValueError('as it should') None 3"] == said
    server.stop()
    assert "never retrieved" not in server.said()


def test_what_is_remembered_of_a_task_weakly_is_of_one_request(begin: Begin) -> None:
    server = begin()
    assert ["nothing"] * 3 == get(server, *["/remembers_weakly"] * 3)
    quiet(server)


def test_who_waits_for_the_end_of_its_task_is_called(begin: Begin) -> None:
    server = begin()
    assert ["asked"] == get(server, "/asks_to_be_called")
    said_by(server, "done: None")
    quiet(server)


def test_context_variables_are_one_requests(begin: Begin) -> None:
    server = begin()
    assert ["nobody set before"] * 3 == get(server, *["/sets_who"] * 3)
    assert ["set before"] * 3 == get(server, *["/sets_always"] * 3)
    assert ["berta", "berta", "nobody set before"] == get(
        server, "/own_context", "/own_context?later", "/sets_who"
    )
    quiet(server)


def test_who_is_cancelled_is_it_alone(begin: Begin) -> None:
    server = begin()
    assert ["cancelled", "cancelled"] == get(server, "/cancels_itself", "/cancels_itself")
    assert ["a reason 0", "a reason 0"] == get(
        server, "/thinks_better_of_it?future", "/thinks_better_of_it?none"
    )
    assert ["timeout group"] * 2 == get(server, "/timeouts", "/timeouts")
    quiet(server)


def test_a_task_that_stands_by_may_be_cancelled(begin: Begin) -> None:
    server = begin()
    raw = connect(server)
    raw.get("/cancels_who_stands_by", "Connection: close\r\n")
    assert get(server, "/name")[0].startswith("request-")
    assert raw.rest().endswith(b"\r\n\r\n1")
    assert ["nobody set before"] * 2 == get(server, "/sets_who", "/sets_who")
    assert 0 == server.stop()
    quiet(server)


def test_it_is_seen_as_the_applications(begin: Begin) -> None:
    (said,) = get(begin(), "/looks_like")
    assert "coro=<app() running at" in said
    assert "PATHS[scope" in said


def test_several_wait_for_one_future(begin: Begin) -> None:
    server = begin()
    several = [connect(server) for _ in range(8)]
    for raw in several:
        raw.get("/shares", "Connection: close\r\n")
    assert ["given"] == get(server, "/gives")
    quiet(server)
    assert {b"shared"} == {raw.rest()[-6:] for raw in several}


def test_what_cannot_be_awaited_is_a_500(begin: Begin) -> None:
    server = begin()
    assert ["500", "500"] == get(server, "/waits_wrongly", "/waits_wrongly")
    said_by(server, "RuntimeError: Task got bad yield")


def test_a_traceback_begins_with_the_application(begin: Begin) -> None:
    server = begin()
    assert ["500", "500"] == get(server, "/keeps_it_and_fails", "/fails_later")
    said_by(server, "LookupError: as it should")
    firsts = [after.split()[1] for after in server.said().split("(most recent call last):")[1:]]
    assert [f'"{ROOT}/tests/asgi/tasks.py",'] * 2 == firsts


def test_a_collection_finds_no_task_that_serves(begin: Begin) -> None:
    server = begin()
    assert ["left"] * 20 == get(server, *["/leaves_cycles"] * 20)
    assert 0 == server.stop()
    quiet(server)


def test_attributes_of_a_task_are_one_requests(begin: Begin) -> None:
    assert ["nobody"] * 3 == get(begin(), *["/attribute"] * 3)


def test_a_context_that_others_have_serves_no_other_request(begin: Begin) -> None:
    server = begin()
    assert ["nobody"] * 3 == get(server, *["/lends_its_context"] * 3)
    assert ["entered"] * 3 == get(server, *["/enters_its_context_elsewhere"] * 3)
    quiet(server)


def test_who_looks_into_a_task_finds_nothing_that_breaks(begin: Begin) -> None:
    server = begin()
    expected = "None ValueError the task has gone on no task's"
    assert [expected] * 2 == get(server, "/name", "/looks_into_its_task", "/looks_into_its_task")[1:]
    quiet(server)


def test_all_tasks_can_be_shown(begin: Begin) -> None:
    (said,) = get(begin(), "/dumps_all")
    assert "looping.py" in said
    assert "PATHS[scope" in said


def test_a_task_factory_counts_from_when_it_is_set(begin: Begin) -> None:
    server = begin()
    assert ["Task", "set", "Made", "Made"] == [
        get(server, path)[0] for path in ("/kind", "/sets_a_factory", "/kind", "/kind")
    ]
    quiet(server)


def test_what_a_plain_function_does_belongs_to_the_request_too(serve: Serve) -> None:
    server = serve("tests.asgi.tasks:plainly", "--interface", "asgi", cwd=ROOT)
    assert ["nobody request"] * 2 == get(server, "/before", "/before")
    assert ["anna", "500", "anna", "nobody request"] == get(server, "/", "/fails", "/", "/before")
    said_by(server, "the application failed: GET '/fails'")


def test_who_goes_on_though_cancelled_is_in_its_own_context(begin: Begin) -> None:
    server = begin()
    assert ["anna nobody"] * 3 == get(server, *["/thinks_better_of_it_in_its_context"] * 3)
    assert ["anna"] * 2 == get(server, *["/awaits_what_calls_back_at_once"] * 2)
    quiet(server)


def test_a_task_that_was_found_standing_by_becomes_nobodys(begin: Begin) -> None:
    server = begin()
    raw = connect(server)
    raw.get("/cancels_later_what_stood_by", "Connection: close\r\n")
    assert get(server, "/name")[0].startswith("request-")
    said_by(server, "found")
    assert ["waited"] == get(server, "/waits_a_while")
    assert raw.rest().endswith(b"cancelled")
    quiet(server)


def test_who_leaves_its_task_has_its_reply(begin: Begin) -> None:
    server = begin()
    assert ["left", "left"] == get(server, "/leaves_its_task", "/leaves_its_task")
    assert 0 == server.stop()
    quiet(server)
