"""The asking end of a trace, as a process of its own, so that its system calls and its time are nobody else's: `python -m lasthop.trace.client`.

Told what to do by a line of JSON on standard input; says what happened by lines of JSON on standard output. It waits to be told to begin and to
close, because somebody looks at both ends in between. Beyond `socket`, `connect`, `sendall`, `recv` and `close` it calls nothing on the way.
"""

from __future__ import annotations

import array
import base64
import fcntl
import json
import os
import socket
import sys
import termios
import time
from typing import Any

from lasthop.link.peer import peer_of
from lasthop.trace.messages import end_of_message, first_line

READ_BYTES = 1 << 16
SLOW_READ_BYTES = 1 << 14
STILL_SECONDS = 0.05
"""When the buffer has not filled for so long, it is full, or all has come."""
PR_SET_PTRACER = 0x59616D61
SIOCINQ, SIOCOUTQ = termios.FIONREAD, termios.TIOCOUTQ


class Client:
    """Connections to one address, one at a time."""

    def __init__(self, address: str | list[Any], slow: bool, seconds: float) -> None:
        self._address: Any = address if isinstance(address, str) else tuple(address)
        self._slow = slow
        self._seconds = seconds
        self._connection: socket.socket | None = None
        self.connections: list[dict[str, Any]] = []
        self.exchanges: list[dict[str, Any]] = []

    def ask(self, request: bytes) -> None:
        """Send a request and read its reply, on the connection that is open or on a new one."""
        connection = self._connection or self._connect()
        sent_at = time.time_ns()
        connection.sendall(request)
        unsent = _waiting(connection, SIOCOUTQ)
        waited = self._until_still(connection) if self._slow else 0
        received = bytearray()
        to_head = request.startswith(b"HEAD ")
        while end_of_message(received, is_reply=True, to_head=to_head) is None:
            some = connection.recv(SLOW_READ_BYTES if self._slow else READ_BYTES)
            received += some
            if not some:
                break
            if self._slow:
                time.sleep(0.001)
        received_at = time.time_ns()
        self._note(connection)
        self.exchanges.append(
            {
                "connection": len(self.connections),
                "sent_bytes": len(request),
                "received_bytes": len(received),
                "request_line": first_line(request),
                "status_line": first_line(received),
                "sent_at_ns": sent_at,
                "received_at_ns": received_at,
                "unsent": unsent,
                "unread": waited,
                "send_buffer": connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
                "receive_buffer": connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
                "head": bytes(received[:4096]).partition(b"\r\n\r\n")[0].decode("latin-1"),
            }
        )
        if not some or b"\r\nconnection: close\r\n" in bytes(received[:READ_BYTES]).lower():
            self.close()

    def _connect(self) -> socket.socket:
        if isinstance(self._address, str):
            connection = socket.socket(socket.AF_UNIX)
        else:
            connection = socket.socket(socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET)
        inode = os.fstat(connection.fileno()).st_ino
        connection.settimeout(None)
        # A time limit of the kernel's: Python's own would make the socket non-blocking and put a poll before every call.
        limit = array.array("l", [int(self._seconds), 0])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        connection.connect(self._address)
        self.connections.append({"inode": inode})
        self._connection = connection
        return connection

    def _note(self, connection: socket.socket) -> None:
        """Who is at both ends, asked when the request is over."""
        found = self.connections[-1]
        if len(found) > 1:
            return
        if connection.family == socket.AF_UNIX:
            found["peer"] = list(peer_of(connection))
        else:
            found["client"] = connection.getsockname()[:2]
            found["server"] = connection.getpeername()[:2]

    def _until_still(self, connection: socket.socket) -> int:
        before = -1
        while (now := _waiting(connection, SIOCINQ)) != before or not now:
            before = now
            time.sleep(STILL_SECONDS)
        return now

    def close(self) -> None:
        """Close the connection that is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _waiting(connection: socket.socket, what: int) -> int:
    return int.from_bytes(fcntl.ioctl(connection, what, bytes(4)), sys.byteorder)


def _may_be_traced() -> None:
    """By any process of ours: Yama lets parents only."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)


def _say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


def main() -> None:
    """Read the task, wait, ask, wait, close."""
    task = json.loads(sys.stdin.readline())
    requests = [base64.b64decode(text) for text in task["requests"]]
    client = Client(task["address"], task["slow"], task["seconds"])
    _may_be_traced()
    _say(ready=os.getpid())
    sys.stdin.readline()
    failed = ""
    try:
        for request in requests:
            client.ask(request)
    except BlockingIOError:
        failed = f"no reply within {task['seconds']:g} s"
    except OSError as error:
        failed = error.strerror or str(error)
    _say(connections=client.connections, exchanges=client.exchanges, failed=failed)
    sys.stdin.readline()
    client.close()
    _say(closed=True)
    sys.stdin.readline()  # what is looked at afterwards is looked at in its namespaces


if __name__ == "__main__":
    main()
