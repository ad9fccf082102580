"""What the tests of the fronts share: an application that a whole module uses, and real fronts before it."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from lasthop.fronts import FRONTS
from lasthop.fronts.front import Front
from lasthop.fronts.hop import Hop
from lasthop.fronts.running import RunningFront
from lasthop.link.address import Address, TcpAddress, parse

HERE = Path(__file__).parent

Run = Callable[..., RunningFront]


def loopback(family: socket.AddressFamily = socket.AF_INET) -> str:
    return "127.0.0.1" if family == socket.AF_INET else "::1"


def free_port(host: str = "127.0.0.1") -> TcpAddress:
    """A port on which nobody listened a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.bind((host, 0))
        return TcpAddress(host, trial.getsockname()[1])


def has_ipv6() -> bool:
    try:
        free_port("::1")
    except OSError:
        return False
    return True


@pytest.fixture
def front(request: pytest.FixtureRequest) -> Front:
    """Each front, or a skip that says how to get it; `@pytest.mark.parametrize("front", ..., indirect=True)` takes some."""
    return installed(request.param)


def installed(name: str) -> Front:
    found = FRONTS[name]
    if found.executable() is None:
        pytest.skip(f"{found.title} is not installed: apt-get install {found.package}")
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `front` runs with all of them."""
    marked = any("front" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "front" in metafunc.fixturenames and not marked:
        metafunc.parametrize("front", list(FRONTS), indirect=True)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a short name, closed to other users: fronts that root starts must manage all the same."""
    with tempfile.TemporaryDirectory(prefix="lasthop-") as name:
        yield Path(name)


@pytest.fixture
def run(directory: Path) -> Iterator[Run]:
    """Start fronts, each in a directory of its own: `run(front, address, keep_alive=0)`."""
    with ExitStack() as running:
        started: list[RunningFront] = []

        def start(front: Front, application: str | Address, **options: Any) -> RunningFront:
            place = directory / f"{front.name}-{len(started)}"
            place.mkdir()
            address = parse(application) if isinstance(application, str) else application
            hop = Hop(application=address, **{"entrance": free_port(), **options})
            started.append(running.enter_context(RunningFront(front, hop, place)))
            return started[-1]

        yield start


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    """lasthop, on all links that there are; its socket's file is open to its own user only."""
    with tempfile.TemporaryDirectory(prefix="lasthop-") as name:
        bind = [f"unix:{name}/lasthop.sock", "127.0.0.1:0", *(["[::1]:0"] if has_ipv6() else [])]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LASTHOP_")}
        log = Path(name) / "log"
        with Serving(
            "applications:application", "--trust-proxy", "unix", bind=bind, log=log, cwd=HERE, env=environment
        ) as serving:
            yield serving


@pytest.fixture(params=["unix", "tcp", "tcp6"])
def link(request: pytest.FixtureRequest, server: Serving) -> str:
    """Each of the server's addresses."""
    if request.param == "tcp6" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    return server.addresses[["unix", "tcp", "tcp6"].index(request.param)]


def ask(
    entrance: TcpAddress, path: str = "/", headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> dict[str, Any]:
    """What the application says that reached it."""
    connection = Connection(str(entrance))
    connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    assert (200, "application/json") == (reply.status, reply.getheader("Content-Type")), text
    seen: dict[str, Any] = json.loads(text)
    return seen


def status(entrance: TcpAddress, path: str = "/", headers: Mapping[str, str] | None = None) -> int:
    connection = Connection(str(entrance))
    connection.request("GET", path, headers=dict(headers or {}))
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status
