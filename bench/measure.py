"""One measurement of one server: start it, see that it replies rightly, ask it under load, read the kernel's counters.

CPU time is that of the whole process tree, from the kernel's process clocks: nanoseconds, threads that have ended
included, read by ``load`` at the very start and end of the time in which it counts requests. Memory is PSS, so that
pages shared between a supervisor and its workers count once. Nothing here compares or prints.
"""

from __future__ import annotations

import json
import re
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from bench import front
from bench.errors import BenchError, ServerError
from bench.interpreters import OWN, Missing, chosen
from bench.link import Link, Reply, ask, open_websocket
from bench.process import Bailiff, Cores, Started, pinned, tree
from bench.server import Server, Task
from bench.watch import Watch

Figures = dict[str, float]

CONNECTIONS = 32
IDLE = 5_000
IDLE_WEBSOCKETS = 2_000
START_SECONDS = 20.0
POLL_SECONDS = 0.001
WARM_SECONDS = 0.25
SLACK_SECONDS = 20.0
MAY_FAIL = 0.001
"""The share of requests that may fail before a figure counts as none."""


@dataclass(frozen=True)
class Work:
    """What is asked of a server: which application on which link, with which requests."""

    application: str
    link: str = "unix"
    path: str = "/"
    expect: bytes | None = None
    """The body, byte for byte; None: any body, the first one's length counts."""
    body_bytes: int = 13
    second: str = ""
    """One request in ten goes here instead; its latencies are kept apart."""
    closes: bool = False
    front_keeps: bool = True
    """Behind a front: whether it keeps its connections to the server."""
    seconds: float = 1.0
    """Times the length of a round."""
    python: str = OWN
    """The role of the Python that it runs in (:mod:`bench.interpreters`)."""
    post: bytes = b""
    """The body of each request, which then is a POST."""
    message_bytes: int = 0
    """Connections are WebSockets and a request is a message of so many bytes, echoed."""
    connections: int = CONNECTIONS


@dataclass
class Stand:
    """Where measuring happens: the compiled programs, the cores, the length of a round."""

    bailiff: Bailiff
    cores: Cores
    seconds: float
    seed: int
    _names: dict[str, int] = field(default_factory=dict)

    def name(self, stem: str) -> str:
        """A name that no other process or socket of this run has."""
        self._names[stem] = self._names.get(stem, 0) + 1
        return f"{stem}-{self._names[stem]}"


@dataclass(frozen=True)
class Serving:
    """A server that has replied once."""

    process: Started
    link: Link
    body: bytes
    first_reply_seconds: float


def _first_reply(process: Started, link: Link, work: Work, begun: float) -> tuple[Reply, float]:
    """Ask again and again, 1 ms apart, until a reply comes."""
    while time.monotonic() < begun + START_SECONDS:
        try:
            with link.connect() as connection:
                reply = ask(connection, work.path, work.post)
            return reply, time.monotonic() - begun
        except OSError:
            if not process.alive:
                raise ServerError(process.name, "it ended before its first reply", process.said()) from None
            time.sleep(POLL_SECONDS)
    raise ServerError(process.name, f"no reply within {START_SECONDS:.0f} s", process.said())


@contextmanager
def serving(stand: Stand, server: Server, work: Work) -> Iterator[Serving]:
    """Start a server, wait for a right reply, kill it at the end."""
    name = stand.name(server.name)
    link = Link.fresh(work.link, stand.bailiff.directory, name)
    python = chosen(work.python)
    if isinstance(python, Missing):
        raise BenchError(f"bench: {python.why}")
    task = Task(work.application, link, work.body_bytes, work.closes, stand.bailiff.directory, python)
    begun = time.monotonic()
    with Started(stand.bailiff, name, server.command(task), stand.cores.server, server.variables) as process:
        reply, seconds = _first_reply(process, link, work, begun)
        if reply.status != 200 or work.expect not in (None, reply.body):
            what = f"the first reply is {reply.status} with {len(reply.body)} bytes: {reply.body[:80]!r}"
            raise ServerError(name, what, process.said())
        yield Serving(process, link, reply.body, seconds)


def load(
    stand: Stand, link: Link, body: bytes, work: Work, processes: list[Started], *, closes: bool = False
) -> list[Figures]:
    """Ask for a round; give the figures with the CPU time of each process tree (one result a process)."""
    pids = [tree(process.pid) for process in processes]
    seconds = stand.seconds * work.seconds
    command = [str(stand.bailiff.directory / "load"), *link.load_options, "--connections"]
    command += [
        str(work.connections),
        "--seconds",
        str(seconds),
        "--warmup",
        str(WARM_SECONDS),
        "--path",
        work.path,
    ]
    command += ["--seed", str(stand.seed)]
    command += (
        ["--websocket", str(work.message_bytes)] if work.message_bytes else ["--expect", str(len(body))]
    )
    command += ["--post", str(len(work.post))] if work.post else []
    command += ["--second", work.second] if work.second else []
    command += ["--close"] if closes else []
    everyone = [pid for group in pids for pid in group]
    command += ["--pids", ",".join(map(str, everyone))]
    watch = Watch(stand.cores, everyone)
    try:
        with pinned(stand.cores.load):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds + SLACK_SECONDS, check=False
            )
    except subprocess.TimeoutExpired:
        raise BenchError(f"load did not end within {SLACK_SECONDS:.0f} s after its time") from None
    foreign = watch.foreign_share()
    if done.returncode != 0:
        raise BenchError(f"load ended with {done.returncode}: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    return [{**figures_of(result, *pair), "foreign": foreign} for pair in zip(pids, processes, strict=True)]


class Latencies(TypedDict):
    """One histogram, as ``load`` prints it."""

    count: int
    mean_us: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float


class Told(TypedDict):
    """What ``load`` prints."""

    seconds: float
    pids: dict[str, int]
    requests: int
    requests_per_second: float
    body_bytes: int
    load_busy: float
    pending_max_us: float
    first: Latencies
    second: Latencies
    errors: dict[str, int]


def figures_of(told: Told, pids: list[int], process: Started) -> Figures:
    """Take the figures out of what ``load`` printed; too many failed requests are a failure of the server."""
    requests, first, second = told["requests"], told["first"], told["second"]
    failed = sum(told["errors"].values())
    if requests == 0 or failed > MAY_FAIL * requests:
        kinds = ", ".join(f"{number} {kind}" for kind, number in told["errors"].items() if number)
        raise ServerError(process.name, f"{requests} good replies; failed: {kinds or 'none'}", process.said())
    used = [told["pids"][str(pid)] for pid in pids]
    if min(used) < 0:
        raise ServerError(process.name, "one of its processes ended during the measurement", process.said())
    figures: Figures = {
        "cpu_us": sum(used) / 1000 / requests,
        "errors": failed,
        "mean_us": first["mean_us"],
        "p50_us": first["p50_us"],
        "p99_us": first["p99_us"],
        "p999_us": first["p999_us"],
        # A request that still waits at the end counts, or a standstill would not be seen. With two kinds of requests it
        # is not known of which kind it is.
        "worst_us": first["max_us"] if second["count"] else max(first["max_us"], told["pending_max_us"]),
        "requests_per_second": told["requests_per_second"],
        "gib_per_second": told["body_bytes"] / told["seconds"] / 2**30,
        "load_busy": told["load_busy"],
        "requests": requests,
    }
    if second["count"]:
        figures["second_p99_us"] = second["p99_us"]
    return figures


def memory_bytes(pids: list[int]) -> int:
    """Proportional set size of these processes together."""
    total = 0
    for pid in pids:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        assert found is not None
        total += int(found.group(1)) * 1024
    return total


# ---- the kinds of measurement; each takes a stand, a server and the work, and gives figures ----


def under_load(stand: Stand, server: Server, work: Work) -> Figures:
    """Requests on the link itself."""
    with serving(stand, server, work) as it:
        closes = work.closes or not server.keeps
        return load(stand, it.link, it.body, work, [it.process], closes=closes)[0]


def at_start(stand: Stand, server: Server, work: Work) -> Figures:
    """Time from exec to the first reply, and memory at rest after it."""
    with serving(stand, server, work) as it:
        time.sleep(0.1)  # what a server still does after its first reply; not readiness
        return {
            "first_reply_ms": it.first_reply_seconds * 1000,
            "memory_mib": memory_bytes(tree(it.process.pid)) / 2**20,
        }


def with_idle(stand: Stand, server: Server, work: Work) -> Figures:
    """What thousands of idle kept-alive connections cost: bytes each, and CPU time a request beside them."""
    with serving(stand, server, work) as it, ExitStack() as kept:
        without = load(stand, it.link, it.body, work, [it.process])[0]
        pids = tree(it.process.pid)
        before = memory_bytes(pids)
        idle = []
        for _ in range(IDLE):
            connection = kept.enter_context(it.link.connect())
            ask(connection, work.path)
            idle.append(connection)
        bytes_each = (memory_bytes(pids) - before) / IDLE
        figures = load(stand, it.link, it.body, work, [it.process])[0]
        closed = _ended(idle)
        if closed:
            raise ServerError(
                it.process.name, f"it closed {closed} of {IDLE} idle connections", it.process.said()
            )
        return {**figures, "cpu_us_without": without["cpu_us"], "idle_bytes": bytes_each}


def with_messages(stand: Stand, server: Server, work: Work) -> Figures:
    """Messages on WebSockets."""
    figures = under_load(stand, server, work)
    return {
        **figures,
        "message_cpu_us": figures["cpu_us"],
        "messages_per_second": figures["requests_per_second"],
    }


def with_idle_websockets(stand: Stand, server: Server, work: Work) -> Figures:
    """What an idle WebSocket costs: bytes each, after some have been used and closed."""
    with serving(stand, server, work) as it, ExitStack() as kept:
        load(stand, it.link, it.body, work, [it.process])
        pids = tree(it.process.pid)
        before = memory_bytes(pids)
        idle = []
        for _ in range(IDLE_WEBSOCKETS):
            connection = kept.enter_context(it.link.connect())
            open_websocket(connection, work.path)
            idle.append(connection)
        bytes_each = (memory_bytes(pids) - before) / IDLE_WEBSOCKETS
        closed = _ended(idle)
        if closed:
            raise ServerError(
                it.process.name, f"it closed {closed} of {IDLE_WEBSOCKETS} WebSockets", it.process.said()
            )
        return {"websocket_bytes": bytes_each}


def _ended(connections: list[socket.socket]) -> int:
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    return len(poll.poll(0))


def behind_front(stand: Stand, server: Server, work: Work) -> Figures:
    """Requests to nginx, which passes them on over the link; both processes' CPU time, apart."""
    with serving(stand, server, work) as it:
        name = stand.name("nginx")
        entrance = Link.fresh("tcp", stand.bailiff.directory, name)
        directory = stand.bailiff.directory / f"{name}.d"
        directory.mkdir()
        file = directory / "nginx.conf"
        file.write_text(front.configuration(directory, entrance.port, it.link, kept_alive=work.front_keeps))
        begun = time.monotonic()
        with Started(stand.bailiff, name, front.command(file), stand.cores.front, {}) as nginx:
            _first_reply(nginx, entrance, work, begun)
            # The load keeps its connections to nginx in any case: what differs is the hop.
            asked = Work(work.application, "tcp", work.path, seconds=work.seconds)
            of_server, of_front = load(stand, entrance, it.body, asked, [it.process, nginx])
            return {**of_server, "front_cpu_us": of_front["cpu_us"]}
