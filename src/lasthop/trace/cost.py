"""What each stage costs on a link, repeated: connect, one way there, one way back, close; the kernel's CPU time and the context switches.

Two small programs, one at each end, and no application: `measure` asks, and `python -m lasthop.trace.cost` answers. Both look at the same clock
(CLOCK_MONOTONIC), so one way can be timed. What Python itself needs between two calls is in the times, on every link alike.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lasthop.errors import TraceFailed
from lasthop.fronts.orphans import ending_with_us
from lasthop.trace.results import Cost, Stage

CONNECTIONS = 1_000
EXCHANGES = 3_000
ROUNDS = 5
WARM_UP = 20
ROUND_SECONDS = 0.5
"""A slow machine, or a large body, has fewer repetitions; how many is told."""
LEAST = 10
NOTE = struct.Struct("=qqqq")
"""What the answering end puts at the head of a reply: when it had the request, when it began to reply, its kernel time, its switches."""
PLAIN, LAST, GREETING = b".", b"!", b"?"
SECOND_NS = 1_000_000_000


def measure(sizes: Mapping[str, tuple[int, int]], directory: Path) -> dict[str, Cost]:
    """Time the stages on each of the links, with messages of these sizes (a reply has at least the 32 bytes of the answering end's notes).

    The links take turns, so that what else the machine does falls on all of them.
    """
    with ExitStack() as stack:
        ends = {
            link: _Asking(stack, link, directory, request_bytes, max(reply_bytes, NOTE.size))
            for link, (request_bytes, reply_bytes) in sizes.items()
        }
        for _ in range(ROUNDS):
            for each in ends.values():
                each.connections()
                each.exchanges()
        return {link: each.cost() for link, each in ends.items()}


class _Asking:
    """The asking end of one link, and the answering one started for it."""

    def __init__(
        self, stack: ExitStack, link: str, directory: Path, request_bytes: int, reply_bytes: int
    ) -> None:
        address: Any = ["::1" if link == "tcp6" else "127.0.0.1", 0]
        if link == "unix":
            address = str(directory / "cost.sock")
        task = json.dumps({"address": address, "request_bytes": request_bytes, "reply_bytes": reply_bytes})
        command = [sys.executable, "-m", "lasthop.trace.cost", task]
        peer = stack.enter_context(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                preexec_fn=ending_with_us(),
            )
        )
        stack.callback(peer.kill)
        assert peer.stdout is not None
        listening = peer.stdout.readline()
        if not listening:
            raise TraceFailed(f"the answering end for the cost of {link} did not start")
        where = json.loads(listening)
        self._address: Any = tuple(where) if isinstance(where, list) else where
        self._sizes = request_bytes, reply_bytes
        self._connects: list[int] = []
        self._closes: list[int] = []
        self._there: list[int] = []
        self._back: list[int] = []
        self._kernel, self._switches = [0, 0], [0, 0]

    def connections(self) -> None:
        """A round of connecting and closing."""
        until = time.monotonic() + ROUND_SECONDS
        for number in range(CONNECTIONS // ROUNDS):
            if number >= LEAST and time.monotonic() > until:
                break
            connection = _socket(self._address)
            begun = time.monotonic_ns()
            connection.connect(self._address)
            self._connects.append(time.monotonic_ns() - begun)
            # The other end has accepted when it replies: else connections would queue up, and the next would wait for them.
            connection.sendall(GREETING)
            connection.recv(1)
            ending = time.monotonic_ns()
            connection.close()
            self._closes.append(time.monotonic_ns() - ending)

    def exchanges(self) -> None:
        """A round of sending there and back on one connection."""
        size, reply = self._sizes[0], bytearray(self._sizes[1])
        with _socket(self._address) as connection:
            connection.connect(self._address)
            without_delay(connection)
            for _ in range(WARM_UP):
                _exchange(connection, PLAIN, size, reply)
            *_, kernel, switches = _exchange(connection, LAST, size, reply)
            before = resource.getrusage(resource.RUSAGE_THREAD)
            until = time.monotonic() + ROUND_SECONDS
            for number in range(EXCHANGES // ROUNDS):
                if number >= LEAST and time.monotonic() > until:
                    break
                begun, had, replied, ended, *_ = _exchange(connection, PLAIN, size, reply)
                self._there.append(had - begun)
                self._back.append(ended - replied)
            after = resource.getrusage(resource.RUSAGE_THREAD)
            *_, kernel_after, switches_after = _exchange(connection, LAST, size, reply)
        self._kernel[0] += int((after.ru_stime - before.ru_stime) * SECOND_NS)
        self._kernel[1] += kernel_after - kernel
        self._switches[0] += _switches(after) - _switches(before)
        self._switches[1] += switches_after - switches

    def cost(self) -> Cost:
        """What all rounds took."""
        number = len(self._there)
        stages = [
            stage("connect", self._connects), stage("one way there", self._there),
            stage("one way back", self._back), stage("close", self._closes),
        ]  # fmt: skip
        return Cost(
            *self._sizes, stages, self._kernel[0] // number, self._kernel[1] // number,
            self._switches[0] / number, self._switches[1] / number,
        )  # fmt: skip


def stage(name: str, took: list[int]) -> Stage:
    """A stage, out of all its times."""
    tenths = statistics.quantiles(took, n=10)
    return Stage(name, len(took), int(statistics.median(took)), int(tenths[0]), int(tenths[-1]))


def _socket(address: Any) -> socket.socket:
    if isinstance(address, str):
        return socket.socket(socket.AF_UNIX)
    return socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)


def without_delay(connection: socket.socket) -> None:
    """As lasthop and the fronts do over TCP: what is sent goes at once."""
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _exchange(connection: socket.socket, kind: bytes, size: int, reply: bytearray) -> tuple[int, ...]:
    """One there and back: begun, had by the other end, replied, ended; the other end's kernel time and switches."""
    message = kind.ljust(size, b".")
    begun = time.monotonic_ns()
    connection.sendall(message)
    _fill(connection, reply)
    ended = time.monotonic_ns()
    had, replied, kernel, switches = NOTE.unpack_from(reply)
    return begun, had, replied, ended, kernel, switches


def _fill(connection: socket.socket, room: bytearray) -> bool:
    """Read until there is no room left; False when the connection ended before."""
    view, at = memoryview(room), 0
    while at < len(room):
        got = connection.recv_into(view[at:])
        if not got:
            return False
        at += got
    return True


def _switches(usage: resource.struct_rusage) -> int:
    return usage.ru_nvcsw + usage.ru_nivcsw


def _answer(connection: socket.socket, request_bytes: int, reply_bytes: int) -> None:
    without_delay(connection)
    request, padding = bytearray(request_bytes), bytes(reply_bytes - NOTE.size)
    if connection.recv(1, socket.MSG_PEEK) == GREETING:
        connection.sendall(connection.recv(1))
    while _fill(connection, request):
        had = time.monotonic_ns()
        kernel, switches = 0, 0
        if request[:1] == LAST:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            kernel, switches = int(usage.ru_stime * SECOND_NS), _switches(usage)
        replied = time.monotonic_ns()
        connection.sendall(NOTE.pack(had, replied, kernel, switches) + padding)


def main() -> None:
    """Answer until killed, or until the asking end is gone."""
    task = json.loads(sys.argv[1])
    address = task["address"]
    if isinstance(address, str):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen()
    else:
        listener = socket.create_server(
            tuple(address), family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
    told = address if isinstance(address, str) else list(listener.getsockname()[:2])
    os.write(sys.stdout.fileno(), json.dumps(told).encode() + b"\n")
    while True:
        with listener.accept()[0] as connection:
            try:
                _answer(connection, task["request_bytes"], task["reply_bytes"])
            except ConnectionError:
                continue


if __name__ == "__main__":
    main()
