"""The system calls of both ends on the hop, in their order and with their times: strace, attached while a block runs.

Knows how strace writes; keeps only calls on the hop's own sockets, told by the addresses or inodes that strace notes beside each descriptor.
What stands in quotation marks came from a peer: it is shown, escaped by strace, and never looked for marks.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lasthop.errors import StraceRefused
from lasthop.trace.results import Call

ATTACH_SECONDS = 10.0
END_SECONDS = 5.0
SHOWN_BYTES = 48
"""How much of what is sent and received is shown."""

LINE = re.compile(
    r"(?P<s>\d+)\.(?P<ns>\d{9}) (?P<name>\w+)\((?P<rest>.*)\) += (?P<result>.*?) <(?P<took>\d+\.\d+)>$"
)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
PAIR = re.compile(r"<(?:UNIX(?:-STREAM)?):\[(\d+)->(\d+)[\],]")
OWN_LOOKING = ("ioctl", "getsockopt", "getsockname", "getpeername", "fstat", "newfstatat", "fcntl")
"""What our own client calls to look, not to talk."""


class Calls:
    """A context manager: within it, the calls of these processes and of all their threads are written down."""

    def __init__(self, pids: Sequence[int], directory: Path) -> None:
        self._pids = pids
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        strace = shutil.which("strace")
        if strace is None:
            raise StraceRefused("strace is not installed", "apt-get install strace")
        command = [
            strace, "-ff", "-yy", "-T", "--absolute-timestamps=format:unix,precision:ns", "-s", str(SHOWN_BYTES),
            "-e", "trace=%network,%desc", "-e", "signal=none", "-o", str(self._directory / "calls"),
        ]  # fmt: skip
        command += [word for pid in self._pids for word in ("-p", str(pid))]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            self._attached()
        except BaseException:
            self._end()
            raise
        return self

    def _attached(self) -> None:
        """Until strace says of each process that it has it."""
        assert self._process is not None
        assert self._process.stderr is not None
        deadline = time.monotonic() + ATTACH_SECONDS
        said = b""
        number = self._process.stderr.fileno()
        while not all(re.search(rf"Process {pid} attached".encode(), said) for pid in self._pids):
            ready = select.select([number], [], [], max(0.0, deadline - time.monotonic()))[0]
            some = os.read(number, 4096) if ready else b""
            said += some
            if not some:
                words = " ".join(said.decode("utf-8", "replace").split())
                raise StraceRefused(
                    f"strace cannot attach to the ends ({words or 'it says nothing'})",
                    "sudo lasthop trace ...; or sudo sysctl kernel.yama.ptrace_scope=0",
                )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        """Let go of the ends; they run on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def lines(self, pids: Collection[int]) -> list[tuple[int, str]]:
        """What was written of these threads, each line with its thread."""
        found = []
        for pid in pids:
            file = self._directory / f"calls.{pid}"
            if file.exists():
                text = file.read_text("utf-8", "backslashreplace")
                found += [(pid, line) for line in text.splitlines()]
        return found

    def threads(self) -> list[int]:
        """All threads of which something was written."""
        return [int(file.suffix[1:]) for file in self._directory.glob("calls.*") if file.suffix[1:].isdigit()]


def marks_of_tcp(
    connections: Iterable[tuple[tuple[str, int], tuple[str, int]]], inodes: Iterable[int]
) -> list[str]:
    """How strace writes the hop's descriptors: connected, and before that by the inode."""
    found = [f":[{inode}]" for inode in inodes]
    for client, server in connections:
        one, other = _written(client), _written(server)
        found += [f":[{one}->{other}]", f":[{other}->{one}]"]
    return found


def _written(endpoint: tuple[str, int]) -> str:
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def marks_of_unix(inodes: Iterable[int], lines: Iterable[tuple[int, str]]) -> list[str]:
    """The client's inodes and those of the other ends, as strace found them."""
    known = set(inodes)
    for _, line in lines:
        for one, other in PAIR.findall(QUOTED.sub('""', line)):
            if int(one) in known or int(other) in known:
                known |= {int(one), int(other)}
    return [mark for inode in sorted(known) for mark in (f":[{inode}]", f":[{inode}->", f":[{inode},")]


def on_the_hop(
    lines: Iterable[tuple[int, str]], marks: Sequence[str], end_of: Callable[[int], str]
) -> list[Call]:
    """The calls that have one of the hop's sockets among their descriptors, in the order of their times."""
    found = []
    for pid, line in lines:
        parsed = LINE.match(line)
        if parsed is None:
            continue
        bare = QUOTED.sub('""', line)
        if not any(mark in bare for mark in marks):
            continue
        end = end_of(pid)
        if end == "client" and parsed["name"] in OWN_LOOKING:
            continue
        seconds, nanoseconds = int(parsed["s"]), int(parsed["ns"])
        whole, _, fraction = parsed["took"].partition(".")
        took = int(whole) * 10**9 + int(fraction.ljust(9, "0"))
        result = parsed["result"]
        text = f"{parsed['name']}({parsed['rest']})"
        found.append(Call(end, pid, seconds * 10**9 + nanoseconds, took, parsed["name"], text, result))
    return sorted(found, key=lambda call: call.at_ns)
