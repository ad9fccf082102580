"""The servers: how each is started for an application on a link, with the settings that are best for it.

What all have in common: one process that serves, no access log, limits on connections raised so that none refuses, idle
connections kept as long as the bench needs them. It knows the servers' options; it does not measure.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from bench.applications.plain import HELLO
from bench.link import Link
from bench.process import ROOT

BOTH = ("unix", "tcp")
BACKLOG = 4096
CONNECTIONS = 10_000
KEEP_SECONDS = 75
SCRIPTS = Path(sys.executable).parent


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


@dataclass(frozen=True)
class Server:
    """One server with one setting of its threads."""

    name: str
    distribution: str
    """The installed package whose version is told; empty for the floor."""
    command: Callable[[Task], list[str]]
    links: tuple[str, ...] = BOTH
    note: str = ""
    keeps: bool = True
    """Whether it keeps a connection for the next request."""

    @property
    def version(self) -> str | None:
        """The installed version, or None."""
        if not self.distribution:
            return "C"
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return None

    @property
    def variables(self) -> dict[str, str]:
        """The environment it gets: the applications are imported from the checkout."""
        return {"PYTHONPATH": str(ROOT)}


def _script(name: str) -> str:
    beside = SCRIPTS / name
    return str(beside) if beside.exists() else (shutil.which(name) or name)


def _bind(link: Link) -> str:
    return f"127.0.0.1:{link.port}" if link.path is None else f"unix:{link.path}"


def _plain(link: Link) -> str:
    return f"127.0.0.1:{link.port}" if link.path is None else str(link.path)


def _import(task: Task) -> str:
    module, _, attribute = task.application.partition(":")
    return f"from {module} import {attribute} as application"


def _floor(task: Task) -> list[str]:
    command = [str(task.programs / "floor"), *task.link.load_options, "--body", str(task.body_bytes)]
    return [*command, "--close"] if task.closes else command


def _bjoern(task: Task) -> list[str]:
    where = (
        repr("127.0.0.1") + f", {task.link.port}"
        if task.link.path is None
        else repr(f"unix:{task.link.path}")
    )
    return [sys.executable, "-c", f"import bjoern; {_import(task)}; bjoern.run(application, {where})"]


def _fastpysgi(task: Task) -> list[str]:
    code = (
        f"import fastpysgi; {_import(task)}; server = fastpysgi.server; server.tcp_nodelay = 1; "
        f"server.backlog = {BACKLOG}; fastpysgi.run(application, '127.0.0.1', {task.link.port})"
    )
    return [sys.executable, "-c", code]


def _granian(threads: int) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(task.link.port)]
        if task.link.path is not None:
            where = ["--uds", str(task.link.path)]
        options = f"--interface wsgi --http 1 --no-ws --log-level error --blocking-threads {threads}"
        options += f" --runtime-mode st --backlog {BACKLOG} --backpressure {CONNECTIONS}"
        return [_script("granian"), *options.split(), *where, task.application]

    return command


def _gunicorn(kind: str) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        options = (
            f"{kind} --no-control-socket --worker-tmp-dir /dev/shm --backlog {BACKLOG} --log-level warning"
        )
        options += f" --worker-connections {CONNECTIONS} --keep-alive {KEEP_SECONDS}"
        return [_script("gunicorn"), *options.split(), "--bind", _bind(task.link), task.application]

    return command


def _uwsgi(threads: int) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        options = "--need-app --single-interpreter --disable-logging --die-on-term --master"
        options += f" --no-orphans --listen 1024 --chmod-socket=600 --threads {threads} --enable-threads"
        where = ["--http-socket", _plain(task.link), "--home", sys.prefix, "--pythonpath", str(ROOT)]
        return [_script("uwsgi"), *options.split(), *where, "--module", task.application]

    return command


def _waitress(threads: int) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        where = (
            f"--listen={_plain(task.link)}" if task.link.path is None else f"--unix-socket={task.link.path}"
        )
        options = (
            f"--threads={threads} --connection-limit={CONNECTIONS} --backlog={BACKLOG} --asyncore-use-poll"
        )
        return [_script("waitress-serve"), where, *options.split(), task.application]

    return command


def _lasthop(threads: int) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        options = ["--bind", _bind(task.link), "--threads", str(threads), "--log-level", "warning"]
        return [_script("lasthop"), "serve", task.application, *options]

    return command


CLOSES = "closes after each reply, so it is measured with a connection a request throughout"

SERVERS: dict[str, Server] = {
    server.name: server
    for server in (
        Server("floor", "", _floor, note="C, epoll, canned reply, parses nothing"),
        Server("bjoern", "bjoern", _bjoern),
        Server("fastpysgi", "fastpysgi", _fastpysgi, links=("tcp",), note="has no UNIX sockets"),
        Server("granian-1", "granian", _granian(1), note="1 blocking thread"),
        Server("granian-16", "granian", _granian(16), note="16 blocking threads"),
        Server("gunicorn-sync", "gunicorn", _gunicorn("-k sync"), note=CLOSES, keeps=False),
        Server("gunicorn-gthread-16", "gunicorn", _gunicorn("-k gthread --threads 16")),
        Server("uwsgi", "pyuwsgi", _uwsgi(1), note=CLOSES, keeps=False),
        Server("waitress-16", "waitress", _waitress(16)),
        Server("lasthop-1", "lasthop", _lasthop(1), note="1 thread"),
        Server("lasthop-4", "lasthop", _lasthop(4), note="4 threads"),
        Server("lasthop-16", "lasthop", _lasthop(16), note="16 threads, the default"),
    )
}
