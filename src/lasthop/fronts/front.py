"""What every front can do: say its configuration for a hop, check it, and tell how it is started."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lasthop.fronts.hop import Hop

BACKLOG = 4096
"""How many connections may wait to be accepted by a front that runs alone."""


class Front(Protocol):
    """One kind of web server before an application."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    @property
    def title(self) -> str:
        """Its name in a sentence."""

    @property
    def package(self) -> str:
        """The Debian package that brings it."""

    @property
    def place(self) -> str:
        """Where an administrator keeps its configuration."""

    def executable(self) -> str | None:
        """Where its program is; None: it is not installed."""

    def version(self) -> str | None:
        """Its version; None: it is not installed."""

    def site(self, hop: Hop) -> str:
        """The complete, commented configuration for a production machine."""

    def alone(self, hop: Hop, directory: Path) -> str:
        """The same as a configuration that stands by itself: in the foreground, everything in a directory, no access log."""

    def command(self, file: Path, directory: Path) -> list[str]:
        """How it is started with a configuration that stands by itself."""

    def environment(self, hop: Hop, directory: Path) -> dict[str, str]:
        """What its environment must have more than ours."""

    def check(self, file: Path, directory: Path) -> str:
        """Have it test a configuration that stands by itself; what it says of one that is right. Raises FrontRefused."""

    def check_site(self, file: Path, directory: Path) -> str:
        """Have it test a file as `site` makes it, in the surroundings that it has on a production machine."""
