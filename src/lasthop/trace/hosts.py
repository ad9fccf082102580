"""Two machines on one: network namespaces that nothing but a pair of virtual Ethernet cards joins, gone at the end of the block.

Knows iproute2 and needs root. Each card sends one segment a frame, as a real one does on its wire: else the kernel would hand over what no wire
carries.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lasthop.errors import TraceFailed

CLIENT_ADDRESS, SERVER_ADDRESS = "192.0.2.1", "192.0.2.2"
"""Of the block that is kept for documentation (RFC 5737): nobody's."""
CARD = "card"


@dataclass(frozen=True)
class Hosts:
    """The names of the two namespaces."""

    client: str
    server: str

    @staticmethod
    def inside(name: str) -> list[str]:
        """What a command begins with that is to run there."""
        return ["ip", "netns", "exec", name]


@contextmanager
def two_hosts() -> Iterator[Hosts]:
    """Make them, join them, and remove them. Raises TraceFailed."""
    if os.geteuid() != 0:
        raise TraceFailed(
            "two hosts are made of network namespaces, which needs root",
            hint="sudo lasthop trace --link remote",
        )
    _clear_away()
    hosts = Hosts(f"lasthop-client-{os.getpid()}", f"lasthop-server-{os.getpid()}")
    with ExitStack() as stack:
        for name in (hosts.client, hosts.server):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        _ip(
            "link", "add", CARD, "netns", hosts.client, "type", "veth", "peer", "name", CARD, "netns", hosts.server,
        )  # fmt: skip
        for name, address in ((hosts.client, CLIENT_ADDRESS), (hosts.server, SERVER_ADDRESS)):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", CARD)
            _ip("-n", name, "link", "set", CARD, "gso_max_segs", "1", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield hosts


def _clear_away() -> None:
    """Remove what a trace left that was killed: a namespace bears the pid of whoever made it."""
    for name, pid in re.findall(r"^(lasthop-(?:client|server)-(\d+))\b", _ip("netns", "list"), re.MULTILINE):
        if int(pid) == os.getpid() or not Path(f"/proc/{pid}").exists():
            with suppress(TraceFailed):  # another trace clears away, too
                _ip("netns", "del", name)


def _ip(*words: str) -> str:
    try:
        done = subprocess.run(
            ["ip", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise TraceFailed(
            "two hosts are made with `ip`, which is not installed", hint="apt-get install iproute2"
        ) from error
    if done.returncode:
        raise TraceFailed(
            f"ip {' '.join(words)} failed", done.stderr.strip(), "root in a container may lack CAP_SYS_ADMIN"
        )
    return done.stdout
