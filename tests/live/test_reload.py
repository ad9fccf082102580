"""HUP under load through fronts that keep their connections: not one request fails, neither GET nor POST."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from tests.conftest import Serve

from .fronts import Front, missing
from .load import Load
from .watching import until, workers

RELOADS = 5


def reload(server: Serving) -> None:
    """Ask for it, and wait until only new workers serve."""
    before = set(workers(server.pid))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: not before & set(workers(server.pid)), "the old workers have gone", 40)


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("kind", ["nginx-kept", "haproxy", "apache"])
def test_a_reload_fails_no_request(serve: Serve, tmp_path: Path, kind: str, link: str) -> None:
    if missing(kind):
        pytest.skip(f"{missing(kind)} is not installed")
    server = serve("applications.pages:application", "--workers", "2", "--graceful-timeout", "10")
    Path(server.unix.removeprefix("unix:")).parent.chmod(0o755)  # the workers of Apache are another user
    with (
        Front(kind, server.unix if link == "unix" else server.tcp, tmp_path) as front,
        Load([front.address], connections=6) as load,
    ):
        for _ in range(RELOADS):
            before = load.replies
            until(lambda before=before: load.replies > before + 100, "there is load")  # type: ignore[misc]
            reload(server)
    assert ([], []) == (load.wrong, load.failures)
    assert RELOADS <= len(load.workers)


@pytest.mark.parametrize("threads", ["1", "16"])
def test_a_reload_fails_no_request_of_peers_without_a_front(serve: Serve, threads: str) -> None:
    server = serve(
        "applications.pages:application", "--workers", "2", "--threads", threads, "--graceful-timeout", "10"
    )
    with Load([server.unix, server.tcp], connections=6, fresh_after=20) as load:
        for _ in range(RELOADS):
            before = load.replies
            until(lambda before=before: load.replies > before + 100, "there is load")  # type: ignore[misc]
            reload(server)
    assert ([], []) == (load.wrong, load.failures)
    connection = Connection(server.unix)
    connection.request("GET", "/hello")
    assert b"hello" == connection.getresponse().read()
    connection.close()
