"""The page of a trace: one HTML file that opens offline, in which a person steps through the request, the links side by side. `page(trace)`.

Arranges what `ladder` and `layers` know into steps; the template draws and escapes everything. Its script only shows one step and hides the
others; without it, all of them are there, one below the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from lasthop.trace import layers
from lasthop.trace.ladder import Rung, rungs
from lasthop.trace.layers import SENDING, counted
from lasthop.trace.results import TO_CLIENT, TO_SERVER, Frame, LinkTrace, Trace
from lasthop.trace.show import title

MOST_RUNGS = 24
"""More in one step are cut in the middle."""


@dataclass(frozen=True)
class Wrapping:
    """An envelope being put on: what there is already, and what comes round it."""

    name: str
    added: int
    whole: int
    inside: list[tuple[str, int]]
    """From the outermost."""


@dataclass(frozen=True)
class Side:
    """One link in one step."""

    link: str
    title: str
    rungs: list[Rung]
    left_out: int
    begun: int
    wrappings: list[Wrapping]
    frame: int
    """The frame whose envelopes are shown; 0: none."""
    words: str


@dataclass(frozen=True)
class Step:
    """A stretch of the request: what each link does in it."""

    name: str
    sides: list[Side]


def page(trace: Trace) -> str:
    """The whole file's text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    jinja = Environment(
        loader=PackageLoader("lasthop.trace"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    links = list(trace.links.values())
    return jinja.get_template("page.html.j2").render(
        trace=trace,
        links=links,
        titles={link.link: title(link.link) for link in links},
        steps=steps(links),
        lead=[lead(link) for link in links],
        table=layers.table(links) if links else [],
        figures=layers.figures(links) if links else [],
        to_server=TO_SERVER,
    )


def lead(link: LinkTrace) -> str:
    """A link in a sentence."""
    cells = [layer.cells[0] for layer in layers.table([link])]
    passed = sum(cell.passed is layers.Passed.YES for cell in cells)
    if not link.captured:
        return f"{title(link.link)}: frames could not be captured"
    return (
        f"{title(link.link)}: {counted(len(link.frames), 'frame')}, {passed} of 7 layers, "
        f"{layers.overhead(link):,} bytes beyond the application's"
    )


def steps(links: list[LinkTrace]) -> list[Step]:
    """The request in stretches: opening, each request, each reply, the end."""
    sorted_out = {link.link: _stretches(link) for link in links}
    most = max((len(link.exchanges) for link in links), default=0)
    names = ["The connection is opened"]
    for number in range(1, most + 1):
        names += [f"Request {number} goes there", f"Reply {number} comes back"]
    names.append("The end")
    return [
        Step(name, [_side(link, sorted_out[link.link].get(at, [])) for link in links])
        for at, name in enumerate(names)
    ]


def _stretches(link: LinkTrace) -> dict[int, list[Rung]]:
    """Rungs by step. A request begins when its first bytes leave, a reply when the first of its own do; what waits for either belongs to it."""
    found: dict[int, list[Rung]] = {}
    at = 0
    last = 2 * len(link.exchanges)
    over = link.exchanges[-1].received_at_ns if link.exchanges else 0
    for rung in rungs(link):
        if at == last and rung.at_ns > over:
            at = last + 1
        carries = _carries(rung, link)
        waited_for = TO_SERVER if at % 2 == 0 else TO_CLIENT
        if carries == waited_for and at < last:
            at += 1
        found.setdefault(at, []).append(rung)
    return found


def _carries(rung: Rung, link: LinkTrace) -> str:
    """Where a rung moves bytes of the application to; empty: it moves none."""
    if rung.frame:
        return rung.direction if link.frames[rung.frame - 1].envelope.payload else ""
    name, _, result = (rung.left or rung.right).partition("() = ")
    if name in SENDING and result.isdecimal() and result != "0":
        return TO_SERVER if rung.left else TO_CLIENT
    return ""


def _side(link: LinkTrace, here: list[Rung]) -> Side:
    payload = next(
        (frame for rung in here if rung.frame and (frame := link.frames[rung.frame - 1]).envelope.payload),
        None,
    )
    left_out = max(0, len(here) - MOST_RUNGS)
    shown = here if not left_out else [*here[: MOST_RUNGS // 2], *here[-MOST_RUNGS // 2 :]]
    begun = min((rung.at_ns for rung in rungs(link)), default=0)
    return Side(
        link.link, title(link.link), shown, left_out, begun, wrappings(payload) if payload else [],
        payload.number if payload else 0, _words(link, here),
    )  # fmt: skip


def _words(link: LinkTrace, here: list[Rung]) -> str:
    frames = [rung for rung in here if rung.frame]
    calls = len(here) - len(frames)
    said = [counted(len(frames), "frame")] if link.captured else []
    if link.calls:
        said.append(counted(calls, "system call"))
    return ", ".join(said)


def wrappings(frame: Frame) -> list[Wrapping]:
    """The envelopes of a frame, from the innermost."""
    parts = frame.envelope
    found = []
    inside: list[tuple[str, int]] = []
    whole = 0
    for name, size in (
        ("HTTP", parts.payload), ("TCP", parts.transport), (f"IPv{frame.ip}", parts.network), ("Ethernet", parts.link),
    ):  # fmt: skip
        inside = [(name, size), *inside]
        whole += size
        found.append(Wrapping(name, size, whole, inside))
    return found
