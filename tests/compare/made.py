"""Results of comparisons that were never run: what each cell truly costs, and the noise of a machine, both given.

The noise is that of a small shared machine: within a round all cells share most of it (which pairing takes out); beyond that a pair of cells
differs from round to round by `spread`, with heavier tails than a normal distribution's, and in a share of the rounds a neighbour takes
the processor from one cell for half of its time or more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

from lasthop.compare.results import Burst, Cell, Cost, Counts, Measured, Results, Round


@dataclass(frozen=True)
class Truth:
    """What a cell would show on a machine without noise."""

    requests_per_second: float = 60_000.0
    server_us: float = 10.0
    kernel_share: float = 0.7
    front_us: float | None = None
    tail: float = 3.0
    """How many times the median the slowest hundredth takes."""
    failing: float = 0.0
    """The share of requests that are answered 500."""
    load_busy: float = 0.5
    reply_bytes: int = 150
    disturbed: float = 0.01


@dataclass(frozen=True)
class Noise:
    """How a machine differs from one without."""

    spread: float = 0.04
    """Of a pair of cells' requests/s from round to round; CPU differs by half of it, the slowest hundredth by twice as much."""
    outliers: float = 0.1
    """The share of pairs of which a neighbour disturbed one in a round."""
    drift: float = 0.1
    """Of all cells together from round to round."""


QUIET = Noise(0.005, 0.0, 0.01)

_PLACES = [(place + 0.5) / 200 for place in range(198)] + [1 - 0.01 * 0.7**step for step in range(1, 20)]
_ENDS = [(here + there) / 2 for here, there in pairwise([0.0, *_PLACES])] + [1.0]
_QUANTILES = [
    (NormalDist().inv_cdf(place), there - here)
    for place, (here, there) in zip(_PLACES, pairwise(_ENDS), strict=True)
]
_P99 = NormalDist().inv_cdf(0.99)


def _deviation(chance: random.Random) -> float:
    """One draw of a Student distribution with 5 degrees of freedom, with the variance 1."""
    return chance.gauss(0, 1) / math.sqrt(chance.gammavariate(2.5, 2) / 5) * math.sqrt(3 / 5)


def _three_digits(value: float) -> int:
    rounded: float = round(value, 3 - len(str(int(value))))
    return int(rounded)


def latencies(requests: int, median_ms: float, tail: float) -> Counts:
    """A distribution with long tails to the right, of so many replies."""
    width = math.log(tail) / _P99
    counts: dict[int, int] = {}
    due = 0.0
    for quantile, share in _QUANTILES:
        value = _three_digits(median_ms * 1e6 * math.exp(width * quantile))
        due += share * requests
        if count := round(due) - sum(counts.values()):
            counts[value] = counts.get(value, 0) + count
    return sorted(counts.items())


def measured(
    cell: Cell, truth: Truth, noise: Noise, chance: random.Random, common: float, seconds: float = 0.6
) -> Measured:
    """One cell in one round."""
    each = noise.spread / math.sqrt(2)
    shared = 0.5 * _deviation(chance)
    slower = each * (shared + math.sqrt(0.75) * _deviation(chance))
    dearer = 0.5 * each * (shared + math.sqrt(0.75) * _deviation(chance))
    longer = 2 * each * (shared + math.sqrt(0.75) * _deviation(chance))
    if chance.random() < noise.outliers / 2:
        taken = math.log1p(chance.uniform(0.5, 1.0))
        slower, dearer, longer = slower + taken, dearer + 0.3 * taken, longer + 2 * taken
    rate = truth.requests_per_second * math.exp(-slower - common)
    if cell.rate:
        rate = min(rate, cell.rate)
    requests = int(rate * seconds)
    cost = math.exp(dearer + common)
    front_cost = cost * math.exp(0.5 * each * _deviation(chance))
    front = None
    if cell.front != "direct":
        us = (truth.front_us if truth.front_us is not None else 12.0) * front_cost
        front = Cost(us, us * 0.75, 0.4, 4.0)
    failing = int(requests * truth.failing)
    median_ms = 1000 * cell.connections / truth.requests_per_second / 1.15 * math.exp(slower + common)
    counts = latencies(requests, median_ms, truth.tail * math.exp(longer))
    return Measured(
        seconds=seconds,
        requests=requests,
        statuses={"200": requests - failing, **({"500": failing} if failing else {})},
        errors={},
        latency=counts,
        latency_max_ns=int(counts[-1][0] * 3),
        server=Cost(truth.server_us * cost, truth.server_us * truth.kernel_share * cost, 0.2, 3.0),
        front=front,
        bytes_in=requests * truth.reply_bytes,
        bytes_out=requests * 90,
        load_busy=truth.load_busy,
        foreign=truth.disturbed,
        stolen=0.0,
        planned=int(cell.rate * seconds),
    )


def made(
    cells: Mapping[str, Cell],
    truths: Mapping[str, Truth],
    *,
    rounds: int = 16,
    noise: Noise = QUIET,
    seed: int = 1,
    missing: Mapping[str, str] | None = None,
    bursts: tuple[Burst, ...] = (),
) -> Results:
    """Results in which each cell is what its truth says. A twin has the truth of the cell it is the twin of; `missing` ones failed."""
    chance = random.Random(seed)
    missing = missing or {}
    of = {name: truths.get(name) or truths.get(name.removesuffix(" (again)")) or Truth() for name in cells}
    done = []
    for number in range(1, rounds + 1):
        common = noise.drift * chance.gauss(0, 1)
        done.append(
            Round(
                number,
                chance.sample(list(cells), len(cells)),
                {
                    name: measured(cell, of[name], noise, chance, common)
                    for name, cell in cells.items()
                    if name not in missing
                },
                dict(missing),
            )
        )
    return Results(
        cells=dict(cells),
        request={"method": "GET", "path": "/", "headers": [], "body_bytes": 0},
        environment={
            "begun": "2026-11-22T10:00:00+00:00",
            "command": "lasthop compare applications:hello",
            "kernel": "Linux 6.18.5",
            "processor": "AMD EPYC",
            "processors": 2,
            "cores": {"server": 0, "load": 1, "front": 0, "shared": False},
            "python": "3.11.2",
            "versions": {"lasthop": "0.1.0", "nginx": "1.22.1"},
            "sysctls": {"net.core.somaxconn": "4096"},
            "settings": {"workers": 1, "threads": 16, "burst": 5120},
        },
        seed=seed,
        rounds_planned=rounds,
        slice_seconds=0.3,
        rounds=done,
        bursts=list(bursts),
    )


APPLICATION = "applications:hello"


def cell(link: str = "unix", **rest: object) -> Cell:
    """A cell of the usual application behind nginx."""
    return Cell(**{"target": APPLICATION, "link": link, "front": "nginx", **rest})  # type: ignore[arg-type]


UNIX, TCP = "nginx, unix, kept alive", "nginx, tcp, kept alive"
UNIX_CLOSE, TCP_CLOSE = "nginx, unix, a connection a request", "nginx, tcp, a connection a request"
AGAIN = UNIX + " (again)"

CELLS = {
    UNIX: cell("unix"),
    TCP: cell("tcp"),
    UNIX_CLOSE: cell("unix", keep_alive=False),
    TCP_CLOSE: cell("tcp", keep_alive=False),
    AGAIN: cell("unix", twin=True),
}
"""What a default comparison has."""

WIN = {
    UNIX: Truth(64_000, 3.2, 0.6, 10.0),
    TCP: Truth(53_000, 4.4, 0.7, 11.4),
    UNIX_CLOSE: Truth(36_000, 7.5, 0.8, 17.0),
    TCP_CLOSE: Truth(13_400, 14.0, 0.85, 55.0),
}
"""The UNIX socket is better throughout."""

SAME = {name: Truth(400, 2_300.0, 0.02, 14.0, tail=2.0) for name in (UNIX, TCP, UNIX_CLOSE, TCP_CLOSE)}
"""An application that hides the link."""

BURSTS = (
    Burst(UNIX, 5_120, 4_217, 903, 4_217, 0, 4_096, 9_100.0, 160_000.0),
    Burst(TCP, 5_120, 5_120, 0, 5_120, 0, 4_096, 1_020_000.0, 1_190_000.0),
)
