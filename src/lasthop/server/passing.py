"""How two lasthops talk when one takes over from the other: a name to meet at, and messages with descriptors.

Each supervisor listens at a name in the abstract namespace that only it can have. Messages are JSON objects, one a packet; a connection ends with its processes,
so nobody waits for one that is gone. What comes is another's word until `claim` or `handover` has looked at it. The order of the messages
is in docs/design/takeover.md.
"""

import json
import os
import socket
from typing import Any

from lasthop.link.holders import wait_at_most
from lasthop.link.peer import Peer, peer_of

VERSION = 1
LONGEST_MESSAGE = 65_536
MOST_DESCRIPTORS = 250
"""The kernel passes at most 253 in one message."""

Message = dict[str, Any]


def name_of(pid: int) -> str:
    """Where the lasthop with this pid listens. A pod's containers share the names, but each has pids of its own."""
    return f"\0lasthop/takeover/{os.stat('/proc/self/ns/pid').st_ino}/{pid}"  # noqa: PTH116 - no path is made of it


def packets() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def is_trusted(peer: Peer) -> bool:
    """Whether a process may have what is ours: it could take it anyway."""
    return peer.uid in (os.geteuid(), 0)


def meet(pid: int, seconds: int) -> tuple[socket.socket, Peer] | None:
    """A connection to the lasthop with this pid, and who it is by the kernel's word; None when there is none.

    Raises OSError when somebody is there and it cannot be known who.
    """
    connection = packets()
    try:
        wait_at_most(connection, seconds)
        connection.connect(name_of(pid))
        peer = peer_of(connection)
    except ConnectionRefusedError:
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    if peer.pid != pid:
        connection.close()  # somebody else's name, whatever he wants
        return None
    return connection, peer


def send(connection: socket.socket, message: Message, descriptors: list[int] | None = None) -> None:
    """Send it whole, or raise OSError."""
    data = json.dumps(message).encode()
    if descriptors:
        socket.send_fds(connection, [data], descriptors)
    else:
        connection.send(data, socket.MSG_NOSIGNAL)


def receive(connection: socket.socket) -> Message | None:
    """The next message, None at the end. Raises BlockingIOError when there is none yet, OSError and ValueError.

    Descriptors that come with it, unasked, are dropped by the kernel.
    """
    try:
        data = connection.recv(LONGEST_MESSAGE)
    except ConnectionError:
        return None
    return _read(data) if data else None


def receive_all(connection: socket.socket) -> tuple[Message | None, list[int]]:
    """The same, with the descriptors that came along, closed on exec. They are the caller's to close."""
    try:
        data, descriptors, _, _ = socket.recv_fds(
            connection, LONGEST_MESSAGE, MOST_DESCRIPTORS + 1, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return None, []
    try:
        return (_read(data) if data else None), descriptors
    except BaseException:
        for each in descriptors:
            os.close(each)
        raise


def _read(data: bytes) -> Message:
    try:
        message = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(message, dict):
        raise ValueError("it is no object")
    return message
