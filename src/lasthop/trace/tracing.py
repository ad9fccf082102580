"""A trace: each link's hop is put up, asked, watched at both ends, and ended. `trace(plan)` gives what was seen.

Knows in which order things must happen so that nothing is missed: whoever watches stands before the first connection, and goes after the last
frame. What cannot be watched is told, and the rest is shown.
"""

from __future__ import annotations

import os
import platform
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lasthop.compare.plan import Plan, Request
from lasthop.compare.processes import Started, free_port, tree, until
from lasthop.compare.results import Cell
from lasthop.compare.servers import SERVERS, Task
from lasthop.compare.stand import Stand
from lasthop.errors import LasthopError, TraceFailed
from lasthop.fronts import find
from lasthop.fronts.hop import Hop
from lasthop.fronts.running import RunningFront
from lasthop.link.address import Address, TcpAddress, UnixAddress
from lasthop.trace import calls, cost, counters, frames, hosts, sockets, unixside
from lasthop.trace.asking import Asking, host_port
from lasthop.trace.calls import Calls
from lasthop.trace.capture import Capture, Captured
from lasthop.trace.events import named
from lasthop.trace.results import TO_SERVER, Call, Exchange, LinkTrace, Queue, Trace

DEFAULT_TARGET = "lasthop.trace.application:app"
ATTEMPTS = 4
"""How often a UNIX socket is traced until a moment comes in which nothing else of the machine talks."""
QUIET_SECONDS = 1.0
"""How long the last frames of a connection may take."""
START_SECONDS = 20.0
REMOTE_PORT = 8000
KINDS = {"1": "Ethernet", "772": "loopback"}
"""Of interfaces, by the kernel's number (ARPHRD_*)."""

Connection = tuple[frames.Endpoint, frames.Endpoint]


@dataclass(frozen=True)
class TracePlan:
    """What is to be traced."""

    target: str
    links: list[str]
    front: str = "direct"
    requests: int = 2
    request: Request = field(default_factory=Request)
    slow: bool = False
    with_calls: bool = True
    with_cost: bool = True
    pcap: Path | None = None
    reply_seconds: float = 10.0
    attach: Address | None = None
    """What runs already is traced: the only link is this address's."""


def trace(plan: TracePlan) -> Trace:
    """Trace every link of the plan, one after another."""
    found = Trace(plan.target, datetime.now(UTC).isoformat(timespec="seconds"), platform.release())
    kept: list[frames.Segment] = []
    for link in plan.links:
        try:
            found.links[link] = _quiet(plan, link, kept)
        except LasthopError as error:
            found.failed[link] = str(error)
    if plan.with_cost:
        _add_cost(found.links)
    if plan.pcap is not None:
        frames.write_pcap(plan.pcap, [each.captured for each in kept])
    return found


def _quiet(plan: TracePlan, link: str, kept: list[frames.Segment]) -> LinkTrace:
    """Trace a link; a UNIX socket again where others talked meanwhile, so that the counters can show that it moves none of them."""
    for attempt in range(ATTEMPTS):
        watch = _Watch(plan, link)
        seen = (
            watch.attach(plan.attach) if plan.attach else watch.remote() if link == "remote" else watch.run()
        )
        if link != "unix" or plan.front != "direct" or not (seen.frames_kept_out or seen.counters):
            break
        if attempt == ATTEMPTS - 1:
            seen.missing.append(
                f"a quiet moment: in each of {ATTEMPTS} attempts other programs talked at that time, so that the kernel's counters moved. "
                "What was captured meanwhile was searched for the request instead"
            )
    kept += watch.segments
    return seen


def _add_cost(links: Mapping[str, LinkTrace]) -> None:
    """What the stages cost, with messages of the sizes that the client saw."""
    sizes = {
        link: (seen.exchanges[-1].sent_bytes, seen.exchanges[-1].received_bytes)
        for link, seen in links.items()
        if seen.exchanges and link != "remote"  # two small programs on one host would measure another link
    }
    with tempfile.TemporaryDirectory(prefix="lasthop-") as directory:
        for link, found in cost.measure(sizes, Path(directory)).items():
            links[link].cost = found


class _Watch:
    """One hop, once: what is learned of it is put together in `seen`."""

    def __init__(self, plan: TracePlan, link: str) -> None:
        self._plan = plan
        self._link = link
        self._mark = f"lasthop-trace/{secrets.token_hex(4)}"
        """By this a request is known behind a front, which opens connections of its own."""
        self.segments: list[frames.Segment] = []
        self._pairs: list[tuple[int, int]] = []
        """The inodes of the connections' ends: the client's and the server's."""
        self._entrance = 0
        self._inside: list[str] = []
        """What the client's command begins with, where it is on another host."""
        self._namespaces: list[int | str] = ["self"]

    def run(self) -> LinkTrace:
        """Put it up, watch, end it."""
        cell = Cell(self._plan.target, self._link, connections=1)
        # The stand's own request, by which it sees that the hop works, has another mark.
        stand_plan = Plan(
            {self._link: cell},
            self._plan.request,
            workers=1,
            threads=1,
            any_status=True,
            reply_seconds=self._plan.reply_seconds,
        )
        with Stand.here(stand_plan) as stand, stand.up({self._link: cell}) as (standing, failures):
            if failures:
                raise TraceFailed(failures[self._link])
            hop = standing[self._link]
            where = hop.server_address
            address: Address = UnixAddress(where) if isinstance(where, str) else TcpAddress(*where)
            return self._watched(address, tree(hop.server.pid), hop.server.said)

    def remote(self) -> LinkTrace:
        """Put the server on one host and the client on another, watch, end both."""
        address = TcpAddress(hosts.SERVER_ADDRESS, REMOTE_PORT)
        with hosts.two_hosts() as two, tempfile.TemporaryDirectory(prefix="lasthop-") as directory:
            command = SERVERS["lasthop"].command(Task(self._plan.target, address, workers=1, threads=1))
            environ = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
            }
            with Started(
                [*two.inside(two.server), *command], Path(directory) / "log", None, environ
            ) as server:

                def listens() -> bool:
                    rows = sockets.tcp_sockets(server.pid)
                    return any(row.state == "LISTEN" and row.local == tuple(address) for row in rows)

                if (
                    not until(lambda: listens() or not server.alive, time.monotonic() + START_SECONDS)
                    or not server.alive
                ):
                    raise TraceFailed(f"lasthop serve does not listen at {address}", server.said())
                self._inside = two.inside(two.client)
                return self._watched(address, tree(server.pid), server.said)

    def attach(self, address: Address) -> LinkTrace:
        """Watch what runs already; it is asked, and goes on."""
        servers = sockets.listening(address)
        if servers is None:
            raise TraceFailed(
                f"nothing listens at {address}", hint="the address that lasthop serve said when it was ready"
            )
        seen = self._watched(address, servers, lambda: "")
        if not servers:
            seen.missing.append(
                "the process that listens cannot be seen: it is another user's; sudo lasthop trace ..."
            )
        return seen

    def _watched(self, address: Address, servers: list[int], said: Callable[[], str]) -> LinkTrace:
        """Watch the hop to this address, which these processes serve; `said` gives what they said."""
        seen = self._seen = LinkTrace(self._link, str(address), self._plan.front)
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lasthop-")))
            front_stack = stack.enter_context(ExitStack())
            front = self._front(front_stack, address, directory)
            self._entrance = front.entrance.port if front else 0
            client = Asking(
                front.entrance if front else address,
                self._requests(),
                slow=self._plan.slow,
                seconds=self._plan.reply_seconds,
                where=self._inside,
            )
            stack.callback(client.end)
            beside = client.pid if self._inside else 0
            self._namespaces = [client.pid, *servers[:1]] if beside else ["self"]
            clients = tree(front.pid) if front else [client.pid]
            watching = stack.enter_context(ExitStack())
            strace = self._calls(watching, [*servers, *clients], directory)
            net = Path(f"/proc/{beside or 'self'}/net")
            before = counters.read(net)
            with self._capture(address, beside) as capture:
                told = client.ask()
                self._look(told, address, servers, clients)
                client.close()
                front_stack.close()  # a front closes its connection to the server when it ends
                self._until_over(told, address)
            seen.counters = counters.difference(before, counters.read(net))
            seen.counted = bool(before)
            watching.close()  # strace has written all when it is gone
            self._put_together(told, address, capture, beside)
            if strace:
                self._put_calls(strace, told, servers)
        if told["failed"]:
            raise TraceFailed(f"the request failed: {told['failed']}", said())
        return seen

    def _front(self, stack: ExitStack, address: Address, directory: Path) -> RunningFront | None:
        if self._plan.front == "direct":
            return None
        directory.chmod(0o755)  # a front's workers may be of another user
        inside = directory / "front"
        inside.mkdir()
        hop = Hop(
            application=address, entrance=TcpAddress("127.0.0.1", free_port("127.0.0.1")), keep_alive=2,
            upload_bytes=max(1 << 20, 2 * len(self._plan.request.body)), clients=8,
        )  # fmt: skip
        return stack.enter_context(RunningFront(find(self._plan.front), hop, inside))

    def _requests(self) -> list[bytes]:
        asked = self._plan.request
        fields = tuple(field for field in asked.headers if field[0].lower() != "user-agent")
        marked = Request(asked.method, asked.path, (*fields, ("User-Agent", self._mark)), asked.body)
        return [marked.text(keep_alive=True)] * self._plan.requests

    def _calls(self, stack: ExitStack, pids: list[int], directory: Path) -> Calls | None:
        if not self._plan.with_calls:
            return None
        try:
            return stack.enter_context(Calls(pids, Path(tempfile.mkdtemp(dir=directory))))
        except LasthopError as error:
            self._seen.missing.append(str(error))
            return None

    @contextmanager
    def _capture(self, address: Address, beside: int) -> Iterator[Capture | None]:
        port = address.port if isinstance(address, TcpAddress) and not beside else 0  # beside: ARP as well
        with ExitStack() as stack:
            try:
                capture = stack.enter_context(Capture(port, beside))
            except LasthopError as error:
                self._seen.missing.append(str(error))
                yield None
            else:
                yield capture

    def _look(self, told: dict[str, Any], address: Address, servers: list[int], clients: list[int]) -> None:
        """While the connection stands: who holds its ends, and what waits in it."""
        seen = self._seen
        if isinstance(address, UnixAddress):
            seen.file = unixside.file_of(address.path)
            try:
                seen.queues += unixside.listening_queue(address.path, "when the replies were there")
                known = sockets.unix_sockets()
            except OSError as error:
                seen.missing.append(f"UNIX sockets cannot be asked about (sock_diag: {error.strerror})")
                known = []
            ends = [each for each in known if each.name == address.path and each.state == "ESTABLISHED"]
            own = {each["inode"] for each in told["connections"]}
            if self._plan.front == "direct":
                ends = [each for each in ends if each.peer in own]
            self._pairs = [(each.peer, each.inode) for each in ends]
        else:
            rows = self._rows()
            where = tuple(host_port(address))
            accepted = {row.remote: row.inode for row in rows if row.local == where and row.state != "LISTEN"}
            connected = {row.local: row.inode for row in rows if row.remote == where}
            if self._plan.front == "direct":
                own_ends = {tuple(each["client"]) for each in told["connections"] if "client" in each}
                connected = {end: inode for end, inode in connected.items() if end in own_ends}
            self._pairs = [(connected[end], accepted[end]) for end in connected if end in accepted]
        for client_inode, server_inode in self._pairs:
            client, server = sockets.holder(client_inode, clients), sockets.holder(server_inode, servers)
            if client is not None and server is not None:
                seen.client, seen.server = sockets.process(client), sockets.process(server)

    def _rows(self) -> list[sockets.TcpSocket]:
        """The TCP sockets of both ends' network namespaces."""
        return [row for each in self._namespaces for row in sockets.tcp_sockets(each)]

    def _until_over(self, told: dict[str, Any], address: Address) -> None:
        """Until the kernel has the connections neither open nor half open; what it says of them then."""
        if isinstance(address, UnixAddress):
            inodes = {inode for pair in self._pairs for inode in pair}

            def gone() -> bool:
                try:
                    return not inodes & {each.inode for each in sockets.unix_sockets()}
                except OSError:
                    return True

            until(gone, time.monotonic() + QUIET_SECONDS)
            return
        where = tuple(host_port(address))
        ends = {tuple(each["client"]) for each in told["connections"] if "client" in each}

        def rows() -> list[sockets.TcpSocket]:
            mine = [row for row in self._rows() if where in (row.local, row.remote) and row.state != "LISTEN"]
            if self._plan.front == "direct":
                mine = [row for row in mine if {row.local, row.remote} & ends]
            return mine

        until(lambda: all(row.state == "TIME_WAIT" for row in rows()), time.monotonic() + QUIET_SECONDS)
        for row in rows():
            end = "server" if row.local == where else "client"
            self._seen.states.append(f"{end}: {row.state}")
        self._seen.states = sorted(set(self._seen.states))

    def _put_together(
        self, told: dict[str, Any], address: Address, capture: Capture | None, beside: int
    ) -> None:
        seen = self._seen
        names = Exchange.__dataclass_fields__
        seen.exchanges = [Exchange(**{name: each[name] for name in names}) for each in told["exchanges"]]
        for number, each in enumerate(told["exchanges"], 1):
            if self._plan.front == "direct":
                moment = f"when request {number} was sent"
                unit = "bytes of memory" if self._link == "unix" else "bytes"
                seen.queues.append(
                    Queue(moment, "sent and not taken", each["unsent"], each["send_buffer"], unit)
                )
            if each["unread"]:
                seen.queues.append(
                    Queue(
                        f"before reply {number} was read",
                        "come and not read",
                        each["unread"],
                        0 if self._link == "unix" else each["receive_buffer"],
                        "bytes",
                    )
                )
        for each in told["connections"]:
            if "peer" in each:
                seen.facts["peer"] = "pid {}, uid {}, gid {}".format(*each["peer"])
        if capture is None:
            return
        seen.captured = True
        seen.interfaces = capture.interfaces
        seen.dropped = capture.dropped
        if capture.dropped:
            seen.missing.append(
                f"{capture.dropped:,} frames went by unread: this machine was too busy; trace again"
            )
        decoded = frames.decode(capture.frames, self._connections(told, address, capture))
        self.segments = decoded.segments
        sent = b"".join(self._requests())
        streams = b"".join(
            decoded.stream(number, TO_SERVER) for number in range(1, len(told["connections"]) + 1)
        )
        if self._plan.front == "direct" and isinstance(address, TcpAddress) and streams == sent:
            seen.facts["payload"] = (
                f"the {len(sent):,} bytes that the client sent are the payloads, byte for byte"
            )
        seen.frames = named(decoded, to_head=self._plan.request.method == "HEAD")
        seen.frames_kept_out = decoded.kept_out
        marked = [each for each in capture.frames if self._mark.encode() in each.raw]
        if self._entrance:  # on the way to the front, which is another hop
            marked = [each for each in marked if not _touches(each, self._entrance)]
        seen.frames_with_mark = len(marked)
        for name in dict.fromkeys(each.interface for each in seen.frames):
            seen.facts |= _interface(name, Path(f"/proc/{beside or 'self'}", "root", "sys/class/net"))
        resolved = list(filter(None, map(frames.resolution, capture.frames)))
        if beside and resolved:
            seen.facts["ARP"] = ", ".join(dict.fromkeys(resolved))

    def _connections(self, told: dict[str, Any], address: Address, capture: Capture) -> list[Connection]:
        """The hop's connections: the client's own, or those on which a front passed the marked request on."""
        if isinstance(address, UnixAddress):
            return []
        if self._plan.front == "direct":
            return [
                ((str(each["client"][0]), int(each["client"][1])), (str(each["server"][0]), int(each["server"][1])))
                for each in told["connections"] if "client" in each
            ]  # fmt: skip
        found = [
            seen
            for seen in map(frames.segment, capture.frames)
            if seen and self._mark.encode() in seen.payload
        ]
        where = (address.host, address.port) if isinstance(address, TcpAddress) else None
        return list(dict.fromkeys((seen.source, seen.target) for seen in found if seen.target == where))

    def _put_calls(self, strace: Calls, told: dict[str, Any], servers: list[int]) -> None:
        threads = strace.threads()
        owners = {thread: _owner(thread, servers) for thread in threads}
        lines = strace.lines(threads)
        inodes = [each["inode"] for each in told["connections"]] if self._plan.front == "direct" else []
        inodes += [inode for pair in self._pairs for inode in pair]
        if self._link == "unix":
            marks = calls.marks_of_unix(inodes, lines)
        else:
            connections = {
                ((f.source, f.source_port), (f.target, f.target_port)) for f in self._seen.frames
            } | {
                ((each["client"][0], each["client"][1]), (each["server"][0], each["server"][1]))
                for each in told["connections"] if "client" in each and self._plan.front == "direct"
            }  # fmt: skip
            marks = calls.marks_of_tcp(connections, inodes)
        found = calls.on_the_hop(lines, marks, lambda thread: owners[thread])
        self._seen.calls = [call for call in found if not _looking(call, self._plan.front)]


def _touches(captured: Captured, port: int) -> bool:
    found = frames.segment(captured)
    return found is not None and port in (found.source[1], found.target[1])


def _looking(call: Call, front: str) -> bool:
    """What our own client calls to look at a socket is no part of a request."""
    return front == "direct" and call.end == "client" and call.name in calls.OWN_LOOKING


def _owner(thread: int, servers: list[int]) -> str:
    """Whose thread it is. The server still runs; a front, with all its threads, has ended."""
    ours = any(Path(f"/proc/{pid}/task/{thread}").exists() for pid in servers)
    return "server" if ours else "client"


def _interface(name: str, interfaces: Path) -> dict[str, str]:
    """What an interface is, by sysfs; that of its own network namespace."""
    here = interfaces / name
    found = {}
    if here.exists():
        device = here / "device"
        found[f"{name}: device"] = device.resolve().name if device.exists() else "none"
    for fact, file in (("kind", "type"), ("MTU", "mtu")):
        try:
            value = (here / file).read_text().strip()
        except OSError:
            continue
        found[f"{name}: {fact}"] = KINDS.get(value, value) if fact == "kind" else value
    return found
