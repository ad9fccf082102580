"""Which process holds a socket, and what waits in it: /proc/net/tcp, /proc/PID/fd, and sock_diag for UNIX sockets.

Knows how the kernel tells these; starts nothing and sends nothing on a socket of the hop. What cannot be read (another user's process) is left
out.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lasthop.link.address import Address, TcpAddress, UnixAddress
from lasthop.link.peer import LONGEST_IN_A_LINE, command_of
from lasthop.trace.results import Process

Endpoint = tuple[str, int]

STATES = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT",
    7: "CLOSE", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING", 12: "NEW_SYN_RECV",
}  # fmt: skip
"""As include/net/tcp_states.h has them; also those of UNIX sockets."""


@dataclass(frozen=True)
class TcpSocket:
    """A row of /proc/net/tcp or tcp6."""

    local: Endpoint
    remote: Endpoint
    state: str
    unsent: int
    """Bytes that are not acknowledged; of a listener 0."""
    unread: int
    """Bytes that wait to be read; of a listener the connections that wait to be accepted."""
    inode: int


def tcp_sockets(pid: int | str = "self") -> list[TcpSocket]:
    """All TCP sockets of a process's network namespace."""
    found = []
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            unsent, unread = (int(number, 16) for number in words[4].split(":"))
            found.append(
                TcpSocket(
                    _endpoint(words[1]), _endpoint(words[2]), STATES.get(int(words[3], 16), words[3]),
                    unsent, unread, int(words[9]),
                )
            )  # fmt: skip
    return found


def _endpoint(text: str) -> Endpoint:
    """`0100007F:1F90`: words of four bytes, each in the machine's order."""
    host, _, port = text.partition(":")
    packed = b"".join(struct.pack("=I", int(host[at : at + 8], 16)) for at in range(0, len(host), 8))
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed), int(port, 16)


def inodes_of(pid: int) -> dict[int, int]:
    """The sockets that a process has open: descriptor by inode."""
    found: dict[int, int] = {}
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return found
    for each in descriptors:
        try:
            target = os.readlink(each)  # noqa: PTH115 - no path: `socket:[17]`
        except OSError:
            continue
        if target.startswith("socket:["):
            found[int(target[8:-1])] = int(each.name)
    return found


def holder(inode: int, among: Iterable[int]) -> int | None:
    """The process of these that has a socket open; the last of them, as a parent often has it too."""
    return next((pid for pid in reversed(list(among)) if inode in inodes_of(pid)), None)


def listening(address: Address) -> list[int] | None:
    """The processes that listen at an address, as far as they may be seen, parents first; None: nobody listens. Raises OSError (sock_diag)."""
    if isinstance(address, UnixAddress):
        inodes = {
            each.inode for each in unix_sockets() if each.state == "LISTEN" and each.name == address.path
        }
    else:
        assert isinstance(address, TcpAddress)
        hosts = (address.host, "0.0.0.0", "::")
        rows = (row for row in tcp_sockets() if row.state == "LISTEN" and row.local[1] == address.port)
        inodes = {row.inode for row in rows if row.local[0] in hosts}
    if not inodes:
        return None
    pids = sorted(int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())
    return [pid for pid in pids if inodes & inodes_of(pid).keys()]


def process(pid: int) -> Process | None:
    """A process by its number; None when it is gone. Its command is shown without what a terminal would obey."""
    command = command_of(pid)
    try:
        status = Path(f"/proc/{pid}").stat()
    except OSError:
        return None
    shown = (command or "").encode("unicode_escape").decode("ascii")[:LONGEST_IN_A_LINE]
    return Process(pid, status.st_uid, status.st_gid, shown)


SOCK_DIAG_BY_FAMILY = 20
NETLINK_SOCK_DIAG = 4
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
UDIAG_SHOW_NAME, UDIAG_SHOW_PEER, UDIAG_SHOW_RQLEN = 1, 4, 0x10
UNIX_DIAG_NAME, UNIX_DIAG_PEER, UNIX_DIAG_RQLEN = 0, 2, 4
HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBHIIIII")
MESSAGE = struct.Struct("=BBBBIII")
ATTRIBUTE = struct.Struct("=HH")


@dataclass(frozen=True)
class UnixSocket:
    """A UNIX socket as sock_diag tells of it."""

    inode: int
    state: str
    name: str
    peer: int
    """The inode of the other end; 0 where there is none."""
    waiting: int
    """Of a listener: connections that wait to be accepted. Else: bytes that wait to be read."""
    room: int
    """Of a listener: how many may wait. Else: bytes that were sent and are not read."""


def unix_sockets() -> list[UnixSocket]:
    """All UNIX sockets of this network namespace. Raises OSError where the kernel cannot tell (no unix_diag)."""
    show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN
    body = REQUEST.pack(socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, show, 0, 0)
    header = HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
    found: list[UnixSocket] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(5.0)
        kernel.send(header + body)
        while True:
            data = memoryview(kernel.recv(1 << 16))
            while len(data) >= HEADER.size:
                size, kind, *_ = HEADER.unpack(data[: HEADER.size])
                if kind == NLMSG_DONE:
                    return found
                if kind == NLMSG_ERROR:
                    number = -int(struct.unpack("=i", data[16:20])[0])
                    raise OSError(number, os.strerror(number))
                found.append(_unix_socket(data[HEADER.size : size]))
                data = data[(size + 3) & ~3 :]


def _unix_socket(message: memoryview) -> UnixSocket:
    _, _, state, _, inode, _, _ = MESSAGE.unpack(message[: MESSAGE.size])
    attributes: dict[int, bytes] = {}
    rest = message[MESSAGE.size :]
    while len(rest) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack(rest[: ATTRIBUTE.size])
        attributes[kind] = bytes(rest[ATTRIBUTE.size : size])
        rest = rest[(max(size, ATTRIBUTE.size) + 3) & ~3 :]
    name = os.fsdecode(attributes.get(UNIX_DIAG_NAME, b"").rstrip(b"\0"))
    peer = attributes.get(UNIX_DIAG_PEER)
    waiting, room = struct.unpack("=II", attributes.get(UNIX_DIAG_RQLEN, bytes(8)))
    return UnixSocket(
        inode, STATES.get(state, str(state)), name, struct.unpack("=I", peer)[0] if peer else 0, waiting, room
    )
