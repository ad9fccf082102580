"""Real servers for the tests of processes: started by a ready pipe, asked over real sockets, ended whatever happens."""

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PATIENCE_SECONDS = 20.0
"""When a wait is given up. Nothing is expected to take as long; a slow machine is not a failure."""


class Connection(http.client.HTTPConnection):
    """An HTTP connection to an address as a listener writes it."""

    def __init__(self, address: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._address = address

    def connect(self) -> None:
        if self._address.startswith("unix:"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(PATIENCE_SECONDS)
            path = self._address.removeprefix("unix:")
            self.sock.connect("\0" + path[1:] if path.startswith("@") else path)
        else:
            host, _, port = self._address.rpartition(":")
            self.sock = socket.create_connection((host.strip("[]"), int(port)), PATIENCE_SECONDS)


class Server:
    """A server process, and what a test may want to know of it."""

    def __init__(
        self,
        target: str,
        settings: dict[str, Any],
        log: Path,
        environment: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
        wait: bool = True,
    ) -> None:
        self.log_file = log
        ready, told = os.pipe()
        defaults = {
            "bind": ["127.0.0.1:0"],
            "threads": 4,
            "pythonpath": [str(HERE)],
            "ready_fd": told,
            "log_level": "debug",
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "launch.py"), target, json.dumps(defaults | settings)],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                pass_fds=(told, *pass_fds, *settings.get("as_systemd", ())),
                env=os.environ | (environment or {}),
                start_new_session=True,
            )
        os.close(told)
        self._ready = ready
        self.addresses: list[str] = []
        self._connections: list[Connection] = []
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        line = self.ready_line()
        assert line, f"the server did not get ready:\n{self.log()}"
        self.addresses = line.split()[1:]

    def ready_line(self) -> str:
        """What is written to the ready pipe until it is closed; empty when the server ended first."""
        found, _, _ = select.select([self._ready], [], [], PATIENCE_SECONDS)
        assert found, f"nothing on the ready pipe:\n{self.log()}"
        with os.fdopen(self._ready) as pipe:
            return pipe.read()

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        return self.log_file.read_text()

    def get(self, path: str = "/", at: int = 0) -> str:
        """The body of a reply, over a connection of its own."""
        return self.get_full(path, at)[1]

    def get_full(self, path: str = "/", at: int = 0) -> tuple[int, str]:
        connection = Connection(self.addresses[at])
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Connection": "close"})
            reply = connection.getresponse()
            return reply.status, reply.read().decode("latin-1")

    def connect(self, at: int = 0) -> Connection:
        """A connection that is closed with the server."""
        connection = Connection(self.addresses[at])
        connection.connect()
        self._connections.append(connection)
        return connection

    def workers(self) -> set[int]:
        """The pids of its child processes."""
        return children_of(self.pid)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(PATIENCE_SECONDS)

    def wait_log(self, text: str, times: int = 1) -> None:
        until(lambda: self.log().count(text) >= times, lambda: f"{text!r} is not in the log:\n{self.log()}")

    def end(self) -> None:
        """End it and everything that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        for connection in self._connections:
            connection.close()


def children_of(pid: int) -> set[int]:
    with contextlib.suppress(OSError):
        return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return set()


def is_there(pid: int) -> bool:
    """Whether a process runs; one that waits for its parent to notice its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], bool], otherwise: Callable[[], str] = lambda: "it did not come true") -> None:
    """Wait for something that the server does in its own time."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < give_up, otherwise()
        time.sleep(0.01)


def hold_still(worker: int) -> None:
    """Stop all threads of a worker, and wait until they stand: it accepts nothing any more."""
    os.kill(worker, signal.SIGSTOP)
    until(
        lambda: (
            {"T"}
            == {
                each.read_text().rpartition(")")[2].split()[0]
                for each in Path(f"/proc/{worker}/task").glob("*/stat")
            }
        )
    )


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server: ``start("applications:application", workers=2)``."""
    started: list[Server] = []

    def start_one(
        target: str = "applications:application",
        *,
        environment: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
        wait: bool = True,
        **settings: Any,
    ) -> Server:
        log = tmp_path / f"log{len(started)}"
        server = Server.__new__(Server)
        started.append(server)
        server.__init__(target, settings, log, environment, pass_fds, wait)  # type: ignore[misc]
        return server

    yield start_one
    for server in started:
        if hasattr(server, "process"):
            server.end()
