"""The servers for ASGI: how each is started, as :mod:`bench.peers` does it for WSGI.

All that can take uvloop do, as their makers advise; lasthop is measured on both loops. Compression of WebSocket messages
is left as each has it: a client that does not ask for it, as the load, gets none.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache

from bench.interpreters import Interpreter
from bench.process import ROOT
from bench.server import BACKLOG, CONNECTIONS, KEEP_SECONDS, Server, Task, bind, host_and_port, import_line

ANSWER_SECONDS = 30


def _uvicorn(task: Task) -> list[str]:
    options = "--loop uvloop --http httptools --ws auto --no-access-log --log-level error"
    options += f" --backlog {BACKLOG} --timeout-keep-alive {KEEP_SECONDS}"
    return [task.python.script("uvicorn"), *options.split(), *host_and_port(task.link), task.application]


def _granian(task: Task) -> list[str]:
    options = "--interface asgi --http 1 --ws --loop uvloop --log-level error --runtime-mode st"
    options += f" --backlog {BACKLOG} --backpressure {CONNECTIONS}"
    return [task.python.script("granian"), *options.split(), *host_and_port(task.link), task.application]


def _gunicorn(task: Task) -> list[str]:
    options = "-k asgi --asgi-loop uvloop --no-control-socket --worker-tmp-dir /dev/shm --log-level warning"
    options += f" --backlog {BACKLOG} --worker-connections {CONNECTIONS} --keep-alive {KEEP_SECONDS}"
    return [task.python.script("gunicorn"), *options.split(), "--bind", bind(task.link), task.application]


def _hypercorn(task: Task) -> list[str]:
    options = f"--worker-class uvloop --workers 1 --log-level error --backlog {BACKLOG}"
    options += f" --keep-alive {KEEP_SECONDS}"
    return [task.python.script("hypercorn"), *options.split(), "--bind", bind(task.link), task.application]


def _fastpysgi(task: Task) -> list[str]:
    code = (
        f"import fastpysgi; {import_line(task)}; server = fastpysgi.server; server.tcp_nodelay = 1; "
        f"server.backlog = {BACKLOG}; fastpysgi.run(application, '127.0.0.1', {task.link.port})"
    )
    return [str(task.python.executable), "-c", code]


def _lasthop(loop: str) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        options = ["--bind", bind(task.link), "--interface", "asgi", "--loop", loop, "--log-level", "warning"]
        return [task.python.script("lasthop"), "serve", task.application, *options]

    return command


@cache
def serves_asgi(python: Interpreter) -> str | None:
    """Whether the lasthop that is installed there knows ASGI: by the options that its help names."""
    try:
        done = subprocess.run(
            [python.script("lasthop"), "serve", "--help"],
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_SECONDS,
            cwd=ROOT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"lasthop does not run in Python {python}: {error}"
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return f"lasthop does not run in Python {python}: {last[0]}"
    if "--interface" not in done.stdout:
        return "this lasthop serves WSGI only: its `lasthop serve --help` names no --interface"
    return None


ASGI_SERVERS = (
    Server(
        "uvicorn", "uvicorn", _uvicorn, note="uvloop, httptools", needs=("uvloop", "httptools", "websockets")
    ),
    Server("granian-asgi", "granian", _granian, note="uvloop", needs=("uvloop",)),
    Server("gunicorn-asgi", "gunicorn", _gunicorn, note="uvloop, C parser", needs=("uvloop", "gunicorn-h1c")),
    Server("hypercorn", "hypercorn", _hypercorn, note="uvloop", needs=("uvloop",)),
    Server("fastpysgi-asgi", "fastpysgi", _fastpysgi, links=("tcp",), note="has no UNIX sockets"),
    Server("lasthop-asyncio", "lasthop", _lasthop("asyncio"), note="ASGI", cannot=serves_asgi),
    Server(
        "lasthop-uvloop", "lasthop", _lasthop("uvloop"), note="ASGI", needs=("uvloop",), cannot=serves_asgi
    ),
)
