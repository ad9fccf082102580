"""Asking a server over either link, with the standard library: HTTP over a UNIX socket differs in one method."""

from __future__ import annotations

import http.client
import socket

SECONDS = 20.0
"""When a wait for a server is given up. Nothing is expected to take as long."""


class Connection(http.client.HTTPConnection):
    """A connection to an address as `--bind` writes it and the ready line gives it: HOST:PORT, unix:/PATH or unix:@NAME."""

    def __init__(self, address: str, timeout: float = SECONDS) -> None:
        super().__init__("localhost", timeout=timeout)
        self.address = address
        self._patience = timeout

    def connect(self) -> None:
        """Connect by the link that the address names."""
        if self.address.startswith("unix:"):
            path = self.address.removeprefix("unix:")
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self._patience)
            self.sock.connect("\0" + path[1:] if path.startswith("@") else path)
        else:
            host, _, port = self.address.rpartition(":")
            self.sock = socket.create_connection((host.strip("[]"), int(port)), self._patience)
            # As fronts do: a request in two writes must not wait for the acknowledgement of the first.
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
