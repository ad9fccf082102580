"""What tests of the whole program share: the real `lasthop serve`, started and stopped.

    def test_something(serve):
        server = serve("applications:hello", "--threads", "1")        # waits until it is ready
        connection = server.connect(server.unix)                      # an http.client.HTTPConnection, over either link
        connection.request("GET", "/")

By default it listens on a socket file in a short temporary directory and on a free TCP port of 127.0.0.1, and works in the
directory of the test's own file, so that an application beside the test is named by its module. When the test ends the server
gets TERM and must end with 0; a test that stops or kills it itself says so by doing it (`server.stop()`, `server.kill()`).
What `Serving` offers is in lasthop/demo/serving.py: addresses, unix, tcp, pid, process, connect(), said(), stop(), kill().
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from lasthop.demo.serving import Serving

if "SANITIZED" in os.environ:
    # tools/sanitized: this Python has the sanitizers' libraries, and so will those have that tests start; other programs must not.
    os.environ.pop("LD_PRELOAD", None)
    sys.executable = os.environ["SANITIZED"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # In the background of a shell; the programs that tests interrupt would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


BESIDE = (
    "asgi/", "http1/", "link/", "test_", "trace/test_layers.py", "trace/test_messages.py", "compare/test_verdict.py", "compare/test_statistics.py", "compare/test_page.py",
    "engine/test_environ.py", "engine/test_exchange.py", "engine/test_forwarded.py", "engine/test_input.py", "engine/test_intake.py",
    "engine/test_peers.py", "engine/test_replies.py", "engine/test_turn.py", "engine/test_wsgi.py",
    "engine/test_websocket.py", "engine/test_websocket_agreement.py", "engine/test_handshake.py",
    "fronts/", "server/test_socket_file.py", "server/test_supervisor.py", "server/test_takeover.py", "live/test_kill.py", "live/test_matrix.py",
    "live/test_reload.py", "live/test_takeover.py", "live/test_frameworks.py", "live/test_hostile.py",
    "live/test_smuggling.py", "live/test_upload.py", "live/test_validator.py",
)  # fmt: skip
"""Tests that mostly wait, and neither measure nor look at the whole machine: `make test` runs them four at a time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix().startswith(BESIDE):
            item.add_marker(pytest.mark.beside)


class Serve(Protocol):
    """The fixture `serve`: start `lasthop serve TARGET OPTIONS...`."""

    def __call__(
        self,
        target: str,
        *options: str,
        bind: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
        ready: bool = True,
    ) -> Serving: ...


def said_by(server: Serving, words: str) -> None:
    """Wait until a server has said it: what it logs may come a moment after what it does."""
    until = time.monotonic() + 20
    while words not in server.said():
        assert time.monotonic() < until, server.said()
        time.sleep(0.01)


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory whose name leaves room for a socket's: pytest's own names may pass 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="lasthop-") as name:
        yield Path(name)


@pytest.fixture
def clean_environment() -> dict[str, str]:
    """The environment without settings of ours that whoever runs the tests may have."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LASTHOP_")}


@pytest.fixture
def serve(
    request: pytest.FixtureRequest, short_directory: Path, clean_environment: dict[str, str]
) -> Iterator[Serve]:
    """Start real servers; stop them when the test has ended, in order."""
    started: list[Serving] = []

    def start(
        target: str,
        *options: str,
        bind: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
        ready: bool = True,
    ) -> Serving:
        number = len(started)
        server = Serving(
            target,
            *options,
            bind=[f"unix:{short_directory}/{number}.sock", "127.0.0.1:0"] if bind is None else bind,
            log=short_directory / f"{number}.log",
            cwd=request.path.parent if cwd is None else cwd,
            env=clean_environment | dict(env or {}),
            pass_fds=pass_fds,
        )
        started.append(server)
        if ready:
            server.wait_ready()
        return server

    yield start
    endings = []
    for server in started:
        running = server.process.poll() is None
        try:
            if running:
                endings.append((server.stop(), server.said()))
        finally:
            server.kill()  # whatever it may have left behind
    for code, said in endings:
        assert code == 0, f"lasthop serve ended with {code}; it said:\n{said}"
