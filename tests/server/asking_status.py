"""Asking a server's status socket, as whoever watches servers does."""

import contextlib
import json
import socket
from pathlib import Path
from typing import Any

from .conftest import PATIENCE_SECONDS, Connection, Server


def name_of(pid: int) -> str:
    return f"unix:@lasthop/status/{Path('/proc/self/ns/pid').stat().st_ino}/{pid}"


def ask(address: str, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and body."""
    connection = Connection(address)
    with contextlib.closing(connection):
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.getheader("Content-Type", ""), reply.read().decode()


def status(server: Server, address: str | None = None) -> dict[str, Any]:
    code, kind, body = ask(address or name_of(server.pid), "/status")
    assert (200, "application/json") == (code, kind), body
    found: dict[str, Any] = json.loads(body)
    return found


def raw(address: str) -> socket.socket:
    """A connection on which nothing was said yet."""
    connection = Connection(address)
    connection.connect()
    assert connection.sock is not None
    connection.sock.settimeout(PATIENCE_SECONDS)
    return connection.sock


def inodes_of(pid: int) -> set[str]:
    """The sockets that a process has open."""
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(each.readlink()))
    return {each for each in found if each.startswith("socket:")}


def listening_inode(name: str) -> str:
    for line in Path("/proc/net/unix").read_text().splitlines():
        words = line.split()
        if words[-1] == name and words[3] == "00010000":
            return f"socket:[{words[6]}]"
    raise AssertionError(f"nobody listens at {name}")
