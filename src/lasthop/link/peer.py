"""Who is at the other end of a ``unix:`` connection, by the kernel's word."""

import socket
import struct
from pathlib import Path
from typing import NamedTuple

UCRED = struct.Struct("=iII")
"""struct ucred: pid_t, uid_t, gid_t."""


LONGEST_COMMAND = 4096
"""Bytes of a command line that are worth showing."""

LONGEST_IN_A_LINE = 160
"""Characters of it within a sentence."""


class Peer(NamedTuple):
    """A process, as it was when it connected (or, for the listening side, when it called listen)."""

    pid: int
    """0 when the process lives in a pid namespace that is not visible from here."""
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """The credentials of the process behind a connected ``unix:`` socket."""
    return Peer(*UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)))


def command_of(pid: int) -> str | None:
    """The command line of a process, or None when there is no such process (any more)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()[:LONGEST_COMMAND].rstrip(b"\0").split(b"\0")
    except OSError:
        return None
    return b" ".join(words).decode("utf-8", "backslashreplace")


def described(peer: Peer) -> str:
    """A peer for the log. Its command line is its own choice: nothing of it can end the line or stand for another character."""
    command = command_of(peer.pid) if peer.pid > 0 else None
    if command is None:
        told = "gone already" if peer.pid > 0 else "in another pid namespace"
    else:
        told = command.encode("unicode_escape").decode("ascii")[:LONGEST_IN_A_LINE] or "no command line"
    return f"pid {peer.pid} (uid {peer.uid}, gid {peer.gid}: {told})"
