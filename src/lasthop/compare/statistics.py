"""How much one thing is more than another, from rounds in which both were measured: the median ratio, and how sure it is.

Arithmetic only: it knows numbers, no cells, metrics or words. Why the median, why this interval and this level, with simulated figures:
docs/design/compare.md.

The interval is the bootstrap's for the median, in full: what thousands of random resamples of n rounds would give can be written down for a
median (each resample's median is one of the values, or lies in the middle of two; how often is a sum of binomials). So nothing is
drawn, and the same rounds always give the same interval.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, median

FAMILY = 0.06
"""How often at most one of all the differences claimed together may be none: 6 comparisons in 100."""
POWER = 0.8
"""`detectable` is what would have shown in this share of comparisons."""
LEAST_SHOWN = 0.005
"""What rounds to 1.00 is no difference, however sure it is."""
FAR_OFF = 5.0
"""In typical deviations from the median: no round lies so far off but by a disturbance."""
TO_DEVIATION = 1.4826
"""What makes of the median distance from the median a normal distribution's standard deviation."""
MOST_DISTURBED = 0.25
"""The share of rounds that may be left out."""


@dataclass(frozen=True)
class Ratio:
    """How many times as much the first is as the second."""

    median: float
    low: float
    high: float
    rounds: int
    """That count."""
    disturbed: int
    """Rounds that were left out, because they lie far off (`undisturbed`)."""
    level: float
    """How sure it is, by itself, that the truth lies between `low` and `high`."""
    detectable: float
    """The smallest difference (0.03: 3 % more or less) that would have shown in `POWER` of such comparisons."""
    enough: bool = True
    """Whether there are rounds enough for `level`; if not, it shows nothing."""

    @property
    def shown(self) -> int:
        """1: more, -1: less, 0: no difference shown."""
        if not self.enough:
            return 0
        return int(self.low > 1 + LEAST_SHOWN) - int(self.high < 1 - LEAST_SHOWN)

    def turned(self) -> Ratio:
        """How many times as much the second is as the first."""
        return dataclasses.replace(self, median=1 / self.median, low=1 / self.high, high=1 / self.low)

    def widened(self, by: float) -> Ratio:
        """The same, less sure by a bias `by` (of the logarithm), in either direction."""
        factor = math.exp(abs(by))
        return dataclasses.replace(
            self,
            low=self.low / factor,
            high=self.high * factor,
            detectable=(1 + self.detectable) * factor - 1,
        )


def midmean(values: Sequence[float]) -> float:
    """The mean of the middle half: what befell less than a quarter of them, in either direction, is not in it. 0 of nothing."""
    ordered = sorted(values)
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    return math.fsum(middle) / len(middle) if middle else 0.0


def fewest_rounds(level: float) -> int:
    """With fewer, not even the whole range of the rounds is that sure: all lie on one side of the truth once in 2^(n-1)."""
    return math.ceil(1 + math.log2(1 / (1 - level)) - 1e-9)


@lru_cache(maxsize=64)
def _resampled(n: int) -> tuple[tuple[int, int, float], ...]:
    """The medians of all n^n resamples of n ordered values: (i, j, share of resamples) for the middle of the values i and j."""
    half = n // 2
    middle = n - half  # how many must be at most the i-th for the (lower) middle one to be

    def at_least(i: int) -> float:
        share = i / n
        return math.fsum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(middle, n + 1))

    up_to = [at_least(i) for i in range(n + 1)]
    if n % 2:
        return tuple((i, i, up_to[i + 1] - up_to[i]) for i in range(n))
    found = []
    for i in range(n):
        # The lower middle one is the value i; the upper one is a later value j, or i as well.
        same = up_to[i + 1] - up_to[i]
        lower = ((i + 1) / n) ** half - (i / n) ** half
        for j in range(i + 1, n):
            upper = ((n - j) / n) ** half - ((n - j - 1) / n) ** half
            share = math.comb(n, half) * lower * upper
            found.append((i, j, share))
            same -= share
        found.append((i, i, max(0.0, same)))
    return tuple(found)


Weighted = list[tuple[float, float]]


def _medians(values: Sequence[float]) -> Weighted:
    ordered = sorted(values)
    return sorted(((ordered[i] + ordered[j]) / 2, share) for i, j, share in _resampled(len(ordered)))


def _left_out(level: float, rounds: int) -> float:
    """Which share of resamples lies outside on each side. Less than (1 - level) / 2, since of few rounds resamples differ too little.

    The bootstrap takes the rounds' spread for the truth's and a normal distribution for Student's; this puts both right, by the factor
    that would be exact for a mean (Hesterberg's expanded percentiles). Student's quantile is Abramowitz and Stegun's 26.7.5.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    free = max(1, rounds - 1)
    student = (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    )
    return 1 - NormalDist().cdf(student * math.sqrt((free + 1) / free))


def _ends(medians: Weighted, left_out: float) -> tuple[float, float]:
    """Between which values all lie but this share on each side, rather too far apart than too near."""

    def from_one_side(ordered: Iterable[tuple[float, float]]) -> float:
        total = 0.0
        for value, share in ordered:
            total += share
            if total > left_out:
                return value
        raise ValueError("no values")

    return from_one_side(medians), from_one_side(reversed(medians))


def _ratio(middle: float, medians: Weighted, rounds: int, disturbed: int, level: float) -> Ratio:
    low, high = _ends(medians, _left_out(level, rounds))
    mean = math.fsum(value * share for value, share in medians)
    spread = math.sqrt(math.fsum(share * (value - mean) ** 2 for value, share in medians))
    reach = max(high - middle, middle - low) + LEAST_SHOWN + NormalDist().inv_cdf(POWER) * spread
    enough = rounds >= fewest_rounds(level)
    return Ratio(
        math.exp(middle),
        math.exp(low),
        math.exp(high),
        rounds,
        disturbed,
        level,
        math.exp(reach) - 1,
        enough,
    )


def undisturbed(values: Sequence[float]) -> list[float]:
    """Without those that lie far off on either side, where a neighbour took the processor from one of the two; if these are few.

    The rule looks at both sides alike, so it favours neither; and where a quarter or more lies far off, that is what was measured.
    """
    center = median(values)
    typical = max(TO_DEVIATION * median(abs(value - center) for value in values), LEAST_SHOWN)
    kept = [value for value in values if abs(value - center) <= FAR_OFF * typical]
    return kept if len(kept) > (1 - MOST_DISTURBED) * len(values) else list(values)


def paired(pairs: Iterable[tuple[float, float]], level: float) -> Ratio | None:
    """From (first, second) of each round. Rounds where either is not positive do not count; None: no round does."""
    logs = [math.log(first / second) for first, second in pairs if first > 0 and second > 0]
    if not logs:
        return None
    kept = undisturbed(logs)
    return _ratio(median(kept), _medians(kept), len(kept), len(logs) - len(kept), level)


def middle(values: Sequence[float], level: float) -> tuple[float, float, float]:
    """The median of at least one value, and between what it lies."""
    return median(values), *_ends(_medians(values), _left_out(level, len(values)))


GRAIN = 300


def _grained(medians: Weighted) -> list[float]:
    """The same distribution as `GRAIN` values that are equally likely, so that two can be set against each other."""
    grains: list[float] = []
    total = 0.0
    for value, share in medians:
        total += share
        grains += [value] * (min(GRAIN, round(total * GRAIN)) - len(grains))
    return grains or [medians[0][0]]


def unpaired(first: Iterable[float], second: Iterable[float], level: float) -> Ratio | None:
    """From rounds of two comparisons that were not made together."""
    both = [[math.log(value) for value in values if value > 0] for values in (first, second)]
    if not all(both):
        return None
    left, right = kept = [undisturbed(logs) for logs in both]
    tops, bottoms = (_grained(_medians(logs)) for logs in kept)
    share = 1 / (len(tops) * len(bottoms))
    differences = sorted((top - bottom, share) for top in tops for bottom in bottoms)
    disturbed = sum(map(len, both)) - sum(map(len, kept))
    return _ratio(median(left) - median(right), differences, min(map(len, kept)), disturbed, level)


def percentile(counts: Sequence[tuple[int, int]], share: float) -> float:
    """The least value that this share of all values does not pass, of (value, how many) in ascending order; 0 of none."""
    total = sum(count for _, count in counts)
    wanted = max(1, math.ceil(share * total - 1e-9))
    seen = 0
    for value, count in counts:
        seen += count
        if seen >= wanted:
            return float(value)
    return 0.0
