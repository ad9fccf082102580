"""Where a server listens in the bench, and one plain request to it or handshake with it (the figures come from ``load``, not from here)."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from bench.process import free_port

ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Link:
    """An address: the path of a UNIX socket, or a TCP port of 127.0.0.1."""

    path: Path | None = None
    port: int = 0

    @classmethod
    def fresh(cls, kind: str, directory: Path, name: str) -> Link:
        """An address that nothing listens on."""
        if kind == "tcp":
            return cls(port=free_port())
        path = directory / f"{name}.sock"
        path.unlink(missing_ok=True)
        return cls(path=path)

    @property
    def kind(self) -> str:
        """``unix`` or ``tcp``."""
        return "tcp" if self.path is None else "unix"

    @property
    def load_options(self) -> list[str]:
        """As ``load`` and ``floor`` take it."""
        return ["--tcp", str(self.port)] if self.path is None else ["--unix", str(self.path)]

    def connect(self) -> socket.socket:
        """Connect, or raise OSError at once."""
        if self.path is None:
            return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(self.path))
        except OSError:
            connection.close()
            raise
        return connection


@dataclass(frozen=True)
class Reply:
    """What came back: the status and the body."""

    status: int
    body: bytes


def ask(connection: socket.socket, path: str, post: bytes = b"") -> Reply:
    """Send one request and read its reply; ``post`` is the body of a POST.

    The server is not asked to close afterwards: fastpysgi 0.6 dies of that when it serves ASGI.
    """
    lines = [f"{'POST' if post else 'GET'} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"Content-Length: {len(post)}"] if post else []
    connection.sendall("\r\n".join([*lines, "\r\n"]).encode() + post)
    reply = HTTPResponse(connection)
    try:
        reply.begin()
        return Reply(reply.status, reply.read())
    except HTTPException as error:
        raise ConnectionError(f"no whole reply: {error!r}") from error
    finally:
        reply.close()


def open_websocket(connection: socket.socket, path: str) -> None:
    """Ask for a WebSocket, and read that it is granted."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==", "\r\n"]
    connection.sendall("\r\n".join(lines).encode())
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError(f"the connection ended in the handshake: {received[:80]!r}")
        received += piece
    if not received.startswith(b"HTTP/1.1 101 "):
        raise ConnectionError(f"no WebSocket: {received[:80]!r}")
