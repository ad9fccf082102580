"""Small parts: choosing names, reading /proc, nginx's configuration, the commands of the servers."""

import re
from pathlib import Path

import pytest

from bench import front
from bench.__main__ import named
from bench.asgipeers import ASGI_SERVERS
from bench.cases import CASES
from bench.errors import BenchError
from bench.install import ASGI_REQUIREMENTS, REQUIREMENTS, requirements
from bench.link import Link
from bench.peers import SERVERS
from bench.server import Task
from bench.watch import busy_ticks


def test_a_name_without_its_ending_stands_for_all_that_begin_so() -> None:
    assert named(["lasthop"], ["floor", "lasthop-1", "lasthop-16"], "server") == ["lasthop-1", "lasthop-16"]


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(BenchError, match="no case named 'helo'; there are hello-unix, start"):
        named(["helo"], ["hello-unix", "start"], "case")


def test_what_the_hypervisor_stole_counts_as_used_by_others() -> None:
    stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 4 100 100 8 16 32 0 0\ncpu1 1 0 0 50 0 0 0 0 0 0\n"
    assert busy_ticks(stat, {0}) == 63
    assert busy_ticks(stat, {0, 1}) == 64


def test_nginx_keeps_its_connections_only_when_told() -> None:
    kept = front.configuration(Path("/run/bench"), 8080, Link(path=Path("/run/app.sock")), kept_alive=True)
    default = front.configuration(Path("/run/bench"), 8080, Link(port=8000), kept_alive=False)
    assert "server unix:/run/app.sock;" in kept
    assert "server 127.0.0.1:8000;" in default
    assert ["proxy_http_version 1.1" in text for text in (kept, default)] == [True, False]
    assert [bool(re.search(r"keepalive \d+;", text)) for text in (kept, default)] == [True, False]


@pytest.mark.parametrize("name", SERVERS)
def test_a_command_names_the_address_and_the_application(name: str) -> None:
    server = SERVERS[name]
    for kind in server.links:
        link = Link(port=8123) if kind == "tcp" else Link(path=Path("/run/app.sock"))
        command = " ".join(server.command(Task("some.module:app", link, programs=Path("/opt"))))
        assert ("8123" if kind == "tcp" else "/run/app.sock") in command
        assert name == "floor" or "some.module" in command


def test_every_peer_of_the_cases_is_installed_by_name() -> None:
    wanted = {server.distribution for server in SERVERS.values()} - {"", "lasthop"}
    wanted |= {name for name in ("falcon", "flask", "django") if name in CASES}
    listed = {*requirements(REQUIREMENTS.read_text()), *requirements(ASGI_REQUIREMENTS.read_text())}
    assert set() == wanted - listed


def test_every_peer_for_asgi_is_installed_for_each_python() -> None:
    wanted = {name for server in ASGI_SERVERS for name in (server.distribution, *server.needs)} - {"lasthop"}
    assert set() == wanted - set(requirements(ASGI_REQUIREMENTS.read_text()))
