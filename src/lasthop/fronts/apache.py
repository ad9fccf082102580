"""Apache httpd with mpm_event and mod_proxy_http: how its configuration is quoted and framed, and how it is started and asked."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from typing import Any

from lasthop.errors import HopError
from lasthop.fronts import program, writing
from lasthop.fronts.front import BACKLOG
from lasthop.fronts.hop import Hop
from lasthop.fronts.limits import threads
from lasthop.fronts.writing import Written
from lasthop.link.address import AbstractAddress, TcpAddress, UnixAddress

TEMPLATE = "apache.conf.j2"
MODULES = Path("/usr/lib/apache2/modules")
NEEDED = ("mpm_event", "authz_core", "alias", "mime", "headers", "proxy", "proxy_http")
MIME_TYPES = Path("/etc/mime.types")

SPARE = 32
"""Threads of each process besides those for its clients. When all are busy, Apache closes connections of clients that wait."""


class Apache:
    """Apache httpd 2.4."""

    name = "apache"
    title = "Apache"
    package = "apache2"
    place = "/etc/apache2/sites-available/SITE.conf"

    def executable(self) -> str | None:
        """Where apache2 is."""
        return program.find("apache2")

    def version(self) -> str | None:
        """Such as 2.4.65."""
        return program.version("apache2", "-v", r"Apache/(\S+)")

    def site(self, hop: Hop) -> str:
        """A file for sites-available: a VirtualHost."""
        return writing.write(TEMPLATE, quoted, hop, alone=None, **_facts(hop))

    def alone(self, hop: Hop, directory: Path) -> str:
        """The same within a complete configuration."""
        return writing.write(TEMPLATE, quoted, hop, alone=_alone(directory, hop), **_facts(hop))

    def command(self, file: Path, directory: Path) -> list[str]:
        """In the foreground.

        Apache refuses to work as root. So that root need not open directories to another user for it, it is started as www-data
        with one of root's rights, that to files.
        """
        where = program.needed("apache2", self.title, self.package)
        started = [where, "-d", str(directory), "-f", str(file), "-D", "FOREGROUND"]
        return [*AS_WWW_DATA, *started] if os.geteuid() == 0 else started

    def environment(self, hop: Hop, directory: Path) -> dict[str, str]:  # noqa: ARG002 - another front needs them
        """Nothing."""
        return {}

    def check(self, file: Path, directory: Path) -> str:
        """What `apache2 -t` says."""
        return program.judged(self.title, [*self.command(file, directory), "-t"], file)

    def check_site(self, file: Path, directory: Path) -> str:
        """What `apache2 -t` says of a configuration that includes the file."""
        frame = directory / "frame.conf"
        hop = Hop(application=UnixAddress("/not/used.sock"))
        facts = _alone(directory, hop) | {"site": str(file)}
        frame.write_text(writing.write(TEMPLATE, quoted, hop, alone=facts, **_facts(hop)), "utf-8")
        return program.judged(self.title, [*self.command(frame, directory), "-t"], file)


AS_WWW_DATA = (
    "setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups",
    "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
    "--pdeathsig=TERM",  # the change of the user has undone what `orphans` asked for
)  # fmt: skip


def quoted(text: str) -> Written:
    """A text in Apache's double quotes. Its `${NAME}` cannot be escaped by any means."""
    if "${" in text:
        raise HopError(f"{text!r} holds ${{, which Apache takes for a variable", "a path without ${")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return Written(f'"{escaped}"')


def _facts(hop: Hop) -> dict[str, Any]:
    entrance = hop.entrance
    everywhere = "*" if entrance.host == "0.0.0.0" else str(entrance).rpartition(":")[0]
    return {
        "place": Apache.place,
        "target": _target(hop),
        "listen": Written(entrance),
        # Debian's ports.conf listens on these for everybody.
        "listens": not (entrance.host == "0.0.0.0" and entrance.port == 80),
        "host": Written(f"{everywhere}:{entrance.port}"),
        "static": hop.static.items(),
    }


def _target(hop: Hop) -> str:
    address = hop.application
    match address:
        case TcpAddress():
            return f"http://{address}/"
        case UnixAddress(path):
            for letter in "|?#":
                if letter in path:
                    raise HopError(
                        f"the socket's path {path!r} holds {letter}, which ends it for Apache",
                        f"a path without {letter}",
                    )
            return f"unix:{path}|http://{_pool(path)}/"
        case AbstractAddress():
            raise HopError(
                f"Apache cannot connect to {address}, a name in the abstract namespace",
                "a socket with a file, such as unix:/run/app.sock",
            )
    raise AssertionError(address)


def _pool(path: str) -> str:
    """A host name for the pool of a socket's connections, never the same for two sockets."""
    name = path.removeprefix("/").replace("/", "-")
    if (
        re.fullmatch(r"[a-z0-9.]+(-[a-z0-9.]+)*", name)
        and "-" not in path
        and ".." not in name
        and len(name) <= 63
    ):
        return name
    words = re.sub(r"[^a-z0-9]+", "-", path.lower())[:40].strip("-")
    return f"{words or 'socket'}-{zlib.crc32(path.encode()):08x}"


def _alone(directory: Path, hop: Hop) -> dict[str, Any]:
    return {
        "site": None,
        "directory": str(directory),
        "pid": str(directory / "apache.pid"),
        "modules": [
            {"name": Written(f"{name}_module"), "file": str(MODULES / f"mod_{name}.so")} for name in NEEDED
        ],
        "types": str(MIME_TYPES) if MIME_TYPES.exists() else str(_no_types(directory)),
        "threads": threads(hop.workers * (hop.clients + SPARE)) // hop.workers,
        "backlog": BACKLOG,
    }


def _no_types(directory: Path) -> Path:
    file = directory / "mime.types"
    file.touch()
    return file
