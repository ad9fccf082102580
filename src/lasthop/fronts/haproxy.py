"""HAProxy: how its configuration is quoted, and how it is started and asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lasthop.errors import HopError
from lasthop.fronts import program, writing
from lasthop.fronts.front import BACKLOG
from lasthop.fronts.hop import MOST_CLIENTS, Hop
from lasthop.fronts.limits import open_files
from lasthop.fronts.writing import Written
from lasthop.link.address import AbstractAddress, UnixAddress

TEMPLATE = "haproxy.cfg.j2"
PURGES = 12
"""HAProxy has no time-out for an idle connection. It closes half of those that are not needed again and again; after 8 times 32 are gone."""


class Haproxy:
    """HAProxy 2."""

    name = "haproxy"
    title = "HAProxy"
    package = "haproxy"
    place = "/etc/haproxy/haproxy.cfg"

    def executable(self) -> str | None:
        """Where haproxy is."""
        return program.find("haproxy")

    def version(self) -> str | None:
        """Such as 2.6.12-1+deb12u1."""
        return program.version("haproxy", "-v", r"version (\S+)")

    def site(self, hop: Hop) -> str:
        """A complete haproxy.cfg."""
        return writing.write(TEMPLATE, quoted, hop, alone=None, **_facts(hop))

    def alone(self, hop: Hop, directory: Path) -> str:  # noqa: ARG002 - it writes no files
        """The same with other global settings."""
        # Each client takes two descriptors, and HAProxy some for itself.
        facts = {"connections": min(MOST_CLIENTS, (open_files() - 256) // 2), "backlog": BACKLOG}
        return writing.write(TEMPLATE, quoted, hop, alone=facts, **_facts(hop))

    def command(self, file: Path, directory: Path) -> list[str]:  # noqa: ARG002 - it writes no files
        """In the foreground."""
        return [program.needed("haproxy", self.title, self.package), "-db", "-f", str(file)]

    def environment(self, hop: Hop, directory: Path) -> dict[str, str]:  # noqa: ARG002 - another front needs them
        """Nothing."""
        return {}

    def check(self, file: Path, directory: Path) -> str:  # noqa: ARG002 - it writes no files
        """What `haproxy -c` says."""
        where = program.needed("haproxy", self.title, self.package)
        return program.judged(self.title, [where, "-c", "-f", str(file)], file)

    def check_site(self, file: Path, directory: Path) -> str:
        """The same: a site is a whole haproxy.cfg."""
        return self.check(file, directory)


def quoted(text: str) -> Written:
    """A text in single quotes, as a shell has them: within, every letter is itself."""
    escaped = text.replace("'", "'\\''")
    return Written(f"'{escaped}'")


def _facts(hop: Hop) -> dict[str, Any]:
    address = hop.application
    if hop.static:
        raise HopError(
            "HAProxy serves no files", "leave --static out, or let nginx, Apache or Caddy be the front"
        )
    if isinstance(address, AbstractAddress):
        raise HopError(
            f"HAProxy cannot connect to {address}: it fills abstract names up with NUL bytes, so that they are others",
            "a socket with a file, such as unix:/run/app.sock",
        )
    if isinstance(address, UnixAddress) and "$" in address.path:
        raise HopError(
            f"the socket's path {address.path!r} holds a $, which HAProxy takes for a variable even in quotes",
            "a path without $",
        )
    return {
        "name": writing.slug(hop),
        "place": Haproxy.place,
        "upstream": f"unix@{address.path}" if isinstance(address, UnixAddress) else str(address),
        "listen": Written(hop.entrance),
        "purge": max(1, hop.idle_seconds // PURGES),
    }
