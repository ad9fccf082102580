"""Processes that a comparison starts: on a core of their own, found with all their children, ended whatever happens.

Knows /proc and signals; knows nothing of HTTP or of servers' options. A process started here gets SIGTERM from the kernel when this one is
gone without having ended it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from lasthop.fronts.orphans import ending_with_us

TAIL_BYTES = 4000
PATIENCE_SECONDS = 2.0


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Run on this core within the block; what is started inside stays there. None: anywhere."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port(host: str) -> int:
    """A TCP port of this address that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def tree(root: int) -> list[int]:
    """A process and all that descend from it, the root first; those that have just gone are left out."""
    found = [root]
    for pid in found:
        try:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
        except OSError:
            continue
    return found


class Started:
    """A process in a group of its own, with what it says kept in a file; ended with its children at the end of the block."""

    def __init__(
        self,
        command: Sequence[str],
        said: Path,
        core: int | None,
        environ: Mapping[str, str],
        directory: Path | None = None,
    ) -> None:
        self._said = said
        with said.open("wb") as to, pinned(core):
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=ending_with_us(),
            )
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the first process still runs."""
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code, or minus the signal; None while it runs."""
        return self._process.poll()

    def said(self) -> str:
        """The end of what it wrote."""
        return self._said.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()

    def end(self) -> None:
        """Ask it to end, and kill what is left of it and its children after a moment."""
        everyone = tree(self.pid)
        if self.alive:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        for pid in everyone[1:]:
            if _session(pid) == self.pid:
                os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def until(holds: Callable[[], bool], deadline: float) -> bool:
    """Whether `holds()` became true before `deadline` (of the monotonic clock); asked every 2 ms."""
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
