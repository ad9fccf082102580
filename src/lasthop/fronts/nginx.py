"""nginx: how its configuration is quoted and framed, and how it is started and asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lasthop.errors import HopError
from lasthop.fronts import program, writing
from lasthop.fronts.front import BACKLOG
from lasthop.fronts.hop import MOST_CLIENTS, Hop
from lasthop.fronts.limits import open_files
from lasthop.fronts.writing import Written
from lasthop.link.address import AbstractAddress, UnixAddress

TEMPLATE = "nginx.conf.j2"
MIME_TYPES = Path("/etc/nginx/mime.types")


class Nginx:
    """nginx, with its proxy module."""

    name = "nginx"
    title = "nginx"
    package = "nginx"
    place = "/etc/nginx/conf.d/SITE.conf"

    def executable(self) -> str | None:
        """Where nginx is."""
        return program.find("nginx")

    def version(self) -> str | None:
        """Such as 1.22.1."""
        return program.version("nginx", "-v", r"nginx/(\S+)")

    def site(self, hop: Hop) -> str:
        """A file for conf.d: an upstream and a server."""
        return writing.write(TEMPLATE, quoted, hop, alone=None, **_facts(hop))

    def alone(self, hop: Hop, directory: Path) -> str:
        """The same within a complete configuration."""
        return writing.write(TEMPLATE, quoted, hop, alone=_alone(directory), **_facts(hop))

    def command(self, file: Path, directory: Path) -> list[str]:
        """In the foreground (the file says so), with its errors on standard error."""
        where = program.needed("nginx", self.title, self.package)
        return [where, "-p", str(directory), "-c", str(file), "-e", "stderr"]

    def environment(self, hop: Hop, directory: Path) -> dict[str, str]:  # noqa: ARG002 - another front needs them
        """Nothing."""
        return {}

    def check(self, file: Path, directory: Path) -> str:
        """What `nginx -t` says."""
        return program.judged(self.title, [*self.command(file, directory), "-t"], file)

    def check_site(self, file: Path, directory: Path) -> str:
        """What `nginx -t` says of a configuration that includes the file."""
        frame = directory / "frame.conf"
        hop = Hop(application=UnixAddress("/not/used.sock"))
        facts = _alone(directory) | {"site": str(file)}
        frame.write_text(writing.write(TEMPLATE, quoted, hop, alone=facts, **_facts(hop)), "utf-8")
        return program.judged(self.title, [*self.command(frame, directory), "-t"], file)


def quoted(text: str) -> Written:
    """A text in nginx's double quotes. A variable's `$` cannot be escaped by any means."""
    if "$" in text:
        raise HopError(f"{text!r} holds a $, which nginx takes for a variable", "a path without $")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return Written(f'"{escaped}"')


def _facts(hop: Hop) -> dict[str, Any]:
    address = hop.application
    if isinstance(address, AbstractAddress):
        raise HopError(
            f"nginx cannot connect to {address}, a name in the abstract namespace",
            "a socket with a file, such as unix:/run/app.sock",
        )
    return {
        "name": writing.slug(hop),
        "place": Nginx.place,
        "upstream": str(address),
        "listen": Written(hop.entrance),
        "static": hop.static.items(),
    }


def _alone(directory: Path) -> dict[str, Any]:
    files = open_files()
    return {
        # Started by root, nginx would give its workers to nobody, who may not reach the socket or the directory.
        "root": os.geteuid() == 0,
        "site": None,
        "types": str(MIME_TYPES) if MIME_TYPES.exists() else None,
        "files": files,
        # Those to the application count as well.
        "connections": min(2 * MOST_CLIENTS, files - 64),
        "backlog": BACKLOG,
        "pid": str(directory / "nginx.pid"),
        **{name: str(directory / name) for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi")},
    }
