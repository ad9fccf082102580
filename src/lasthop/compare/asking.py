"""One plain request over a link, and its reply: what is looked at before anything is measured. Figures come from the engine's load."""

from __future__ import annotations

import hashlib
import http.client
import socket
import time
from dataclasses import dataclass

from lasthop.compare.plan import Request

READ_BYTES = 65536
TEXT_BYTES = 200

LoadAddress = str | tuple[str, int]
"""As the engine's load takes it: the path of a socket, or a host literal and a port."""


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    size: int
    """Of the body, in bytes."""
    digest: str
    text: str
    """The beginning of the body."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: LoadAddress, seconds: float) -> None:
        host = "localhost" if isinstance(address, str) else address[0]
        super().__init__(host, timeout=seconds)
        self._address = address

    def connect(self) -> None:
        if isinstance(self._address, tuple):
            self.sock = socket.create_connection(self._address, timeout=self.timeout)
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._address)


def ask(address: LoadAddress, request: Request, seconds: float) -> Reply:
    """Send the request on a connection of its own; the whole reply may take `seconds`. Raises OSError or http.client.HTTPException."""
    until = time.monotonic() + seconds
    connection = _Connection(address, seconds)
    try:
        headers = {"Host": "localhost", "Connection": "close", **dict(request.headers)}
        connection.request(request.method, request.path, body=request.body or None, headers=headers)
        reply = connection.getresponse()
        digest, size, text = hashlib.sha256(), 0, b""
        while some := reply.read1(READ_BYTES):
            digest.update(some)
            size += len(some)
            text += some[: TEXT_BYTES - len(text)]
            if time.monotonic() > until:
                raise TimeoutError
        return Reply(reply.status, size, digest.hexdigest(), text.decode("utf-8", "replace"))
    finally:
        connection.close()


def answers(address: LoadAddress) -> bool:
    """Whether somebody listens there."""
    family = (
        socket.AF_UNIX
        if isinstance(address, str)
        else socket.AF_INET6
        if ":" in address[0]
        else socket.AF_INET
    )
    with socket.socket(family) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True
