"""Hops that are put up for a comparison, with real servers and fronts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lasthop.compare.asking import ask
from lasthop.compare.plan import Factors, Plan, Request, cells_of
from lasthop.compare.processes import tree
from lasthop.compare.results import Cell
from lasthop.compare.servers import SERVERS
from lasthop.compare.stand import Cores, Stand, disagreements
from lasthop.fronts import FRONTS

Cells = Callable[..., dict[str, Cell]]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)


def plan_of(
    target: str, *, links: tuple[str, ...] = ("unix", "tcp"), front: str = "direct", **more: object
) -> Plan:
    cells = cells_of(Factors([f"applications:{target}"], links, [front], keep_alive=[True]), twin=False)
    return Plan(cells, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("link", ["unix", "tcp", "tcp6"])
@pytest.mark.parametrize("server", list(SERVERS))
def test_every_server_stands_on_every_link(server: str, link: str) -> None:
    if server != "lasthop" and SERVERS[server].program is None:
        pytest.skip(f"pip install {SERVERS[server].distribution}")
    if server == "waitress" and link == "tcp6" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    cells = cells_of(Factors(["applications:hello"], [link], servers=[server], keep_alive=[True]), twin=False)
    plan = Plan(cells, threads=2)
    with Stand.here(plan) as stand, stand.up(cells) as (standing, failures):
        assert {} == failures
        (it,) = standing.values()
        assert (200, "hello") == (it.reply.status, it.reply.text)
        assert "hello" == ask(it.address, Request(), 5).text


@pytest.mark.parametrize("front", list(FRONTS))
def test_a_front_stands_before_the_server(front: str) -> None:
    if FRONTS[front].executable() is None:
        pytest.skip(f"apt-get install {FRONTS[front].package}")
    plan = plan_of("hello", front=front)
    with Stand.here(plan) as stand, stand.up(plan.cells) as (standing, failures):
        assert {} == failures
        for it in standing.values():
            assert it.address != it.server_address
            server, before = it.pids()
            assert server
            assert before
            assert not set(server) & set(before)
        everyone = [pid for it in standing.values() for pids in it.pids() for pid in pids]
    assert [] == [pid for pid in everyone if runs(pid)]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_factory_stands() -> None:
    plan = plan_of("create()")
    with Stand.here(plan) as stand, stand.up(plan.cells) as (standing, failures):
        assert ({}, 2) == (failures, len(standing))


def test_the_request_arrives_as_it_was_planned() -> None:
    plan = plan_of("echo", request=Request("POST", "/a%20b?c", (("X-Asked", "yes"),), b"four"))
    with Stand.here(plan) as stand, stand.up(plan.cells) as (standing, _):
        assert {"POST /a%20b?c yes 4"} == {it.reply.text for it in standing.values()}


@pytest.mark.parametrize(
    ("target", "says"),
    [
        pytest.param("no_such", "no_such", id="no such attribute"),
        pytest.param("failing", "replies 500", id="a 500"),
    ],
)
def test_what_cannot_be_measured_says_why(target: str, says: str) -> None:
    plan = plan_of(target)
    with Stand.here(plan) as stand, stand.up(plan.cells) as (standing, failures):
        assert {} == standing
        assert ["unix", "tcp"] == list(failures)
        assert all(says in why for why in failures.values())


@pytest.mark.parametrize("target", ["hanging", "endless"])
def test_an_application_that_hangs_is_given_up(target: str) -> None:
    plan = plan_of(target, reply_seconds=0.5)
    with Stand.here(plan) as stand, stand.up(plan.cells) as (standing, failures):
        assert {} == standing
        assert f"no reply from applications:{target} within" in failures["unix"]


def test_an_expected_error_status_can_be_measured() -> None:
    plan = plan_of("failing", expect_status=500)
    with Stand.here(plan) as stand, stand.up(plan.cells) as (standing, failures):
        assert ({}, 500) == (failures, standing["unix"].reply.status)


def test_a_server_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lasthop.compare.servers.Server.program", None)
    cells = cells_of(
        Factors(["applications:hello"], servers=["gunicorn", "lasthop"], keep_alive=[True]), twin=False
    )
    with Stand.here(Plan(cells)) as stand, stand.up(cells) as (standing, failures):
        assert ["lasthop, unix", "lasthop, tcp"] == list(standing)
        assert {"gunicorn, unix", "gunicorn, tcp"} == set(failures)
        assert "pip install gunicorn" in failures["gunicorn, unix"]


def test_other_bodies_on_the_two_links_are_noticed() -> None:
    plan = plan_of("by_link")
    with Stand.here(plan) as stand, stand.up(plan.cells) as (standing, _):
        found = disagreements(standing)
        assert ["tcp"] == list(found)
        assert "over a unix socket" in found["tcp"]
        assert "over tcp" in found["tcp"]


def test_bodies_that_always_change_are_no_disagreement() -> None:
    plan = plan_of("changing")
    with Stand.here(plan) as stand, stand.up(plan.cells) as (standing, _):
        assert {} == disagreements(standing)


def test_the_directory_is_gone_afterwards_and_no_process_is_left() -> None:
    plan = plan_of("hello")
    with Stand.here(plan) as stand, stand.up(plan.cells) as (standing, _):
        path = standing["unix"].address
        assert isinstance(path, str)
        assert Path(path).is_socket()
        children = tree(os.getpid())[1:]
        assert children
    assert not Path(path).parent.exists()
    assert [] == [pid for pid in children if runs(pid)]


def test_who_runs_where() -> None:
    assert (0, 1, 0, False) == (lambda c: (c.server, c.load, c.front, c.shared))(Cores({0, 1}))
    assert (0, 3, 1, False) == (lambda c: (c.server, c.load, c.front, c.shared))(Cores({0, 1, 3}))
    assert Cores({5}).shared
