"""Sockets to an address as `--bind` writes it, and bytes sent as they are."""

from __future__ import annotations

import contextlib
import socket
import struct

SECONDS = 20.0


def connect(address: str, seconds: float = SECONDS) -> socket.socket:
    if address.startswith("unix:"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(seconds)
        client.connect(address.removeprefix("unix:"))
        return client
    host, _, port = address.rpartition(":")
    client = socket.create_connection((host, int(port)), seconds)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def reset(client: socket.socket) -> None:
    """Close by RST (over a UNIX socket: as any close)."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def to_the_end(client: socket.socket) -> bytes:
    """All that comes until the other side ends; its silence is an error."""
    said = bytearray()
    while piece := client.recv(1 << 16):
        said += piece
    return bytes(said)


def until_quiet(client: socket.socket, seconds: float) -> bytes:
    """What comes until the other side ends, or says nothing for so long."""
    said = bytearray()
    client.settimeout(seconds)
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while piece := client.recv(1 << 16):
            said += piece
    return bytes(said)
