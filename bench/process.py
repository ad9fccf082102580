"""Processes that the bench starts: pinned to a core, found with all their children, killed whatever happens.

Knows /proc and signals; knows nothing of HTTP, servers' options or figures.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.guard import kill_group

ROOT = Path(__file__).resolve().parent.parent
TAIL_BYTES = 2000


class Cores:
    """Who runs where: the server on one core, the load on another, a front on a third if there is one."""

    def __init__(self, usable: set[int]) -> None:
        cores = sorted(usable)
        self.server = cores[0]
        self.load = cores[-1]
        self.front = cores[1] if len(cores) > 2 else cores[0]

    @classmethod
    def here(cls) -> Cores:
        """Choose among the cores that this process may use."""
        return cls(os.sched_getaffinity(0))


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run on this core within the block; what is started inside stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_file_limit() -> int:
    """Allow as many open files as the system does, here and in all that is started. Returns the number."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


def tree(root: int) -> list[int]:
    """A process and all that descend from it, the root first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = int(stat.rpartition(")")[2].split()[1])  # the name before it may hold anything, even ")"
        children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


class Bailiff:
    """A place for sockets and logs, and the guard that clears up after the bench if the bench cannot."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bench-"))
        self._guard = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("guard.py"))],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._tell(f"d {self.directory}")

    def _tell(self, line: str) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.write(line + "\n")
        self._guard.stdin.flush()

    def started(self, group: int) -> None:
        """Put a process group on the guard's list."""
        self._tell(f"+{group}")

    def ended(self, group: int) -> None:
        """Take a process group off the guard's list."""
        self._tell(f"-{group}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()


class Started:
    """A process in a group of its own, with what it says kept in a file; killed with its children at the end."""

    def __init__(
        self, bailiff: Bailiff, name: str, command: list[str], core: int, environ: Mapping[str, str]
    ) -> None:
        self.name = name
        self._bailiff = bailiff
        self._said = bailiff.directory / f"{name}.log"
        with self._said.open("wb") as said, pinned(core):
            self._process = subprocess.Popen(
                command,
                cwd=bailiff.directory,
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid
        bailiff.started(self.pid)

    @property
    def alive(self) -> bool:
        """Whether the first process still runs."""
        return self._process.poll() is None

    def said(self) -> str:
        """The end of what it wrote."""
        return self._said.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        strays = tree(self.pid)
        kill_group(self.pid)
        for pid in strays[1:]:  # children that made a group of their own
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.wait()
        self._bailiff.ended(self.pid)
