"""What a server is to the bench: a name, a package, a command for a task; and how commands write where to listen."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.applications.plain import HELLO
from bench.interpreters import INSTALL, Interpreter, own
from bench.link import Link
from bench.process import ROOT

BOTH = ("unix", "tcp")
BACKLOG = 4096
CONNECTIONS = 10_000
KEEP_SECONDS = 75
SET_UP = "make setup"
"""What brings lasthop into the bench's own environment."""


@dataclass(frozen=True)
class Task:
    """What a server is to do: serve this application on this link."""

    application: str
    """MODULE:ATTRIBUTE; the floor cannot, and sends ``body_bytes`` bytes."""
    link: Link
    body_bytes: int = len(HELLO)
    closes: bool = False
    """A connection a request: only the floor has to be told."""
    programs: Path = Path()
    """Where the compiled ``floor`` lies."""
    python: Interpreter = field(default_factory=own)


def _nothing(_python: Interpreter) -> str | None:
    return None


@dataclass(frozen=True)
class Server:
    """One server with one setting of its threads or its loop."""

    name: str
    distribution: str
    """The installed package whose version is told; empty for the floor."""
    command: Callable[[Task], list[str]]
    links: tuple[str, ...] = BOTH
    note: str = ""
    keeps: bool = True
    """Whether it keeps a connection for the next request."""
    needs: tuple[str, ...] = ()
    """Packages without which it would not be what it is called."""
    cannot: Callable[[Interpreter], str | None] = _nothing
    """Why what is installed cannot do what is asked of it."""

    def missing(self, python: Interpreter) -> str | None:
        """Why it cannot be measured in this Python, with the command that helps; None if it can."""
        for name in filter(None, (self.distribution, *self.needs)):
            if python.installed(name) is None:
                how = SET_UP if name == "lasthop" and python == own() else INSTALL
                return f"{name} is not installed ({how})"
        return self.cannot(python)

    @property
    def variables(self) -> dict[str, str]:
        """The environment it gets: the applications are imported from the checkout."""
        beside = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": f"{ROOT}:{beside}" if beside else str(ROOT)}


def bind(link: Link) -> str:
    """As gunicorn takes it, and many after it."""
    return f"127.0.0.1:{link.port}" if link.path is None else f"unix:{link.path}"


def host_and_port(link: Link) -> list[str]:
    """As uvicorn and granian take it."""
    if link.path is not None:
        return ["--uds", str(link.path)]
    return ["--host", "127.0.0.1", "--port", str(link.port)]


def import_line(task: Task) -> str:
    """For servers that are started from Python."""
    module, _, attribute = task.application.partition(":")
    return f"from {module} import {attribute} as application"
