"""How many connections wait in the accept queue of a listening socket, and how many the kernel lets wait there.

Knows the kernel's words and nothing of a server. Over ``unix:`` by sock_diag(7), a netlink message that names the socket by its inode
and needs no privilege; over TCP by TCP_INFO, whose fields ``tcpi_unacked`` and ``tcpi_sacked`` mean just this for a socket that
listens (net/ipv4/tcp.c, tcp_get_info). In both families the kernel compares with "greater than": a queue of limit N takes N + 1.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR = 2
NLM_F_REQUEST = 1
UDIAG_SHOW_RQLEN = 0x10
UNIX_DIAG_RQLEN = 4
ANY = 0xFFFF_FFFF
"""As a state: all of them. As half of a cookie: none is asked for (INET_DIAG_NOCOOKIE)."""

HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port."""
REQUEST = struct.Struct("=BBHIIIII")
"""struct unix_diag_req: family, protocol, pad, states, inode, show, cookie."""
ANSWER = struct.Struct("=BBBBIII")
"""struct unix_diag_msg: family, type, state, pad, inode, cookie."""
ATTRIBUTE = struct.Struct("=HH")
"""struct nlattr: length with this header, type; the next begins at a multiple of four."""
PAIR = struct.Struct("=II")

TCP_INFO_BYTES = 104
TCP_INFO_UNACKED = 24
"""Where tcpi_unacked and, after it, tcpi_sacked stand in struct tcp_info: after eight bytes and four numbers."""

NETSTAT = Path("/proc/self/net/netstat")


class Depth(NamedTuple):
    """A queue at one moment."""

    waiting: int
    limit: int

    @property
    def holds(self) -> int:
        """How many connections it takes at most."""
        return self.limit + 1

    @property
    def full(self) -> bool:
        """Whether the next connection is refused (``unix:``) or delayed (TCP)."""
        return self.waiting > self.limit


def depths(listening: Iterable[socket.socket]) -> list[Depth | OSError]:
    """Of each socket its queue, or why the kernel does not tell: a sandbox without netlink, a socket of another network namespace."""
    asking: socket.socket | None = None
    found: list[Depth | OSError] = []
    try:
        for each in listening:
            try:
                if each.family == socket.AF_UNIX:
                    asking = asking or _netlink()
                    found.append(_unix(asking, os.fstat(each.fileno()).st_ino))
                else:
                    found.append(_tcp(each))
            except OSError as error:
                found.append(error)
    finally:
        if asking is not None:
            asking.close()
    return found


def _netlink() -> socket.socket:
    # The kernel answers within the send, so there is nothing to wait for.
    return socket.socket(
        socket.AF_NETLINK,
        socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
        NETLINK_SOCK_DIAG,
    )


def _unix(asking: socket.socket, inode: int) -> Depth:
    body = REQUEST.pack(socket.AF_UNIX, 0, 0, ANY, inode, UDIAG_SHOW_RQLEN, ANY, ANY)
    # The inode serves as sequence number: an answer to an earlier question is not taken for this one's.
    asking.sendto(
        HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, inode, 0) + body, (0, 0)
    )
    while True:
        answer, sender = asking.recvfrom(4096)
        # Other processes may send to a netlink socket too; the kernel's port is 0.
        if sender[0] != 0 or len(answer) < HEADER.size:
            continue
        length, kind, _, sequence, _ = HEADER.unpack_from(answer)
        if sequence == inode:
            return _read(answer[HEADER.size : length], kind, inode)


def _read(body: bytes, kind: int, inode: int) -> Depth:
    if kind == NLMSG_ERROR and len(body) >= 4:
        number = -struct.unpack_from("=i", body)[0]
        raise OSError(number, os.strerror(number))
    if kind == SOCK_DIAG_BY_FAMILY and len(body) >= ANSWER.size and ANSWER.unpack_from(body)[4] == inode:
        at = ANSWER.size
        while at + ATTRIBUTE.size <= len(body):
            length, name = ATTRIBUTE.unpack_from(body, at)
            if length < ATTRIBUTE.size:
                break
            if name == UNIX_DIAG_RQLEN and length >= ATTRIBUTE.size + PAIR.size:
                return Depth(*PAIR.unpack_from(body, at + ATTRIBUTE.size))
            at += (length + 3) & ~3
    raise OSError(errno.EPROTO, "the kernel's answer has no length of the queue")


def _tcp(listening: socket.socket) -> Depth:
    told = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    if len(told) < TCP_INFO_UNACKED + PAIR.size:
        raise OSError(errno.EPROTO, "the kernel's answer has no length of the queue")
    return Depth(*PAIR.unpack_from(told, TCP_INFO_UNACKED))


class Overflows(NamedTuple):
    """What the kernel has counted since the network namespace was made, for all TCP listeners in it together.

    For ``unix:`` it counts nothing.
    """

    overflows: int
    """Connections that found a queue full."""
    drops: int
    """Connections that were given up for that or any other reason before a listener had them."""


def overflows(path: Path = NETSTAT) -> Overflows | None:
    """The kernel's counters, or None where they are not to be read. In the file a line of names stands before each of numbers."""
    try:
        lines = path.read_text().splitlines()
        for names, numbers in zip(lines[::2], lines[1::2], strict=False):
            if names.startswith("TcpExt:"):
                found = dict(zip(names.split()[1:], map(int, numbers.split()[1:]), strict=False))
                return Overflows(found["ListenOverflows"], found["ListenDrops"])
    except (OSError, ValueError, KeyError):
        pass
    return None
