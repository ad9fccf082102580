"""Caddy: how its Caddyfile is quoted, and how it is started and asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lasthop.errors import HopError
from lasthop.fronts import program, writing
from lasthop.fronts.hop import Hop
from lasthop.fronts.writing import Written
from lasthop.link.address import AbstractAddress, UnixAddress

TEMPLATE = "Caddyfile.j2"


class Caddy:
    """Caddy 2."""

    name = "caddy"
    title = "Caddy"
    package = "caddy"
    place = "/etc/caddy/Caddyfile"

    def executable(self) -> str | None:
        """Where caddy is."""
        return program.find("caddy")

    def version(self) -> str | None:
        """Such as 2.6.2."""
        return program.version("caddy", "version", r"v?(\d\S*)")

    def site(self, hop: Hop) -> str:
        """A Caddyfile, or a part of one."""
        return writing.write(TEMPLATE, quoted, hop, alone=None, **_facts(hop))

    def alone(self, hop: Hop, directory: Path) -> str:
        """The same with global options."""
        storage = {"storage": str(directory / "storage")}
        return writing.write(TEMPLATE, quoted, hop, alone=storage, **_facts(hop))

    def command(self, file: Path, directory: Path) -> list[str]:  # noqa: ARG002 - its directory is in its environment
        """In the foreground."""
        where = program.needed("caddy", self.title, self.package)
        return [where, "run", "--config", str(file), "--adapter", "caddyfile"]

    def environment(self, hop: Hop, directory: Path) -> dict[str, str]:
        """A home of its own, and how many threads run Go code at once."""
        return {**_home(directory), "GOMAXPROCS": str(hop.workers)}

    def check(self, file: Path, directory: Path) -> str:
        """What `caddy validate` says."""
        where = program.needed("caddy", self.title, self.package)
        words = [where, "validate", "--config", str(file), "--adapter", "caddyfile"]
        return program.judged(self.title, words, file, _home(directory))

    def check_site(self, file: Path, directory: Path) -> str:
        """The same: a site is a whole Caddyfile."""
        return self.check(file, directory)


def quoted(text: str) -> Written:
    """A text in backticks, within which Caddy reads every letter as itself; in double quotes when it has a backtick.

    Its `{name}` cannot be escaped: some are replaced when the file is read, others at each request.
    """
    if "{" in text or "}" in text:
        raise HopError(
            f"{text!r} holds a brace, which Caddy takes for a placeholder", "a path without braces"
        )
    if "`" not in text:
        return Written(f"`{text}`")
    if "\\" in text:
        raise HopError(
            f"{text!r} holds a backtick and a backslash, which Caddy cannot be told together", "another path"
        )
    escaped = text.replace('"', '\\"')
    return Written(f'"{escaped}"')


def _facts(hop: Hop) -> dict[str, Any]:
    address, entrance = hop.application, hop.entrance
    match address:
        case UnixAddress(path):
            if ":" in path:
                raise HopError(
                    f"the socket's path {path!r} holds a colon, after which Caddy looks for a port",
                    "a path without :",
                )
            upstream = f"unix/{path}"
        case AbstractAddress(name):
            upstream = f"unix/@{name}"
        case _:
            upstream = str(address)
    return {
        "place": Caddy.place,
        "site": Written(f"http://{hop.server_name}:{entrance.port}"),
        "bind": Written(entrance.host) if entrance.host != "0.0.0.0" else None,
        "upstream": upstream,
        "static": [(Written(url), directory) for url, directory in hop.static.items()],
    }


def _home(directory: Path) -> dict[str, str]:
    return {"HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
