"""The geometry of the page's plots: where each mark lies, in per cent of the plot, so that a plot is as wide as the screen and its text keeps its size.

Numbers and labels in, numbers and labels out; the template draws them, and escapes what comes from outside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lasthop.compare.results import Counts

RATIO_TICKS = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0,
    1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 50.0, 100.0,
)  # fmt: skip
TICK_DISTANCE = 14.0
"""Per cent of the plot between two labels, at least: what `1,000,000` takes on a phone."""


@dataclass(frozen=True)
class Tick:
    """A line of the grid and its label."""

    at: float
    label: str
    main: bool = False


@dataclass(frozen=True)
class Scale:
    """From values to per cent of the plot."""

    low: float
    high: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies; what is outside lies at the edge."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return round(100 * (value - low) / (high - low), 2)


def ratio_scale(ends: Iterable[float]) -> Scale:
    """Around 1, with room for all intervals."""
    known = [end for end in ends if end > 0]
    low, high = min([0.93, *known]), max([1.07, *known])
    room = (high / low) ** 0.06
    return Scale(low / room, high * room, is_log=True)


def ratio_ticks(scale: Scale) -> list[Tick]:
    """1 in any case, and what fits beside it."""
    chosen = [1.0]
    for value in sorted(RATIO_TICKS, key=lambda value: abs(math.log(value))):
        fits = all(abs(scale.at(value) - scale.at(other)) >= TICK_DISTANCE for other in chosen)
        if scale.low * 1.01 < value < scale.high * 0.99 and fits:
            chosen.append(value)
    return [
        Tick(scale.at(value), f"{value:g}\N{MULTIPLICATION SIGN}", value == 1.0) for value in sorted(chosen)
    ]


def from_zero(most: float) -> tuple[Scale, list[Tick]]:
    """From 0 to somewhat more than the most, in round steps."""
    most = most or 1.0
    scale = Scale(0.0, most * 1.04)
    step = 10 ** math.floor(math.log10(most))
    for factor in (0.2, 0.5, 1, 2):
        if most / (step * factor) <= 4.2:
            step *= factor
            break
    count = int(scale.high / step)
    return scale, [Tick(scale.at(step * i), f"{step * i:,.10g}") for i in range(count + 1)]


def log_ticks(scale: Scale) -> list[Tick]:
    """1, 2, 5, 10, ... as far as there is room."""
    decades = math.log10(scale.high / scale.low)
    factors = (1, 2, 5) if decades < 1.6 else (1, 3) if decades < 3.5 else (1,)
    found = []
    for power in range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1):
        for factor in factors:
            value = factor * 10.0**power
            if scale.low <= value <= scale.high:
                found.append(Tick(scale.at(value), f"{value:g}"))
    return found


NINES = (
    (0.5, "50"),
    (0.9, "90"),
    (0.99, "99"),
    (0.999, "99.9"),
    (0.9999, "99.99"),
    (0.99999, "99.999"),
)
LEAST_BEYOND = 10
STEPS = 90
FIRST = 0.125
"""Where lines begin, in nines: at 25 %. The fastest quarter is not what anybody waits for."""


def nines_ticks(scale: Scale) -> list[Tick]:
    """The percentiles that there is room for, the best known first."""
    chosen: list[Tick] = []
    for share, label in sorted(NINES, key=lambda each: each[1] == "90"):
        tick = Tick(scale.at(nines(share)), f"{label} %")
        fits = all(abs(tick.at - other.at) >= TICK_DISTANCE for other in chosen)
        if nines(share) <= scale.high + 1e-9 and fits:
            chosen.append(tick)
    return sorted(chosen, key=lambda tick: tick.at)


def nines_scale(most: float) -> Scale:
    """With room on the left for the other axis's labels."""
    return Scale(FIRST - 0.09 * (most - FIRST), most)


def nines(share: float) -> float:
    """A percentile's place where each further nine takes as much room as the one before."""
    return -math.log10(1 - share)


def reach(counts: Counts) -> float:
    """How many nines a distribution has replies enough for."""
    total = sum(count for _, count in counts)
    return max(0.35, math.log10(total / LEAST_BEYOND)) if total > LEAST_BEYOND else 0.35


def percentile_line(counts: Counts, most_nines: float) -> list[tuple[float, float]]:
    """(nines, ms) along a distribution."""
    total = sum(count for _, count in counts)
    points: list[tuple[float, float]] = []
    if not total:
        return points
    wanted = [FIRST + (most_nines - FIRST) * step / STEPS for step in range(STEPS + 1)]
    seen, place = 0, 0
    for value, count in counts:
        seen += count
        while place < len(wanted) and seen >= (1 - 10 ** -wanted[place]) * total:
            points.append((wanted[place], value / 1e6))
            place += 1
    return points


def path(points: Sequence[tuple[float, float]], across: Scale, up: Scale) -> str:
    """A line through points, in a square of 100 by 100 whose origin is at the top."""
    return " ".join(
        f"{'L' if i else 'M'}{across.at(x):g} {100 - up.at(y):g}" for i, (x, y) in enumerate(points)
    )
