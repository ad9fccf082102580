"""Which cells are set against each other, and what each metric shows: two cells that differ in exactly one factor are a comparison.

Directions come from intervals alone. How sure an interval is depends on how many comparisons are made at once: the questions that were asked
(link, server, application) share three quarters of what may be wrong together, the rest (keep-alive, front) a quarter.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lasthop.compare.figures import METRICS, QUESTIONS, Figures, figures
from lasthop.compare.results import Cell, Results
from lasthop.compare.soundness import other_reply
from lasthop.compare.statistics import FAMILY, Ratio, paired

FACTORS = ("link", "keep_alive", "server", "target", "front")
"""In the order in which they are told."""
ASKED = {"link", "server", "target"}
ASKED_PART = 0.75
"""Of `FAMILY`, for the questions that were asked; with nothing else to share with, they have all of it."""
TWIN_PART = 0.25
"""Of `FAMILY`, and beyond it, for the twins: should they differ, nothing is claimed, but all intervals grow."""
LINKS = ("unix", "tcp", "tcp6")


class Answer(Enum):
    """What a comparison says."""

    FIRST = "the first is better"
    SECOND = "the second is better"
    TRADE = "one is better in one thing, the other in another"
    NEITHER = "no difference shown"
    UNKNOWN = "not enough to tell"


@dataclass(frozen=True)
class Judged:
    """One metric of a comparison."""

    ratio: Ratio | None
    """Of the first to the second; None: it was not measured on both."""

    @property
    def word(self) -> str:
        """Depends on the interval only."""
        if self.ratio is None:
            return "not measured"
        if not self.ratio.enough:
            return "too few rounds"
        return {1: "more", -1: "less", 0: "no difference shown"}[self.ratio.shown]

    @property
    def shown(self) -> int:
        """1: more, -1: less, 0: neither is shown."""
        return self.ratio.shown if self.ratio else 0

    @property
    def known(self) -> bool:
        """Whether it could have shown something."""
        return self.ratio is not None and self.ratio.enough


@dataclass(frozen=True)
class Comparison:
    """Two cells that differ in one factor."""

    factor: str
    """One of `FACTORS`, or `twin`."""
    first: str
    second: str
    judged: Mapping[str, Judged] = field(default_factory=dict)
    """By the name of the metric."""
    open_loop: bool = False

    @property
    def leading(self) -> tuple[str, str]:
        """The metrics that decide: with a planned rate, requests/s are the plan's."""
        return ("p50" if self.open_loop else "requests"), "cpu"

    @property
    def answer(self) -> Answer:
        """Which one is better, by the leading metrics; where they show nothing, by the slowest hundredth."""
        if not any(self.judged[metric].known for metric in self.leading):
            return Answer.UNKNOWN
        gains = {METRICS[metric].better * self.judged[metric].shown for metric in self.leading} - {0}
        if not gains:
            gains = {METRICS["p99"].better * self.judged["p99"].shown} - {0}
        if len(gains) == 2:
            return Answer.TRADE
        if not gains:
            return Answer.NEITHER
        return Answer.FIRST if gains == {1} else Answer.SECOND

    def turned(self) -> Comparison:
        """The same, said of the second."""
        judged = {metric: Judged(each.ratio and each.ratio.turned()) for metric, each in self.judged.items()}
        return dataclasses.replace(self, first=self.second, second=self.first, judged=judged)


def _levels(cells: Iterable[Cell], factor: str) -> list[Any]:
    """The factor's levels in the order in which they are set against each other: each against the first."""
    levels = list(dict.fromkeys(getattr(cell, factor) for cell in cells))
    if factor == "link":
        levels.sort(key=lambda link: LINKS.index(link) if link in LINKS else len(LINKS))
    if factor == "keep_alive":
        levels.sort(reverse=True)
    if factor == "server" and "lasthop" in levels:
        levels.sort(key=lambda server: server != "lasthop")
    if factor == "front":
        levels = [front for front in levels if front != "direct"]
    return levels


def pairs(cells: Mapping[str, Cell]) -> Iterator[tuple[str, str, str]]:
    """Factor, first, second. For an application the later one comes first: it is told against the first that was named."""
    by_cell: dict[Cell, str] = {}
    for name, cell in cells.items():
        if not cell.twin:
            by_cell.setdefault(cell, name)
    for factor in FACTORS:
        levels = _levels(by_cell, factor)
        for cell, name in by_cell.items():
            if not levels or getattr(cell, factor) != levels[0]:
                continue
            for level in levels[1:]:
                changed: dict[str, Any] = {factor: level}
                other = by_cell.get(dataclasses.replace(cell, **changed))
                if other is not None:
                    yield (factor, other, name) if factor == "target" else (factor, name, other)


def twins(cells: Mapping[str, Cell]) -> Iterator[tuple[str, str]]:
    """Cells that are the same but for having been measured apart."""
    first: dict[Cell, str] = {}
    for name, cell in cells.items():
        same = dataclasses.replace(cell, twin=False)
        if same in first:
            yield first[same], name
        else:
            first[same] = name


def judge_pair(results: Results, first: str, second: str, level: float) -> dict[str, Judged]:
    """Every metric of two cells, by the rounds that have both."""
    both = [each.cells for each in results.rounds if first in each.cells and second in each.cells]
    return {
        name: Judged(paired(((metric.of(each[first]), metric.of(each[second])) for each in both), level))
        for name, metric in METRICS.items()
    }


def _level(part: float, comparisons: int) -> float:
    return 1 - FAMILY * part / (QUESTIONS * max(1, comparisons))


def compare(
    results: Results, sound: Mapping[str, Cell]
) -> tuple[list[Comparison], Comparison | None, dict[str, str]]:
    """All comparisons of sound cells, that of the twins, and the pairs that cannot be compared, with why."""
    found = list(pairs(sound))
    apart: dict[str, str] = {}
    measured: dict[str, Figures] = {name: each for name in sound if (each := figures(results, name))}
    for pair in list(found):
        factor, first, second = pair
        if factor != "target":
            why = other_reply(measured[first], measured[second], factor != "server")
            if why:
                apart[f"{first} against {second}"] = why
                found.remove(pair)
    asked = sum(factor in ASKED for factor, _, _ in found)
    rest = len(found) - asked
    part = ASKED_PART if asked and rest else 1.0
    level = {True: _level(part, asked), False: _level(1 - part if asked and rest else 1.0, rest)}
    comparisons = [
        Comparison(
            factor,
            first,
            second,
            judge_pair(results, first, second, level[factor in ASKED]),
            sound[first].rate > 0,
        )
        for factor, first, second in found
    ]
    same = next(twins(sound), None)
    if same is None:
        return comparisons, None, apart
    noise = Comparison(
        "twin",
        *same,
        judge_pair(results, *same, _level(TWIN_PART if comparisons else 1.0, 1)),
        sound[same[0]].rate > 0,
    )
    return [_beside(each, noise) for each in comparisons], noise, apart


def _beside(comparison: Comparison, noise: Comparison) -> Comparison:
    """Where even twins differ, every interval is wider by as much."""
    judged = dict(comparison.judged)
    for metric, each in noise.judged.items():
        ratio = judged[metric].ratio
        if each.shown and each.ratio and ratio:
            judged[metric] = Judged(ratio.widened(math.log(each.ratio.median)))
    return dataclasses.replace(comparison, judged=judged)
