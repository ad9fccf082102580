"""The layers of OSI and of TCP/IP, and what happened in each on a link, with its evidence. `table(links)`, `figures(links)`: plain rows.

A pure function of results. Nothing stands in a cell that was not seen; what could not be seen is called so, and is not a layer that was not
passed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from lasthop.trace.calls import QUOTED
from lasthop.trace.results import TO_SERVER, Call, Frame, LinkTrace, Stage

NONE = "\N{EN DASH}"
SENDING = ("send", "sendto", "sendmsg", "write", "writev", "sendfile")
RECEIVING = ("recv", "recvfrom", "recvmsg", "read", "readv")


class Passed(Enum):
    """Whether a layer had part in the request."""

    YES = "passed"
    NO = "not passed"
    UNSEEN = "not seen"


@dataclass(frozen=True)
class Cell:
    """What happened in one layer on one link."""

    passed: Passed
    text: str
    evidence: str


@dataclass(frozen=True)
class Layer:
    """A row."""

    number: int
    osi: str
    tcp_ip: str
    cells: list[Cell]


OSI = {
    7: ("Application", "Application"),
    6: ("Presentation", "Application"),
    5: ("Session", "Application"),
    4: ("Transport", "Transport"),
    3: ("Network", "Internet"),
    2: ("Data link", "Link"),
    1: ("Physical", "Link"),
}
"""By number: the name in OSI, and which of TCP/IP's four it belongs to."""


def table(links: list[LinkTrace]) -> list[Layer]:
    """The seven rows, a cell a link."""
    makers = {
        7: _application, 6: _presentation, 5: _session, 4: _transport, 3: _network, 2: _data_link, 1: _physical,
    }  # fmt: skip
    return [
        Layer(number, osi, tcp_ip, [makers[number](link) for link in links])
        for number, (osi, tcp_ip) in OSI.items()
    ]


def counted(number: int, noun: str) -> str:
    """`1 frame`, `2,000 frames`."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def frame_numbers(frames: list[Frame]) -> str:
    """`frame 4`, `frames 4, 6`, `frames 4, 6, ... 93`."""
    numbers = [str(frame.number) for frame in frames]
    if not numbers:
        return "no frame"
    shown = numbers if len(numbers) <= 6 else [*numbers[:4], "...", numbers[-1]]
    return f"frame{'s' * (len(numbers) > 1)} {', '.join(shown)}"


def _application(link: LinkTrace) -> Cell:
    if not link.exchanges:
        return Cell(Passed.UNSEEN, "no reply", "")
    each = link.exchanges[0]
    text = f"{each.request_line}: {counted(each.sent_bytes, 'byte')}. {each.status_line}: {counted(each.received_bytes, 'byte')}"
    evidence = "what the client gave to the kernel and got from it"
    if link.front != "direct":
        evidence = f"what the client of {link.front} sent and got"
    return Cell(Passed.YES, text, evidence)


def _presentation(link: LinkTrace) -> Cell:
    verbatim = link.facts.get("payload")
    if verbatim is not None:
        return Cell(Passed.NO, f"no encryption, no other form: {verbatim}", "the payloads, put together")
    moved = _transfers(link.calls, "client", SENDING)
    received = _transfers(link.calls, "server", RECEIVING)
    if moved and received and _beginning(moved[0]) == _beginning(received[0]) != "":
        text = "no encryption, no other form: what the server reads is as long as what the client wrote, and begins like it"
        return Cell(
            Passed.NO,
            text,
            f"{moved[0].name}() = {moved[0].result}, {received[0].name}() = {received[0].result}",
        )
    return Cell(Passed.UNSEEN, "neither frames nor system calls could be looked into", "")


def _session(link: LinkTrace) -> Cell:
    if link.front != "direct":
        number = len({frame.connection for frame in link.frames}) or len(
            [c for c in link.calls if c.name.startswith("accept")]
        )
        return Cell(Passed.YES if number else Passed.UNSEEN, f"{counted(number, 'connection')} from {link.front} for {counted(len(link.exchanges), 'request')}", "frames, or accept()")  # fmt: skip
    number = len({each.connection for each in link.exchanges})
    text = f"{counted(number, 'connection')} for {counted(len(link.exchanges), 'request')}"
    if link.calls:
        evidence = ", ".join(
            f"{counted(found, name + '()')}".replace("()s", "()")
            for name, found in Counter(
                call.name for call in link.calls if call.name in ("connect", "accept", "accept4")
            ).items()
        )
    else:
        evidence = "the client's sockets"
    return Cell(Passed.YES, text, evidence)


def _transport(link: LinkTrace) -> Cell:
    if link.link == "unix":
        return _nothing(link, "the kernel copies the bytes from one socket to the other", "Tcp")
    if not link.captured:
        return Cell(Passed.UNSEEN, "TCP", "frames need the right to capture")
    first = link.frames[0] if link.frames else None
    if first is None:
        return Cell(Passed.UNSEEN, "no frame of the hop was captured", "")
    handshake = [frame for frame in link.frames if "SYN" in frame.flags.split()]
    payloads = [frame for frame in link.frames if frame.envelope.payload]
    ends = [frame for frame in link.frames if {"FIN", "RST"} & set(frame.flags.split())]
    bare = [
        frame
        for frame in link.frames
        if not frame.envelope.payload and frame not in handshake and frame not in ends
    ]
    client = first.source_port if first.direction == TO_SERVER else first.target_port
    server = first.target_port if first.direction == TO_SERVER else first.source_port
    parts = [
        f"TCP from port {client} to port {server}: {counted(len(handshake), 'frame')} to open with the ACK after, "
        f"{counted(len(payloads), 'segment')} with data, {counted(len(bare), 'ACK')} without, {counted(len(ends), 'frame')} to end"
    ]
    if link.server is not None:
        parts.append(f"port {server} is pid {link.server.pid}")
    if link.states:
        parts.append(f"then {', '.join(link.states)}")
    evidence = (
        f"open: {frame_numbers(handshake)}; data: {frame_numbers(payloads)}; end: {frame_numbers(ends)}"
    )
    return Cell(Passed.YES, "; ".join(parts), evidence)


def _network(link: LinkTrace) -> Cell:
    if link.link == "unix":
        text = "no address and no route: a path"
        if link.file is not None:
            text += f", {link.file.path} ({link.file.mode} {link.file.owner} {link.file.group}, {link.file.size} bytes)"
        return _nothing(link, text, "Ip")
    if not link.frames:
        return Cell(Passed.UNSEEN, "IP", "frames need the right to capture")
    first = link.frames[0]
    spent = sum(frame.envelope.network for frame in link.frames)
    what = "TTL" if first.ip == 4 else "hop limit"
    text = f"IPv{first.ip} {first.source} to {first.target}, {what} {first.hops}: {spent:,} bytes of headers"
    return Cell(Passed.YES, text, f"each of {counted(len(link.frames), 'frame')}")


def _data_link(link: LinkTrace) -> Cell:
    if link.link == "unix":
        return _nothing(link, "no frame", "")
    if not link.frames:
        return Cell(Passed.UNSEEN, "Ethernet", "frames need the right to capture")
    first = link.frames[0]
    largest = max(frame.envelope.whole for frame in link.frames)
    text = (
        f"Ethernet {first.source_hardware} to {first.target_hardware} on {first.interface}: "
        f"{counted(len(link.frames), 'frame')}, the largest of {counted(largest, 'byte')}"
    )
    if "ARP" in link.facts:
        text += f"; before it, ARP: {link.facts['ARP']}"
    if f"{first.interface}: MTU" in link.facts:
        text += f"; MTU {link.facts[f'{first.interface}: MTU']}"
    return Cell(
        Passed.YES,
        text,
        f"captured on {first.interface} ({link.facts.get(f'{first.interface}: kind', 'kind unknown')})",
    )


def _physical(link: LinkTrace) -> Cell:
    if link.link == "unix":
        return _nothing(link, "no wire", "")
    if not link.frames:
        return Cell(Passed.UNSEEN, "which interface was not seen", "frames need the right to capture")
    name = link.frames[0].interface
    device = link.facts.get(f"{name}: device")
    if device is None:
        return Cell(Passed.UNSEEN, f"what {name} is", "sysfs does not tell")
    if device == "none":
        return Cell(Passed.NO, f"no wire: {name} has no device", f"/sys/class/net/{name}/device is not there")
    return Cell(Passed.YES, f"device {device}", f"/sys/class/net/{name}/device")


def _nothing(link: LinkTrace, instead: str, counters: str) -> Cell:
    """A layer that a UNIX socket does not pass, with what shows that; never said without it."""
    moved = {
        name: value for name, value in link.counters.items() if not counters or name.startswith(counters)
    }
    still = link.counted and not moved
    if not link.captured and not still:
        return Cell(Passed.UNSEEN, instead, "frames need the right to capture, and the counters moved")
    if link.dropped and not still:
        return Cell(Passed.UNSEEN, instead, f"{counted(link.dropped, 'frame')} went by unread")
    if link.frames_with_mark:
        return Cell(
            Passed.UNSEEN, instead, f"{counted(link.frames_with_mark, 'frame')} held the request's mark"
        )
    evidence = []
    if link.captured:
        where = counted(len(link.interfaces), "interface")
        if link.frames_kept_out:
            evidence.append(f"0 frames with this request on {where} ({link.frames_kept_out:,} of others)")
        else:
            evidence.append(f"0 frames on {where}")
    if still:
        evidence.append(f"{counters + ' counters' if counters else 'all counters'} of the kernel stood still")
    return Cell(Passed.NO, instead, "; ".join(evidence))


def _transfers(calls: list[Call], end: str, names: tuple[str, ...]) -> list[Call]:
    return [
        call
        for call in calls
        if call.end == end and call.name in names and call.result.isdecimal() and call.result != "0"
    ]


def _beginning(call: Call) -> str:
    """The first bytes that a call moved, as strace shows them."""
    # What is followed by ]> is the path of a socket, noted beside a descriptor.
    found = [each for each in QUOTED.finditer(call.text) if call.text[each.end() : each.end() + 2] != "]>"]
    return found[0][0] if found else ""


def overhead(link: LinkTrace) -> int:
    """Bytes that passed beyond the application's."""
    return sum(frame.envelope.whole - frame.envelope.payload for frame in link.frames)


def figures(links: list[LinkTrace]) -> list[tuple[str, list[str]]]:
    """Rows of figures side by side; what was not seen is a dash."""
    rows: list[tuple[str, list[str]]] = []
    laid = table(links)
    rows.append(("layers passed, of 7", [_layers(laid, at) for at in range(len(links))]))
    seen = [link.captured for link in links]
    rows.append(
        ("frames", [f"{len(link.frames):,}" if s else NONE for link, s in zip(links, seen, strict=True)])
    )
    rows.append(
        (
            "bytes beyond the application's",
            [f"{overhead(link):,}" if s else NONE for link, s in zip(links, seen, strict=True)],
        )
    )
    for end in ("client", "server"):
        numbers = [sum(call.end == end for call in link.calls) for link in links]
        rows.append((f"system calls of the {end}", [f"{n:,}" if n else NONE for n in numbers]))
    for at, name in enumerate(("connect", "one way there", "one way back", "close")):
        rows.append(
            (
                f"{name}, median (8 of 10 between)",
                [_spread(link.cost.stages[at]) if link.cost else NONE for link in links],
            )
        )
    for name, field in (("client", "client_kernel_ns"), ("server", "server_kernel_ns")):
        rows.append(
            (
                f"kernel CPU an exchange, {name}",
                [_us(getattr(link.cost, field)) if link.cost else NONE for link in links],
            )
        )
    for name, field in (("client", "client_switches"), ("server", "server_switches")):
        rows.append(
            (
                f"context switches an exchange, {name}",
                [f"{getattr(link.cost, field):.2f}" if link.cost else NONE for link in links],
            )
        )
    return rows


def _layers(laid: list[Layer], at: int) -> str:
    cells = [layer.cells[at] for layer in laid]
    unseen = sum(cell.passed is Passed.UNSEEN for cell in cells)
    passed = sum(cell.passed is Passed.YES for cell in cells)
    return f"{passed} ({unseen} not seen)" if unseen else str(passed)


def _spread(stage: Stage) -> str:
    return f"{_us(stage.median_ns)} ({stage.low_ns / 1000:.0f}-{stage.high_ns / 1000:.0f})"


def _us(ns: int) -> str:
    return f"{ns / 1000:,.1f} µs"
