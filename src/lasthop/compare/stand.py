"""A hop that stands: a server on its link, a front before it where there is one, both on their cores, and a first reply that was right.

Knows how things are started and ended; measures nothing. Whatever goes wrong becomes a HopFailed with what the programs said.
"""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lasthop.compare.asking import LoadAddress, Reply, answers, ask
from lasthop.compare.plan import Plan, Request
from lasthop.compare.processes import Started, free_port, pinned, tree, until
from lasthop.compare.results import Cell
from lasthop.compare.servers import SERVERS, Task
from lasthop.errors import HopFailed, LasthopError
from lasthop.fronts import find
from lasthop.fronts.hop import Hop
from lasthop.fronts.running import RunningFront
from lasthop.link.address import LONGEST_PATH, Address, TcpAddress, UnixAddress

END_SECONDS = 1.0
HOSTS = {"tcp": "127.0.0.1", "tcp6": "::1"}


class Cores:
    """Who runs where: the server on one core, the load on another, a front on a third where there is one."""

    def __init__(self, usable: set[int]) -> None:
        cores = sorted(usable)
        self.shared = len(cores) == 1
        """Whether load and server share a core: then the load takes time from what it measures."""
        self.server = cores[0]
        self.load = cores[-1]
        self.front = cores[1] if len(cores) > 2 else cores[0]


@dataclass(frozen=True)
class Standing:
    """One cell, standing."""

    name: str
    cell: Cell
    server_address: LoadAddress
    address: LoadAddress
    """What the load asks: the front's entrance, or the server itself."""
    server: Started
    front: RunningFront | None
    reply: Reply
    steady: bool
    """Whether two replies had the same body."""

    def pids(self) -> tuple[list[int], list[int]]:
        """The processes of the server and of the front."""
        return tree(self.server.pid), tree(self.front.pid) if self.front else []


class Stand:
    """Where hops are put up: a directory for sockets and logs, and the cores."""

    def __init__(self, directory: Path, plan: Plan, cores: Cores) -> None:
        self._directory = directory
        self._plan = plan
        self.cores = cores
        self._number = 0

    @classmethod
    @contextmanager
    def here(cls, plan: Plan) -> Iterator[Self]:
        """A stand in a directory that is gone afterwards."""
        directory = Path(tempfile.mkdtemp(prefix="lasthop-"))
        try:
            directory.chmod(0o755)  # a front's workers may be of another user
            yield cls(directory, plan, Cores(os.sched_getaffinity(0)))
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    @contextmanager
    def up(self, cells: dict[str, Cell]) -> Iterator[tuple[dict[str, Standing], dict[str, str]]]:
        """Put these cells up, all at once; give those that stand, and for the others what went wrong. All are ended afterwards."""
        with ExitStack() as stack:
            standing: dict[str, Standing] = {}
            failures: dict[str, str] = {}
            begun: dict[str, tuple[Started, Address, float]] = {}
            for name, cell in cells.items():
                try:
                    server, address = self._start(cell)
                except LasthopError as error:
                    failures[name] = str(error)
                else:
                    stack.callback(server.end)
                    begun[name] = server, address, time.monotonic()
            for name, (server, address, at) in begun.items():
                try:
                    standing[name] = self._see_up(stack, name, cells[name], server, address, at)
                except LasthopError as error:
                    failures[name] = str(error)
            yield standing, failures

    def _start(self, cell: Cell) -> tuple[Started, Address]:
        self._number += 1
        if cell.link == "unix":
            path = str(self._directory / f"{self._number}.sock")
            if len(os.fsencode(path)) > LONGEST_PATH:
                raise HopFailed(
                    f"no room for a socket: {path} is longer than {LONGEST_PATH} bytes",
                    hint="set TMPDIR to a short directory, such as /tmp",
                )
            address: Address = UnixAddress(path)
        else:
            try:
                address = TcpAddress(HOSTS[cell.link], free_port(HOSTS[cell.link]))
            except OSError as error:
                raise HopFailed(
                    f"this machine has no {cell.link} on its loopback interface: {error.strerror}",
                    hint=f"leave {cell.link} out: --link unix,tcp",
                ) from error
        task = Task(cell.target, address, self._plan.workers, self._plan.threads)
        command = SERVERS[cell.server].command(task)
        environ = {**os.environ, "PYTHONPATH": _with_here(os.environ.get("PYTHONPATH", ""))}
        try:
            server = Started(
                command, self._directory / f"{self._number}.log", self.cores.server, environ, Path.cwd()
            )
        except OSError as error:
            raise HopFailed(f"{cell.server} could not be started: {error.strerror or error}") from error
        return server, address

    def _see_up(
        self, stack: ExitStack, name: str, cell: Cell, server: Started, address: Address, at: float
    ) -> Standing:
        """Wait until it listens, put the front before it, and look at its first replies."""
        listening = _load_address(address)
        deadline = at + self._plan.start_seconds
        if not until(lambda: not server.alive or answers(listening), deadline):
            raise HopFailed(
                f"{cell.server} does not listen at {address} after {self._plan.start_seconds:g} s",
                server.said(),
            )
        self._see_alive(cell, server)
        front, entrance = self._before(stack, cell, address)
        reply = self._first(cell, server, front, entrance or listening, deadline)
        again = self._first(cell, server, front, entrance or listening, deadline)
        return Standing(
            name, cell, listening, entrance or listening, server, front, reply,
            reply.digest == again.digest,
        )  # fmt: skip

    def _see_alive(self, cell: Cell, server: Started, seconds: float = 0.0) -> None:
        """A server may listen, and end when it has tried to load the application; that it ends may take a moment."""
        if until(lambda: not server.alive, time.monotonic() + seconds):
            raise HopFailed(
                f"{cell.server} ended with code {server.code} before it served {cell.target}", server.said()
            )

    def _before(
        self, stack: ExitStack, cell: Cell, address: Address
    ) -> tuple[RunningFront | None, LoadAddress | None]:
        if cell.front == "direct":
            return None, None
        entrance = TcpAddress("127.0.0.1", free_port("127.0.0.1"))
        directory = self._directory / f"{self._number}-{cell.front}-{entrance.port}"
        directory.mkdir()
        hop = Hop(
            application=address, entrance=entrance, keep_alive=cell.connections * 2 if cell.keep_alive else 0,
            upload_bytes=max(1 << 20, 2 * len(self._plan.request.body)), workers=1, clients=cell.connections * 2,
        )  # fmt: skip
        with pinned(self.cores.front):
            front = stack.enter_context(RunningFront(find(cell.front), hop, directory))
        return front, (entrance.host, entrance.port)

    def _first(
        self,
        cell: Cell,
        server: Started,
        front: RunningFront | None,
        address: LoadAddress,
        deadline: float,
    ) -> Reply:
        seconds = min(self._plan.reply_seconds, max(1.0, deadline - time.monotonic()))
        try:
            reply = ask(address, _in_size(self._plan.request, cell), seconds)
        except TimeoutError:
            raise HopFailed(f"no reply from {cell.target} within {seconds:.0f} s", server.said()) from None
        except (OSError, http.client.HTTPException) as error:
            self._see_alive(cell, server, END_SECONDS)
            raise HopFailed(f"no reply from {cell.target}: {error!r}", _said(server, front)) from error
        if self._plan.any_status and not (front is not None and reply.status == 502):
            return reply
        wanted = self._plan.expect_status
        if reply.status != wanted if wanted else reply.status >= 400:
            self._see_alive(cell, server, END_SECONDS if reply.status == 502 else 0.0)
            raise HopFailed(
                f"{cell.target} replies {reply.status} to {self._plan.request.method} {self._plan.request.path}: {reply.text!r}",
                _said(server, front),
                "a comparison of errors says nothing: choose another --path, or --expect-status",
            )
        return reply


def disagreements(standing: dict[str, Standing]) -> dict[str, str]:
    """Cells whose replies are not those of the first cell with the same application and request: they cannot be compared."""
    first: dict[tuple[str, int], Standing] = {}
    found: dict[str, str] = {}
    for name, each in standing.items():
        other = first.setdefault((each.cell.target, each.cell.body_bytes), each)
        if each.reply.status != other.reply.status:
            found[name] = f"it replies {each.reply.status}, but {other.reply.status} on {other.name}"
        elif each.steady and other.steady and each.reply.digest != other.reply.digest:
            found[name] = (
                f"its reply has another body ({each.reply.size} bytes: {each.reply.text[:60]!r}) "
                f"than on {other.name} ({other.reply.size} bytes: {other.reply.text[:60]!r})"
            )
    return found


def _in_size(request: Request, cell: Cell) -> Request:
    """The request with the body that the cell wants."""
    if not cell.body_bytes or request.body:
        return request
    return Request(request.method, request.path, request.headers, b"x" * cell.body_bytes)


def request_of(plan: Plan, cell: Cell) -> Request:
    """What this cell is asked."""
    return _in_size(plan.request, cell)


def _said(server: Started, front: RunningFront | None) -> str:
    return "\n".join(filter(None, [server.said(), front.log() if front else ""]))


def _load_address(address: Address) -> LoadAddress:
    if isinstance(address, UnixAddress):
        return address.path
    assert isinstance(address, TcpAddress)
    return address.host, address.port


def _with_here(paths: str) -> str:
    """PYTHONPATH with the working directory first: not every server looks there by itself."""
    return os.pathsep.join([str(Path.cwd()), *filter(None, [paths])])
