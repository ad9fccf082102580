"""Servers for the load: they answer as a test says, well or not, and know exactly what they were asked.

`Answering` listens on a socket file, an abstract name, TCP and TCP over IPv6, and lets `talk` answer each connection in a thread of its own. `measure`
runs a load on it. `Floor` is the bench's, a C program that answers everything with the same bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import socket
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lasthop.engine.load import Load
from tests.engine.running import PATIENCE, Link, get

Address = str | tuple[str, int]
Result = dict[str, Any]


def reply(body: bytes = b"hello", *fields: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    """A reply whose body has a known length."""
    lines = [f"HTTP/{version} {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class Talk:
    """One connection as the server sees it."""

    def __init__(self, server: Answering, connected: socket.socket) -> None:
        self.server = server
        self.socket = connected
        self._received = b""

    def head(self) -> bytes | None:
        """The next request's head, counted and remembered; None when the load has ended the connection."""
        while b"\r\n\r\n" not in self._received:
            data = self.socket.recv(1 << 16)
            if not data:
                return None
            self._received += data
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        with self.server.lock:
            self.server.heads.append(head)
        return head

    def body(self, size: int) -> bytes:
        """So many bytes after the head."""
        while len(self._received) < size:
            data = self.socket.recv(1 << 20)
            assert data, "the load ended the connection in the body of its request"
            self._received += data
        body, self._received = self._received[:size], self._received[size:]
        return body

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_in_pieces(self, data: bytes, cuts: list[int]) -> None:
        """Send each piece only when the load has read the one before (over a socket file: SIOCOUTQ tells)."""
        unread = bytearray(4)
        for begin, end in itertools.pairwise([0, *cuts, len(data)]):
            self.send(data[begin:end])
            while end < len(data):
                fcntl.ioctl(self.socket, termios.TIOCOUTQ, unread)
                if unread == bytes(4):
                    break
                time.sleep(0)

    def reset(self) -> None:
        """End the connection as a killed process on another machine would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Talking = Callable[[Talk], object]


class Answering:
    """A server that answers as `talk` does."""

    def __init__(self, directory: Path, talk: Talking, backlog: int) -> None:
        self.heads: list[bytes] = []
        self.accepted = 0
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.failures: list[BaseException] = []
        self.path = str(directory / "a.sock")
        self.name = f"@lasthop-{os.getpid()}-{id(self)}"
        kinds = (socket.AF_UNIX, socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
        self.listeners = [socket.socket(kind) for kind in kinds]
        addresses: list[Any] = [self.path, "\0" + self.name[1:], ("127.0.0.1", 0), ("::1", 0)]
        for listener, address in zip(self.listeners, addresses, strict=True):
            listener.bind(address)
            listener.listen(backlog)
        self.addresses: dict[Link, Address] = {
            "unix": self.path,
            "tcp": ("127.0.0.1", self.listeners[2].getsockname()[1]),
            "tcp6": ("::1", self.listeners[3].getsockname()[1]),
        }
        self._talk = talk
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = [
            threading.Thread(target=self._accept, args=(listener,)) for listener in self.listeners
        ]
        for thread in self._accepting:
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self.over.is_set():
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                self._open.append(connected)
                thread = threading.Thread(target=self._serve, args=(connected,))
                thread.start()
                self._threads.append(thread)

    def _serve(self, connected: socket.socket) -> None:
        with connected:
            try:
                self._talk(Talk(self, connected))
            except (ConnectionError, OSError):
                pass  # the load has gone
            except BaseException as failure:  # noqa: BLE001 - finish() tells
                self.failures.append(failure)

    def asked(self) -> int:
        """How many requests came."""
        return len(self.heads)

    def finish(self) -> None:
        self.over.set()
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            listener.close()
        for thread in self._accepting:
            thread.join(PATIENCE)
        for connected in self._open:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
        while self._threads:
            self._threads.pop().join(PATIENCE)
        assert [] == self.failures


def always(data: bytes) -> Talking:
    """Answer every request so, one after the other."""

    def talk(peer: Talk) -> None:
        while peer.head() is not None:
            peer.send(data)

    return talk


def once(data: bytes) -> Talking:
    """Answer one request so, and close."""

    def talk(peer: Talk) -> None:
        if peer.head() is not None:
            peer.send(data)

    return talk


def make_load(address: Address, *requests: bytes, **options: Any) -> Any:
    return Load(address, list(requests) or [get()], **options)  # type: ignore[no-untyped-call]


def measure(
    address: Address,
    *requests: bytes,
    count: int = 0,
    seconds: float = PATIENCE,
    warmup: float = 0.0,
    waits: bool = False,
    **options: Any,
) -> Result:
    """What a load of its own counts: `count` requests, or `seconds`."""
    load = make_load(address, *requests, **options)
    found: Result = load.run(seconds, warmup=warmup, requests=count, waits=waits)
    return found


class Floor:
    """bench/floor.c, on both links."""

    def __init__(self, program: Path, directory: Path, *options: str) -> None:
        self._floors: list[subprocess.Popen[bytes]] = []
        self.path = str(directory / "f.sock")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.addresses: dict[Link, Address] = {"unix": self.path, "tcp": ("127.0.0.1", self.port)}
        for link in (["--unix", self.path], ["--tcp", str(self.port)]):
            self._floors.append(subprocess.Popen([program, *link, *options]))
        for address in self.addresses.values():
            self._wait_for(address)

    def _wait_for(self, address: Address) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as trying:
                try:
                    trying.connect(address)
                except OSError:
                    time.sleep(0.001)
                else:
                    return
        raise AssertionError(f"nobody listens on {address}")

    @property
    def pids(self) -> dict[Link, int]:
        return {"unix": self._floors[0].pid, "tcp": self._floors[1].pid}

    def finish(self) -> None:
        for each in self._floors:
            each.kill()
            each.wait()
