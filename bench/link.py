"""Where a server listens in the bench, and one plain request to it (the figures come from ``load``, not from here)."""

from __future__ import annotations

import socket
from dataclasses import dataclass
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


def ask(connection: socket.socket, path: str, *, last: bool) -> Reply:
    """Send one GET request and read its reply; ``last`` asks the server to close afterwards."""
    closing = "Connection: close\r\n" if last else ""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{closing}\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("the connection ended before the head of the reply was complete")
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
    }
    length = int(fields[b"content-length"]) if b"content-length" in fields else None
    parts, have = [body], len(body)
    while length is None or have < length:
        piece = connection.recv(1 << 20)
        if not piece:
            break
        parts.append(piece)
        have += len(piece)
    if length is not None and have != length:
        raise ConnectionError(f"the body has {have} bytes, the head says {length}")
    return Reply(int(status_line.split()[1]), b"".join(parts))
