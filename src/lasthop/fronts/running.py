"""A front that runs: started in a directory of its own, known to accept, and ended with all of its processes.

Its port is tried beforehand: where something else listens, that would accept our connections and pass for the front. Then the front
is started all the same, because it says best what it could not do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from lasthop.errors import FrontFailed
from lasthop.fronts.front import Front
from lasthop.fronts.hop import Hop
from lasthop.fronts.limits import with_open_files
from lasthop.fronts.orphans import ending_with_us
from lasthop.link.address import TcpAddress

START_SECONDS = 20.0
"""When a start is given up. Nothing is expected to take as long."""
STOP_SECONDS = 5.0
"""How long it may take to end in order; then it is killed."""
POLL_SECONDS = 0.005
WORDS = 4000
"""How much of what it said is told."""


class RunningFront:
    """A context manager: within it, the front accepts. Its files are in the directory, which must be there and stays."""

    def __init__(self, front: Front, hop: Hop, directory: Path) -> None:
        self.front = front
        self.hop = hop
        self.directory = directory
        self._output = directory / "output.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The root of its process tree."""
        assert self._process is not None, "it has not been started"
        return self._process.pid

    @property
    def entrance(self) -> TcpAddress:
        """Where it listens."""
        return self.hop.entrance

    def log(self) -> str:
        """What it said so far, or the end of it."""
        try:
            said = self._output.read_text("utf-8", "replace").strip()
        except FileNotFoundError:
            return ""
        return said if len(said) <= WORDS else f"...{said[-WORDS:]}"

    def __enter__(self) -> Self:
        file = self.directory / f"{self.front.name}.conf"
        file.write_text(self.front.alone(self.hop, self.directory), "utf-8")
        command = with_open_files(self.front.command(file, self.directory))
        taken = _is_taken(self.entrance)
        self._output.write_bytes(b"")
        try:
            with self._output.open("ab") as output:  # Apache opens it a second time, as /dev/stderr
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.directory,
                    env={**os.environ, **self.front.environment(self.hop, self.directory)},
                    start_new_session=True,  # Ctrl-C is for us; and it is ended as a group
                    preexec_fn=ending_with_us(),
                )
            self._wait(taken)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _wait(self, taken: bool) -> None:
        process = self._process
        assert process is not None
        until = time.monotonic() + START_SECONDS
        while True:
            if process.poll() is not None:
                hint = f"another port than {self.entrance.port}: something listens there" if taken else ""
                raise FrontFailed(f"{self.front.title} does not start on {self.entrance}", self.log(), hint)
            if not taken and _accepts(self.entrance):
                return
            if time.monotonic() > until:
                what = "cannot have" if taken else f"does not accept within {START_SECONDS:.0f} s on"
                raise FrontFailed(f"{self.front.title} {what} {self.entrance}", self.log())
            time.sleep(POLL_SECONDS)

    def _end(self) -> None:
        """End all of its processes: in order if they will, else at once."""
        process = self._process
        if process is None:
            return
        try:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _wait_for_group(process.pid)


def _is_taken(address: TcpAddress) -> bool:
    """Whether somebody listens there already."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as fronts do
        try:
            trial.bind((address.host, address.port))
        except OSError:
            return True
    return False


def _accepts(address: TcpAddress) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address.host, address.port), 1.0):
        return True
    return False


def _wait_for_group(group: int) -> None:
    """Wait until killed processes are gone; those that are dead and that nobody reaps do not count."""
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        if not any(_lives_in(group, each) for each in Path("/proc").iterdir() if each.name.isdecimal()):
            return
        time.sleep(POLL_SECONDS)


def _lives_in(group: int, process: Path) -> bool:
    try:
        state, _, pgrp = (process / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(pgrp) == group and state not in "ZX"
