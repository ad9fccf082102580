"""What a comparison measured, as plain data, and its file: every round as it was, and the machine it was on.

Nothing here measures, judges or shows. Times are seconds where the name says nothing else; `_us` microseconds, `_ns` nanoseconds.
A file that another version wrote is read when its `format` is the same, and refused with its name otherwise.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lasthop.compare.statistics import midmean
from lasthop.compare.typed import typed
from lasthop.errors import ResultsUnreadable

FORMAT = "lasthop-compare 1"

MOST_BYTES = 256 << 20
"""Of a file: thousands of rounds."""

Counts = list[tuple[int, int]]
"""A distribution: (value in ns, how many), ascending, three significant digits."""


@dataclass(frozen=True)
class Cell:
    """One combination of the factors, that is, one thing that is measured in every round."""

    target: str
    link: str
    """`unix`, `tcp` (IPv4) or `tcp6`: the hop's transport."""
    front: str = "direct"
    """`nginx`, `apache`, `caddy`, `haproxy`; `direct`: the load itself is the peer."""
    server: str = "lasthop"
    keep_alive: bool = True
    """Whether the hop's connections are kept. (The load keeps its own to a front in any case.)"""
    connections: int = 32
    body_bytes: int = 0
    """Of the request."""
    rate: float = 0.0
    """Requests a second that were planned; 0: a closed loop, each connection asks again as soon as it has its reply."""
    twin: bool = False
    """The same as another cell, measured apart: what these two differ by is the noise."""


@dataclass(frozen=True)
class Cost:
    """CPU microseconds a request of one side of the hop, and what else the kernel counted for it; None: the system does not tell."""

    cpu_us: float
    """In the middle half of the slices."""
    kernel_us: float | None = None
    """The part of `cpu_us` that was spent in the kernel."""
    switches: float | None = None
    """Context switches a request."""
    calls: float | None = None
    """System calls a request."""


class Slice(NamedTuple):
    """One of the short times in which a cell was measured."""

    seconds: float
    requests: int
    server_ns: int
    """CPU time of the server's processes."""
    front_ns: int


@dataclass(frozen=True)
class Measured:
    """One cell in one round."""

    seconds: float
    requests: int
    """Complete replies, whatever their status."""
    statuses: dict[str, int]
    errors: dict[str, int]
    """By kind: refused, reset, early_end, malformed, timed_out, ..."""
    latency: Counts
    """From the planned time in an open loop, from the sending (or connecting) in a closed one."""
    latency_max_ns: int
    server: Cost
    front: Cost | None
    """None: there is no front."""
    bytes_in: int
    bytes_out: int
    load_busy: float
    """The share of its core that the load used: near 1, it was the limit."""
    foreign: float
    """The share of one core that processes of nobody's here used meanwhile."""
    stolen: float = 0.0
    """The share of one core that the hypervisor gave to others meanwhile (`steal`)."""
    planned: int = 0
    """In an open loop: how many requests were due."""
    slices: list[Slice] = field(default_factory=list)
    """Of what all this is the sum."""

    @property
    def requests_per_second(self) -> float:
        """Complete replies a second: in the middle half of the slices, or of a planned rate in all of them."""
        if self.slices and not self.planned:
            return midmean([each.requests / each.seconds for each in self.slices])
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def failed(self) -> int:
        """Requests without a reply, and replies that are no success."""
        bad = sum(count for status, count in self.statuses.items() if not status.startswith(("2", "3")))
        return bad + sum(self.errors.values())


@dataclass(frozen=True)
class Burst:
    """Connections that began at the same moment."""

    cell: str
    asked: int
    connected: int
    refused: int
    replied: int
    timed_out: int
    queue: int
    """Room in the listener's queue (its backlog as the kernel clips it)."""
    slowest_connect_us: float
    slowest_reply_us: float
    other: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """All cells once, with fresh processes; cells that failed are missing and stand in `failures`."""

    number: int
    order: list[str]
    cells: dict[str, Measured]
    failures: dict[str, str] = field(default_factory=dict)


@dataclass
class Results:
    """A whole comparison, complete or not."""

    cells: dict[str, Cell]
    """By the name that rounds, bursts and pages use; in the order in which they are shown."""
    request: dict[str, Any]
    """method, path, headers, body_bytes."""
    environment: dict[str, Any]
    """When, the command, versions, kernel, processors, who ran where, sysctls, settings of the server and the front."""
    seed: int
    rounds_planned: int
    slice_seconds: float
    rounds: list[Round] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What went wrong or is missing, in words, each once."""
    ended: str = ""
    """Empty while it runs or when it ran to its end; else why it stopped early."""

    def by_round(self, cell: str) -> list[tuple[int, Measured]]:
        """Each round's figures of a cell, with the round's number."""
        return [(each.number, each.cells[cell]) for each in self.rounds if cell in each.cells]

    def as_json(self) -> str:
        """The file's text: every round, one to a line."""
        whole = dataclasses.asdict(self)
        rounds = whole.pop("rounds")
        head = json.dumps({"format": FORMAT, **whole}, indent=1)
        body = ",\n".join(json.dumps(each, separators=(",", ":")) for each in rounds)
        return f'{head[:-2]},\n "rounds": [\n{body}\n ]\n}}\n'

    def save(self, path: Path) -> None:
        """Write the file."""
        write_whole(path, self.as_json())


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is whole at every moment; what is no regular file is written to. Raises OSError."""
    path = path.resolve()
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_text(text)
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def load(path: Path) -> Results:
    """Read a file that `save` wrote. Raises ResultsUnreadable."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise ResultsUnreadable(str(path), f"it has more than {MOST_BYTES >> 20} MiB")
        whole = json.loads(text)
        if not isinstance(whole, dict) or whole.pop("format", None) != FORMAT:
            raise ResultsUnreadable(str(path), f"it does not say that it is {FORMAT!r}")
        results: Results = typed(Results, whole)
        _check(results)
    except OSError as error:
        raise ResultsUnreadable(str(path), error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ResultsUnreadable(str(path), f"something in it is missing or wrong: {error}") from error
    return results


def _check(results: Results) -> None:
    """What types do not say. Raises ValueError."""
    for each in results.rounds:
        for name in each.cells:
            if name not in results.cells:
                raise ValueError(f"round {each.number} has the cell {name!r:.60}, which stands nowhere else")
        for name, cell in each.cells.items():
            if any(one.seconds == 0 for one in cell.slices):
                raise ValueError(f"a slice of {name!r:.60} in round {each.number} took no time")
    for burst in results.bursts:
        if burst.cell not in results.cells:
            raise ValueError(f"a burst has the cell {burst.cell!r:.60}, which stands nowhere else")


def merge(distributions: Iterable[Counts]) -> Counts:
    """The distribution of all values together."""
    total: dict[int, int] = {}
    for counts in distributions:
        for value, count in counts:
            total[value] = total.get(value, 0) + count
    return sorted(total.items())
