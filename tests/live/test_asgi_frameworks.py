"""Starlette, FastAPI, Litestar, Quart and Django (ASGI) on lasthop: over both links, and through a real nginx."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from websockets.sync.client import connect, unix_connect

from lasthop.demo.serving import Serving
from tests.asgi.conftest import quiet, said_by

from .conftest import Before, Run
from .curl import curl

FRAMEWORKS = ["starlette", "fastapi", "litestar", "quart", "django"]
SITES = {"django": "django_asgi"}
WAYS = ["unix", "tcp", "nginx-kept-unix", "nginx-kept-tcp"]
DOCUMENT = b"".join(b"%d\r\n" % number for number in range(600_000))
EVENTS = "".join(f"data: {number}\n\n" for number in range(100)).encode()

Site = Callable[[str], Serving]


@pytest.fixture(scope="module")
def site(run: Run) -> Site:
    """A framework's server, started when it is asked for first."""
    started: dict[str, Serving] = {}

    def server(framework: str) -> Serving:
        pytest.importorskip(framework)
        if framework not in started:
            started[framework] = run(f"applications.{SITES.get(framework, framework)}_site:application")
        return started[framework]

    return server


@pytest.fixture
def address(site: Site, before: Before, framework: str, way: str) -> str:
    front, _, link = way.rpartition("-")
    server = site(framework)
    own = server.unix if link == "unix" else server.tcp
    return before(front, own).address if front else own


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
class TestEveryFramework:
    def test_finds_the_route_and_its_parameter(self, address: str, framework: str, way: str) -> None:
        reply = curl(address, "/items/a%20cup")
        assert (200, {"item": "a cup"}) == (reply.status, json.loads(reply.body))

    def test_takes_an_upload(self, address: str, framework: str, way: str) -> None:
        reply = curl(
            address,
            "/upload",
            "--data-binary",
            "@-",
            "-H",
            "Content-Type: application/octet-stream",
            given=DOCUMENT,
        )
        assert (200, hashlib.sha256(DOCUMENT).hexdigest().encode()) == (reply.status, reply.body)

    def test_streams_events(self, address: str, framework: str, way: str) -> None:
        reply = curl(address, "/events")
        assert (200, EVENTS) == (reply.status, reply.body)


@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if name != "django"])
def test_work_goes_on_after_the_reply(site: Site, framework: str) -> None:
    server = site(framework)
    assert b"begun" == curl(server.unix, "/background").body
    said_by(server, "done later")
    quiet(server)


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if name != "django"])
def test_a_websocket_echoes(site: Site, framework: str, link: str) -> None:
    server = site(framework)
    opening = (
        unix_connect(server.unix.removeprefix("unix:"), "ws://example.org/echo")
        if link == "unix"
        else connect(f"ws://{server.tcp}/echo")
    )
    with opening as websocket:
        for text in ("one", "two" * 30_000):
            websocket.send(text)
            assert text == websocket.recv(timeout=20)
    quiet(server)


@pytest.mark.parametrize(("options", "expected"), [([], []), (["--no-pathsend"], ["gzip"])])
def test_a_middleware_that_compresses_has_files_where_pathsend_is_not_offered(
    run: Run, options: list[str], expected: list[str]
) -> None:
    pytest.importorskip("starlette")
    server = run("applications.compressing_site:application", *options)
    reply = curl(server.unix, "/", "-H", "Accept-Encoding: gzip")
    assert (200, expected) == (reply.status, reply.all("Content-Encoding"))
