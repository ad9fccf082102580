"""``--replace`` under load through fronts that keep their connections: not one request fails, neither GET nor POST."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Serve

from .fronts import Front, missing
from .load import Load
from .watching import until

TAKEOVERS = 4
SECONDS = 40


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("kind", ["nginx", "nginx-kept", "haproxy", "apache"])
def test_a_takeover_fails_no_request(serve: Serve, tmp_path: Path, kind: str, link: str) -> None:
    if missing(kind):
        pytest.skip(f"{missing(kind)} is not installed")
    target = "applications.pages:application"
    options = ("--workers", "2", "--graceful-timeout", "10")
    server = serve(target, *options)
    addresses = server.addresses
    Path(server.unix.removeprefix("unix:")).parent.chmod(0o755)  # the workers of Apache are another user
    with (
        Front(kind, server.unix if link == "unix" else server.tcp, tmp_path) as front,
        Load([front.address], connections=6) as load,
    ):
        for _ in range(TAKEOVERS):
            before = load.replies
            until(lambda before=before: load.replies > before + 100, "there is load")  # type: ignore[misc]
            old, server = server, serve(target, *options, "--replace", bind=addresses)
            assert 0 == old.process.wait(SECONDS)
    assert ([], []) == (load.wrong, load.failures)
    assert addresses == server.addresses
    assert TAKEOVERS <= len(load.workers)
