"""What of a cell is set against another's (the metrics), and what a cell measured over all its rounds.

Knows the data; judges nothing and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from lasthop.compare.results import Cost, Counts, Measured, Results, merge
from lasthop.compare.statistics import percentile

LEAST_BEYOND = 10
"""A percentile is one if at least so many replies lie beyond it."""


@dataclass(frozen=True)
class Metric:
    """Something that a cell has one figure of in each round."""

    title: str
    unit: str
    better: int
    """1: more is better; -1: less is."""
    of: Callable[[Measured], float]
    """0: there is none."""


def latency_ms(counts: Counts, share: float) -> float:
    """A percentile in milliseconds; 0 where there are too few replies to tell."""
    if sum(count for _, count in counts) * (1 - share) < LEAST_BEYOND:
        return 0.0
    return percentile(counts, share) / 1e6


def _cpu(each: Measured) -> float:
    return each.server.cpu_us + (each.front.cpu_us if each.front else 0.0)


METRICS = {
    "requests": Metric("requests", "/s", 1, lambda each: each.requests_per_second),
    "cpu": Metric("CPU a request", "µs", -1, _cpu),
    "cpu_server": Metric("CPU of the server", "µs", -1, lambda each: each.server.cpu_us),
    "cpu_front": Metric("CPU of the front", "µs", -1, lambda each: each.front.cpu_us if each.front else 0.0),
    "p50": Metric("latency, median", "ms", -1, lambda each: latency_ms(each.latency, 0.5)),
    "p99": Metric("latency, 99 %", "ms", -1, lambda each: latency_ms(each.latency, 0.99)),
}
QUESTIONS = 3
"""How many of the metrics err apart, about: requests and median latency are one question (a closed loop's latency is its connections divided
by its requests), the tail is one, CPU with its parts is one. Whether that is enough, tests/compare/simulate.py tells."""


@dataclass(frozen=True)
class Figures:
    """A cell over all its rounds."""

    rounds: int
    requests: int
    failed: int
    requests_per_second: float
    """The rounds' median; so are the costs."""
    typical: Mapping[str, float]
    """Of each metric: the rounds' median, as ratios are of medians."""
    server: Cost
    front: Cost | None
    latency: Counts
    """Of all rounds together."""
    latency_max_ms: float
    load_busy: float
    disturbed: float
    """The share of a core that others had meanwhile: processes of nobody's here, and the hypervisor."""
    statuses: dict[str, int]
    errors: dict[str, int]
    planned: int
    reply_bytes: float
    """A reply's bytes on the wire."""

    @property
    def cpu_us(self) -> float:
        """Of server and front together."""
        return self.server.cpu_us + (self.front.cpu_us if self.front else 0.0)

    @property
    def hop_us(self) -> float | None:
        """What a request costs outside the application at most: the front, and what the server does in the kernel. None: the system does not tell."""
        if self.server.kernel_us is None:
            return None
        return self.server.kernel_us + (self.front.cpu_us if self.front else 0.0)


def _middle(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _cost(costs: list[Cost]) -> Cost:
    return Cost(
        median(cost.cpu_us for cost in costs),
        _middle([cost.kernel_us for cost in costs]),
        _middle([cost.switches for cost in costs]),
        _middle([cost.calls for cost in costs]),
    )


def _added(counts: list[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for kind, count in each.items():
            total[kind] = total.get(kind, 0) + count
    return total


def figures(results: Results, cell: str) -> Figures | None:
    """What a cell measured; None: nothing."""
    rounds = [each for _, each in results.by_round(cell)]
    if not rounds:
        return None
    fronts = [each.front for each in rounds if each.front is not None]
    requests = sum(each.requests for each in rounds)
    return Figures(
        rounds=len(rounds),
        requests=requests,
        failed=sum(failed(each, results) for each in rounds),
        requests_per_second=median(each.requests_per_second for each in rounds),
        typical={name: median(map(metric.of, rounds)) for name, metric in METRICS.items()},
        server=_cost([each.server for each in rounds]),
        front=_cost(fronts) if fronts else None,
        latency=merge(each.latency for each in rounds),
        latency_max_ms=max(each.latency_max_ns for each in rounds) / 1e6,
        load_busy=median(each.load_busy for each in rounds),
        disturbed=median(each.foreign + each.stolen for each in rounds),
        statuses=_added([each.statuses for each in rounds]),
        errors=_added([each.errors for each in rounds]),
        planned=sum(each.planned for each in rounds),
        reply_bytes=sum(each.bytes_in for each in rounds) / max(1, requests),
    )


def failed(each: Measured, results: Results) -> int:
    """Requests that did not get what they should: the status that was asked for, or else any success."""
    wanted = str(results.request.get("expect_status") or "")
    if not wanted:
        return each.failed
    return sum(count for status, count in each.statuses.items() if status != wanted) + sum(
        each.errors.values()
    )
