"""The servers: how each is started for an application on a link, with the settings that are best for it.

What all have in common: one process that serves, no access log, limits on connections raised so that none refuses, idle
connections kept as long as the bench needs them. It knows the servers' options; it does not measure. Those for ASGI are
in :mod:`bench.asgipeers`.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.asgipeers import ASGI_SERVERS
from bench.link import Link
from bench.process import ROOT
from bench.server import (
    BACKLOG,
    CONNECTIONS,
    KEEP_SECONDS,
    Server,
    Task,
    bind,
    host_and_port,
    import_line,
)


def _plain(link: Link) -> str:
    return f"127.0.0.1:{link.port}" if link.path is None else str(link.path)


def _floor(task: Task) -> list[str]:
    command = [str(task.programs / "floor"), *task.link.load_options, "--body", str(task.body_bytes)]
    return [*command, "--close"] if task.closes else command


def _bjoern(task: Task) -> list[str]:
    where = (
        repr("127.0.0.1") + f", {task.link.port}"
        if task.link.path is None
        else repr(f"unix:{task.link.path}")
    )
    return [
        str(task.python.executable),
        "-c",
        f"import bjoern; {import_line(task)}; bjoern.run(application, {where})",
    ]


def _fastpysgi(task: Task) -> list[str]:
    code = (
        f"import fastpysgi; {import_line(task)}; server = fastpysgi.server; server.tcp_nodelay = 1; "
        f"server.backlog = {BACKLOG}; fastpysgi.run(application, '127.0.0.1', {task.link.port})"
    )
    return [str(task.python.executable), "-c", code]


def _granian(threads: int) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        options = f"--interface wsgi --http 1 --no-ws --log-level error --blocking-threads {threads}"
        options += f" --runtime-mode st --backlog {BACKLOG} --backpressure {CONNECTIONS}"
        return [task.python.script("granian"), *options.split(), *host_and_port(task.link), task.application]

    return command


def _gunicorn(kind: str) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        options = (
            f"{kind} --no-control-socket --worker-tmp-dir /dev/shm --backlog {BACKLOG} --log-level warning"
        )
        options += f" --worker-connections {CONNECTIONS} --keep-alive {KEEP_SECONDS}"
        return [task.python.script("gunicorn"), *options.split(), "--bind", bind(task.link), task.application]

    return command


def _uwsgi(threads: int) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        options = "--need-app --single-interpreter --disable-logging --die-on-term --master"
        options += f" --no-orphans --listen 1024 --chmod-socket=600 --threads {threads} --enable-threads"
        where = [
            "--http-socket",
            _plain(task.link),
            "--home",
            str(task.python.executable.parent.parent),
            "--pythonpath",
            str(ROOT),
        ]
        return [task.python.script("uwsgi"), *options.split(), *where, "--module", task.application]

    return command


def _waitress(threads: int) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        where = (
            f"--listen={_plain(task.link)}" if task.link.path is None else f"--unix-socket={task.link.path}"
        )
        options = (
            f"--threads={threads} --connection-limit={CONNECTIONS} --backlog={BACKLOG} --asyncore-use-poll"
        )
        return [task.python.script("waitress-serve"), where, *options.split(), task.application]

    return command


def _lasthop(threads: int) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        options = ["--bind", bind(task.link), "--threads", str(threads), "--log-level", "warning"]
        return [task.python.script("lasthop"), "serve", task.application, *options]

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
        *ASGI_SERVERS,
    )
}
