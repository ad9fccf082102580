"""Who listens at an address of this machine: over ``unix:`` the kernel tells, over TCP /proc shows whose socket it is.

Reads what may be read of /proc, a bounded number of processes. Changes nothing: the probe of a ``unix:`` address is one connection, closed unread.
"""

import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lasthop.link.peer import Peer, peer_of

PROBE_SECONDS = 5
"""How long a full queue may keep the probe waiting."""
MOST_PROCESSES = 65_536

LISTEN = "0A"
TIMEVAL = struct.Struct("@ll")


class TcpHolders(NamedTuple):
    """The processes that have a listening socket open."""

    pids: list[int]
    hidden_uids: list[int]
    """The users of those sockets that none of the processes which we may look into has open."""


def at_unix(name: str) -> Peer | None:
    """Who listens at a path, or at a name that begins with NUL; None when nobody does. Raises OSError when that cannot be known.

    It is the one that last called listen(2), which in a server of several processes is the first of them.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        wait_at_most(probe, PROBE_SECONDS)
        try:
            probe.connect(name)
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError):
            return None
        return peer_of(probe)


def wait_at_most(connection: socket.socket, seconds: int) -> None:
    """Let the kernel wait, also for a place in the queue of a ``unix:`` listener, which a socket with Python's time-out is refused.

    BlockingIOError is raised when the time is over.
    """
    for direction in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, direction, TIMEVAL.pack(seconds, 0))


def at_tcp(family: socket.AddressFamily, host: str, port: int) -> TcpHolders:
    """Who has a socket that listens there, or at every address of this family, which is in the way just so."""
    table = Path("/proc/net/tcp" if family == socket.AF_INET else "/proc/net/tcp6")
    packed = socket.inet_pton(family, host.partition("%")[0])
    inodes: dict[str, int] = {}
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return TcpHolders([], [])
    for line in lines:
        words = line.split()
        local, state, uid, inode = words[1], words[3], words[7], words[9]
        address, _, at = local.partition(":")
        if state == LISTEN and int(at, 16) == port and _same(_unpacked(address), packed):
            inodes[f"socket:[{inode}]"] = int(uid)
    return _having(inodes) if inodes else TcpHolders([], [])


def parent_of(pid: int) -> int:
    """The parent of a process, 0 when there is none to be seen."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _unpacked(digits: str) -> bytes:
    """An address of /proc/net: each word of 32 bits is printed as a number of this machine."""
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    return struct.pack(f"={len(words)}I", *words)


def _same(one: bytes, other: bytes) -> bool:
    return one == other or not any(one) or not any(other)


def _having(inodes: dict[str, int]) -> TcpHolders:
    """The processes that have one of these sockets open."""
    pids: list[int] = []
    seen: set[str] = set()
    numbers = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - names are enough
    for pid in numbers[:MOST_PROCESSES]:
        try:
            links = _links(f"/proc/{pid}/fd")
        except OSError:
            continue  # gone, or not for us to look into
        found = links & inodes.keys()
        if found:
            seen |= found
            pids.append(pid)
    return TcpHolders(pids, sorted({inodes[each] for each in inodes.keys() - seen}))


def _links(directory: str) -> set[str]:
    found = set()
    for name in os.listdir(directory):  # noqa: PTH208 - names are enough
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"{directory}/{name}"))  # noqa: PTH115 - texts are enough
    return found
