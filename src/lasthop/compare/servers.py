"""The servers that can stand at the end of the hop: how each is started for an application on an address.

Knows other programs' options and nothing else. What all have in common here: no access log, idle connections kept for longer than a
comparison lasts, the queue as long as the kernel allows where the server lets one say so. Options are those of the versions named in
`docs/how-to/compare.md`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lasthop.errors import ServerMissing, UsageError
from lasthop.link.address import Address, TcpAddress, UnixAddress
from lasthop.link.backlog import kernel_limit

KEEP_SECONDS = 75
CONNECTIONS = 10_000


@dataclass(frozen=True)
class Task:
    """What a server is to do."""

    target: str
    address: Address
    workers: int
    threads: int


@dataclass(frozen=True)
class Server:
    """One program, and how it is told."""

    name: str
    distribution: str
    script: str
    arguments: Callable[[Task], list[str]]

    @property
    def version(self) -> str | None:
        """The version that is installed beside us, or None."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return None

    @property
    def program(self) -> str | None:
        """Where it is: beside our Python, else where PATH leads."""
        beside = Path(sys.executable).parent / self.script
        return str(beside) if beside.exists() else shutil.which(self.script)

    def command(self, task: Task) -> list[str]:
        """How it is started. Raises ServerMissing."""
        if self.name == "lasthop":
            return [sys.executable, "-m", "lasthop", *self.arguments(task)]
        program = self.program
        if program is None:
            raise ServerMissing(self.name, f"pip install {self.distribution}")
        return [program, *self.arguments(task)]


def _path(address: Address) -> str | None:
    return address.path if isinstance(address, UnixAddress) else None


def _host_port(address: Address) -> tuple[str, str]:
    assert isinstance(address, TcpAddress)
    return address.host, str(address.port)


def _factory(target: str) -> tuple[str, bool]:
    """`module:create()` is a factory to us and to gunicorn; others take its name and a switch."""
    return target.removesuffix("()"), target.endswith("()")


def _lasthop(task: Task) -> list[str]:
    options = ["--workers", str(task.workers), "--threads", str(task.threads), "--log-level", "error"]
    return ["serve", task.target, "--bind", str(task.address), "--keep-alive", str(KEEP_SECONDS), *options]


def _gunicorn(task: Task) -> list[str]:
    options = ["--worker-class", "gthread", "--workers", str(task.workers), "--threads", str(task.threads)]
    options += ["--keep-alive", str(KEEP_SECONDS), "--worker-connections", str(CONNECTIONS)]
    options += ["--backlog", str(kernel_limit()), "--log-level", "warning"]
    return [*options, "--bind", str(task.address), task.target]


def _uvicorn(task: Task) -> list[str]:
    target, factory = _factory(task.target)
    where = ["--uds", path] if (path := _path(task.address)) else _flags(task.address, ("--host", "--port"))
    options = ["--interface", "wsgi", "--no-access-log", "--log-level", "warning"]
    options += ["--timeout-keep-alive", str(KEEP_SECONDS), "--backlog", str(kernel_limit())]
    options += ["--workers", str(task.workers)] if task.workers > 1 else []
    return [*options, *(["--factory"] if factory else []), *where, target]


def _granian(task: Task) -> list[str]:
    target, factory = _factory(task.target)
    where = ["--uds", path] if (path := _path(task.address)) else _flags(task.address, ("--host", "--port"))
    options = ["--interface", "wsgi", "--http", "1", "--no-ws", "--log-level", "error"]
    options += ["--workers", str(task.workers), "--blocking-threads", str(task.threads)]
    options += ["--backlog", str(kernel_limit()), "--backpressure", str(CONNECTIONS)]
    return [*options, *(["--factory"] if factory else []), *where, target]


def _hypercorn(task: Task) -> list[str]:
    if _factory(task.target)[1]:
        raise UsageError(
            "hypercorn takes no factory", "give the application itself: MODULE:ATTRIBUTE without ()"
        )
    options = ["--workers", str(task.workers), "--keep-alive", str(KEEP_SECONDS)]
    options += ["--backlog", str(kernel_limit()), "--log-level", "warning"]
    return [*options, "--bind", str(task.address), f"wsgi:{task.target}"]


def _waitress(task: Task) -> list[str]:
    target, factory = _factory(task.target)
    path = _path(task.address)
    where = f"--unix-socket={path}" if path else f"--listen={task.address}"
    options = [f"--threads={task.threads}", f"--connection-limit={CONNECTIONS}", "--asyncore-use-poll"]
    options += [f"--backlog={kernel_limit()}", f"--channel-timeout={KEEP_SECONDS}"]
    return [where, *options, *(["--call"] if factory else []), target]


def _uwsgi(task: Task) -> list[str]:
    where = _path(task.address) or str(task.address)
    options = ["--need-app", "--single-interpreter", "--disable-logging", "--die-on-term", "--master"]
    options += ["--processes", str(task.workers), "--threads", str(task.threads), "--enable-threads"]
    options += ["--listen", str(min(kernel_limit(), 65_535)), "--chmod-socket=600", "--home", sys.prefix]
    return [*options, "--http11-socket", where, "--pythonpath", ".", "--module", task.target]


def _flags(address: Address, names: tuple[str, str]) -> list[str]:
    host, port = _host_port(address)
    return [names[0], host, names[1], port]


SERVERS: dict[str, Server] = {
    server.name: server
    for server in (
        Server("lasthop", "lasthop", "lasthop", _lasthop),
        Server("gunicorn", "gunicorn", "gunicorn", _gunicorn),
        Server("uvicorn", "uvicorn", "uvicorn", _uvicorn),
        Server("granian", "granian", "granian", _granian),
        Server("waitress", "waitress", "waitress-serve", _waitress),
        Server("hypercorn", "hypercorn", "hypercorn", _hypercorn),
        Server("uwsgi", "pyuwsgi", "uwsgi", _uwsgi),
    )
}
"""By the name that `--server` takes."""
