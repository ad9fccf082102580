"""`start()`: the real server with an application of `applications.py`; `raw`: a socket that says what the test says."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from tests.conftest import Serve, said_by

PATIENCE_SECONDS = 20.0
TROUBLE = (
    "Traceback",
    "was destroyed",
    "never awaited",
    "never retrieved",
    "Exception ignored",
    "Segmentation",
)
"""What no server's log may have unless a test expects it."""


class Start(Protocol):
    def __call__(self, target: str = ..., *options: str, expect: tuple[str, ...] = ...) -> Serving: ...


@pytest.fixture
def start(serve: Serve) -> Callable[..., Serving]:
    def begin(target: str = "applications:app", *options: str) -> Serving:
        return serve(target, *options)

    return begin


def until(holds: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < give_up, told()
        time.sleep(0.01)


def quiet(server: Serving) -> None:
    """Its log has none of the words that tell of a defect."""
    said = server.said()
    assert [] == [word for word in TROUBLE if word in said], said


@dataclass
class Raw:
    """A connection on which the test says every byte itself."""

    socket: socket.socket

    def send(self, text: bytes) -> None:
        self.socket.sendall(text)

    def get(self, path: str, headers: str = "", version: str = "1.1", method: str = "GET") -> None:
        self.send(f"{method} {path} HTTP/{version}\r\nHost: example.org\r\n{headers}\r\n".encode())

    def until(self, end: bytes) -> bytes:
        """What comes up to `end`, which must come."""
        text = b""
        while not text.endswith(end):
            piece = self.socket.recv(1)
            assert piece, text
            text += piece
        return text

    def rest(self) -> bytes:
        """What comes until the connection ends."""
        text = b""
        while piece := self.socket.recv(65536):
            text += piece
        return text

    def close(self) -> None:
        self.socket.close()


opened: list[Closing] = []


class Closing(Protocol):
    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test opens is closed after it, also when it fails."""
    yield
    while opened:
        opened.pop().close()


def ask(server: Serving, address: str | None = None) -> Connection:
    """An http.client.HTTPConnection over either link."""
    connection = server.connect(server.unix if address is None else address)
    opened.append(connection)
    return connection


def connect(server: Serving, address: str | None = None) -> Raw:
    address = server.unix if address is None else address
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        connection = socket.create_connection((host, int(port)))
    connection.settimeout(PATIENCE_SECONDS)
    raw = Raw(connection)
    opened.append(raw)
    return raw


__all__ = ["Raw", "Start", "ask", "connect", "opened", "quiet", "said_by", "start", "until"]
