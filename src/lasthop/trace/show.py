"""A trace on a terminal: each link's ladder, then the layers and the figures side by side. Plain text; nothing from outside is obeyed."""

from __future__ import annotations

import textwrap
from typing import TextIO

from lasthop.compare.table import printable
from lasthop.trace import ladder, layers
from lasthop.trace.layers import Cell
from lasthop.trace.results import LinkTrace, Trace

WIDTH = 110
FIRST_COLUMN = 16
TITLES = {"unix": "UNIX socket", "tcp": "TCP, IPv4", "tcp6": "TCP, IPv6", "remote": "TCP, two hosts"}


def show(trace: Trace, file: TextIO) -> None:
    """Write all of it."""
    links = list(trace.links.values())
    for link in links:
        _line(
            file,
            f"{title(link.link)}: {link.address}"
            + (f", behind {link.front}" if link.front != "direct" else ""),
        )
        for line in ladder.drawn(link):
            _line(file, line)
        for line in _beside(link):
            _line(file, line)
        _line(file, "")
    if links:
        _layers(links, file)
        _line(file, "")
        _figures(links, file)
    if "remote" in trace.links:
        _line(
            file,
            "Between two hosts only TCP serves: a UNIX socket's file is on one of them. Here they are two network namespaces.",
        )
    for name, why in trace.failed.items():
        _wrapped(file, f"{title(name)} could not be traced: ", why)
    for link in links:
        for missing in link.missing:
            _wrapped(file, f"missing, {title(link.link)}: ", missing)


def title(link: str) -> str:
    """A link's name in a sentence."""
    return TITLES.get(link, link)


def _line(file: TextIO, text: str) -> None:
    file.write(printable(text) + "\n")


def _wrapped(file: TextIO, first: str, text: str) -> None:
    for number, line in enumerate(text.splitlines()):
        for each in textwrap.wrap(first + line if not number else line, WIDTH, subsequent_indent="  ") or [
            ""
        ]:
            _line(file, each if not number else f"  {each}")


def _beside(link: LinkTrace) -> list[str]:
    """What stands beside the ladder: the file, the ends, the queues, an envelope."""
    found = []
    if link.file is not None:
        each = link.file
        found.append(f"    {each.mode} {each.owner} {each.group} {each.size} {each.path}")
    if "peer" in link.facts:
        found.append(f"    the kernel says who listens: {link.facts['peer']}")
    for process, end in ((link.client, "client"), (link.server, "server")):
        if process is not None:
            found.append(
                f"    {end}: pid {process.pid}, uid {process.uid}, gid {process.gid}: {process.command}"
            )
    found += [f"    {each.where} {each.moment}: {each.amount}" for each in link.queues]
    payload = next((frame for frame in link.frames if frame.envelope.payload), None)
    if payload is not None:
        inside = payload.envelope
        found.append(
            f"    frame {payload.number}: {inside.payload:,} bytes of HTTP, {inside.transport} of TCP, "
            f"{inside.network} of IP, {inside.link} of Ethernet: {inside.whole:,}"
        )
    if link.states:
        found.append(f"    afterwards {', '.join(link.states)}")
    if link.calls:
        found.append(
            "    times are with strace at both ends, which makes every call slower; the figures below are without"
        )
    return [
        textwrap.shorten(line, 2 * WIDTH, placeholder=" ...") if len(line) > 2 * WIDTH else line
        for line in found
    ]


def _layers(links: list[LinkTrace], file: TextIO) -> None:
    width = max(24, (WIDTH - FIRST_COLUMN) // len(links) - 2)
    _row(file, "layer", [[title(link.link)] for link in links], width)
    _line(file, "-" * WIDTH)
    before = ""
    for layer in layers.table(links):
        name = f"{layer.number} {layer.osi}"
        under = layer.tcp_ip if layer.tcp_ip != before else ""
        before = layer.tcp_ip
        _row(file, name, [_words(cell, width) for cell in layer.cells], width, f"  {under}" if under else "")


def _words(cell: Cell, width: int) -> list[str]:
    found = textwrap.wrap(f"{cell.passed.value}: {cell.text}", width)
    if cell.evidence:
        found += textwrap.wrap(f"[{cell.evidence}]", width)
    return found


def _row(file: TextIO, name: str, columns: list[list[str]], width: int, under: str = "") -> None:
    for at in range(max(map(len, columns))):
        first = name if at == 0 else under if at == 1 else ""
        cells = [column[at] if at < len(column) else "" for column in columns]
        _line(file, (first.ljust(FIRST_COLUMN) + "  ".join(cell.ljust(width) for cell in cells)).rstrip())


def _figures(links: list[LinkTrace], file: TextIO) -> None:
    _line(file, "".ljust(44) + "".join(title(link.link).rjust(22) for link in links))
    for name, values in layers.figures(links):
        _line(file, name.ljust(44) + "".join(value.rjust(22) for value in values))
    costs = [link.cost for link in links if link.cost]
    if costs:
        sizes = f"{costs[0].request_bytes:,} bytes there and {costs[0].reply_bytes:,} back"
        number = min(stage.repetitions for cost in costs for stage in cost.stages)
        _line(
            file,
            f"medians of at least {number:,} repetitions of {sizes}, by two small programs without strace and without the application",
        )
