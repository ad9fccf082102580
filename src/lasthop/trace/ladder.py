"""A ladder: time down, the client left and the server right, system calls at the ends and frames between them. `rungs(link)`, `drawn(link)`.

Pure functions of results; plain text, so that it can be read without colour and pasted anywhere.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from lasthop.trace.layers import SENDING
from lasthop.trace.results import TO_CLIENT, TO_SERVER, Call, Frame, LinkTrace

SIDE = 20
MIDDLE = 62
MOST = 64
"""More rungs are cut in the middle: all of them are in the JSON."""
KEPT_AT_END = 16
DESCRIPTOR = re.compile(r"^(\d+)<.*$")


@dataclass(frozen=True)
class Rung:
    """A moment: what an end did, or what passed between them."""

    at_ns: int
    left: str = ""
    middle: str = ""
    right: str = ""
    direction: str = ""
    """Where it goes; empty: nothing passes."""
    frame: int = 0
    """The number of the frame, where it is one."""


def rungs(link: LinkTrace) -> list[Rung]:
    """Everything in the order of its time. Without frames, what is sent is drawn by the call that sent it."""
    found = [_frame(frame) for frame in link.frames]
    bare = link.captured and not link.frames_with_mark
    found += [_call(call, copies=link.link == "unix", bare=bare) for call in link.calls]
    if not link.calls and not link.frames:
        for number, each in enumerate(link.exchanges, 1):
            found.append(Rung(each.sent_at_ns, f"request {number}"))
            found.append(Rung(each.received_at_ns, f"reply {number}"))
    return sorted(found, key=lambda rung: rung.at_ns)


def _frame(frame: Frame) -> Rung:
    return Rung(
        frame.at_ns,
        middle=f"{frame.number} {frame.flags}: {frame.says}",
        direction=frame.direction,
        frame=frame.number,
    )


def _call(call: Call, *, copies: bool, bare: bool) -> Rung:
    result = short_result(call.result)
    text = f"{call.name}() = {result}"
    sends = copies and call.name in SENDING and result.isdecimal() and result != "0"
    words = f"{int(result):,} bytes" + ", and no frame" * bare if sends else ""
    direction = (TO_SERVER if call.end == "client" else TO_CLIENT) if sends else ""
    if call.end == "client":
        return Rung(call.at_ns, left=text, middle=words, direction=direction)
    return Rung(call.at_ns, right=text, middle=words, direction=direction)


def short_result(result: str) -> str:
    """`15` of `15<TCP:[...]>`, `-1 EAGAIN` of `-1 EAGAIN (Resource temporarily unavailable)`."""
    return DESCRIPTOR.sub(r"\1", result).partition(" (")[0]


def drawn(link: LinkTrace) -> list[str]:
    """The ladder as lines of text."""
    every = rungs(link)
    if not every:
        return ["    nothing of it could be seen"]
    begun = every[0].at_ns
    lines = [
        f"{'ms':>9}  {'client'.ljust(SIDE)}{''.ljust(MIDDLE)}  server",
        f"{'':>9}  {_pid(link, 'client').ljust(SIDE)}{''.ljust(MIDDLE)}  {_pid(link, 'server')}",
    ]
    cut = len(every) - MOST
    for number, rung in enumerate(every):
        if cut > 0 and MOST - KEPT_AT_END <= number < len(every) - KEPT_AT_END:
            if number == MOST - KEPT_AT_END:
                lines.append(
                    f"{'':>9}  {f'... {cut:,} more; --json has all ...'.center(2 * SIDE + MIDDLE)}".rstrip()
                )
            continue
        lines += _lines(rung, begun)
    return [line.rstrip() for line in lines]


def _pid(link: LinkTrace, end: str) -> str:
    process = link.client if end == "client" else link.server
    return f"pid {process.pid}" if process else ""


def _lines(rung: Rung, begun: int) -> list[str]:
    time = f"{(rung.at_ns - begun) / 1e6:9.3f}  "
    words = textwrap.wrap(rung.middle, MIDDLE - 8) or [""]
    first = words[0]
    if rung.direction == TO_SERVER:
        middle = f"|-- {first} ".ljust(MIDDLE - 2, "-") + ">|"
    elif rung.direction:
        middle = "|<-" + f" {first} --|".rjust(MIDDLE - 3, "-")
    else:
        middle = "|" + "".ljust(MIDDLE - 2) + "|"
    lines = [f"{time}{rung.left[: SIDE - 1].ljust(SIDE)}{middle}  {rung.right[:SIDE]}"]
    return lines + [f"{'':>9}  {''.ljust(SIDE)}|   {more.ljust(MIDDLE - 6)} |" for more in words[1:]]
