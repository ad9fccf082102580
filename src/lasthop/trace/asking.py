"""The asking end as the trace sees it: `lasthop.trace.client` in a process of its own, told what to do and when."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

from lasthop.errors import TraceFailed
from lasthop.link.address import Address, TcpAddress, UnixAddress


class Asking:
    """The asking end: `lasthop.trace.client`, spoken to by lines of JSON. `where`: what its command begins with."""

    def __init__(
        self, address: Address, requests: list[bytes], *, slow: bool, seconds: float, where: list[str]
    ) -> None:
        command = [*where, sys.executable, "-m", "lasthop.trace.client"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        target = address.path if isinstance(address, UnixAddress) else host_port(address)
        self._tell(
            json.dumps(
                {
                    "address": target,
                    "requests": [base64.b64encode(each).decode() for each in requests],
                    "slow": slow,
                    "seconds": seconds,
                }
            )
        )
        self.pid = int(self._heard()["ready"])

    def ask(self) -> dict[str, Any]:
        """Have it ask; what came of it. The last connection stays open."""
        self._tell("ask")
        return self._heard()

    def close(self) -> None:
        """Have it close what is open."""
        self._tell("close")
        self._heard()

    def end(self) -> None:
        """End it, however far it is."""
        self._process.kill()
        self._process.communicate()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise TraceFailed("the asking end of the trace ended by itself")
        heard: dict[str, Any] = json.loads(line)
        return heard


def host_port(address: Address) -> list[object]:
    assert isinstance(address, TcpAddress)
    return [address.host, address.port]
