from __future__ import annotations

import math
import random
from statistics import median

import pytest

from lasthop.compare import statistics
from lasthop.compare.statistics import fewest_rounds, middle, midmean, paired, percentile, unpaired


def rounds(ratio: float, spread: float, count: int, seed: int) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    return [(ratio * math.exp(chance.gauss(0, spread)), 1.0) for _ in range(count)]


@pytest.mark.parametrize("count", [5, 6, 9, 12])
def test_the_written_down_bootstrap_is_what_many_random_resamples_give(count: int) -> None:
    chance = random.Random(count)
    values = sorted(chance.gauss(0, 1) for _ in range(count))
    drawn = [median(chance.choices(values, k=count)) for _ in range(40_000)]
    written = statistics._medians(values)
    for border in (values[1], median(values), values[-2]):
        share = sum(each <= border + 1e-12 for each in drawn) / len(drawn)
        assert share == pytest.approx(sum(s for value, s in written if value <= border + 1e-12), abs=0.012)


@pytest.mark.parametrize("count", range(1, 60))
def test_all_resamples_are_counted_once(count: int) -> None:
    assert 1.0 == pytest.approx(sum(share for _, _, share in statistics._resampled(count)))


def test_a_ratio_is_the_rounds_median_and_the_rounds_pair() -> None:
    # Each round is twice as fast as the one before; within a round the first is 1.1 times the second.
    ratio = paired(((1.1 * 2**n, 2.0**n) for n in range(12)), 0.99)
    assert ratio is not None
    assert (1.1, 1.1, 1.1) == pytest.approx((ratio.median, ratio.low, ratio.high))
    assert 1 == ratio.shown


def test_a_difference_that_rounds_to_nothing_is_not_shown() -> None:
    ratio = paired([(1.004, 1.0)] * 20, 0.99)
    assert ratio is not None
    assert 0 == ratio.shown


def test_turned_round_more_becomes_less() -> None:
    ratio = paired(rounds(1.2, 0.01, 16, 1), 0.99)
    assert ratio is not None
    turned = ratio.turned()
    assert (1, -1) == (ratio.shown, turned.shown)
    assert (1 / ratio.high, 1 / ratio.low) == (turned.low, turned.high)


def test_a_bias_of_the_machine_takes_a_small_difference_away() -> None:
    ratio = paired(rounds(1.04, 0.005, 16, 1), 0.99)
    assert ratio is not None
    assert (1, 0) == (ratio.shown, ratio.widened(math.log(0.95)).shown)


def test_one_wild_round_changes_nothing() -> None:
    calm = rounds(1.1, 0.02, 15, 3)
    for wild in (0.01, 100.0):
        ratio = paired([*calm, (wild, 1.0)], 0.99)
        assert ratio is not None
        assert 1 == ratio.shown


@pytest.mark.parametrize(("level", "needed"), [(0.75, 3), (0.99, 8), (0.995, 9), (0.999, 11)])
def test_too_few_rounds_show_nothing_however_clear_they_are(level: float, needed: int) -> None:
    assert needed == fewest_rounds(level)
    shown = [ratio.shown for n in (needed - 1, needed) if (ratio := paired([(2.0, 1.0)] * n, level))]
    assert [0, 1] == shown


def test_few_rounds_far_off_are_left_out_and_counted() -> None:
    calm = [1.10, 1.11, 1.12, 1.09, 1.10, 1.11, 1.08, 1.12, 1.10, 1.11]
    ratio = paired(((each, 1.0) for each in [*calm, 2.0, 0.5]), 0.99)
    assert ratio is not None
    assert (10, 2) == (ratio.rounds, ratio.disturbed)
    assert 1.08 <= ratio.low <= ratio.high <= 1.12


def test_where_many_lie_far_off_none_is_left_out() -> None:
    ratio = paired(((each, 1.0) for each in [1.0] * 9 + [2.0] * 3), 0.99)
    assert ratio is not None
    assert (12, 0) == (ratio.rounds, ratio.disturbed)


@pytest.mark.parametrize("pairs", [[], [(0.0, 1.0)], [(1.0, 0.0)]])
def test_nothing_measured_gives_no_ratio(pairs: list[tuple[float, float]]) -> None:
    assert paired(pairs, 0.99) is None


@pytest.mark.parametrize("count", [10, 12, 16, 25])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(count: int) -> None:
    runs = [paired(rounds(1.05, 0.04, count, seed), 0.98) for seed in range(500)]
    missed = sum(not ratio.low <= 1.05 <= ratio.high for ratio in runs if ratio)
    assert missed <= 500 * 0.03


def test_what_is_detectable_is_found_in_eight_of_ten_runs() -> None:
    found = 0
    for seed in range(200):
        told = paired(rounds(1.0, 0.04, 16, seed), 0.99)
        assert told is not None
        again = paired(rounds(1 + told.detectable, 0.04, 16, seed + 1000), 0.99)
        assert again is not None
        found += again.shown == 1
    assert 140 <= found <= 190


def test_two_runs_are_compared_by_their_medians() -> None:
    chance = random.Random(5)
    before = [100 * math.exp(chance.gauss(0, 0.02)) for _ in range(16)]
    after = [120 * math.exp(chance.gauss(0, 0.02)) for _ in range(14)]
    ratio = unpaired(after, before, 0.99)
    assert ratio is not None
    assert median(after) / median(before) == pytest.approx(ratio.median)
    assert ratio.low < 1.2 < ratio.high
    assert 1 == ratio.shown
    assert unpaired([], before, 0.99) is None


def test_two_equal_runs_show_nothing() -> None:
    claimed = 0
    for seed in range(40):
        chance = random.Random(seed)
        one, other = ([math.exp(chance.gauss(0, 0.05)) for _ in range(16)] for _ in range(2))
        ratio = unpaired(one, other, 0.99)
        assert ratio is not None
        claimed += ratio.shown != 0
    assert claimed <= 2


def test_the_middle_of_a_cell_lies_within_its_interval() -> None:
    value, low, high = middle([3.0, 1.0, 2.0, 5.0, 4.0], 0.9)
    assert 3.0 == value
    assert 1.0 <= low <= 3.0 <= high <= 5.0


def test_percentiles_of_counts() -> None:
    counts = [(1, 50), (2, 40), (3, 9), (4, 1)]
    assert [1, 2, 3, 4] == [percentile(counts, share) for share in (0.5, 0.9, 0.99, 1.0)]
    assert 0 == percentile([], 0.5)


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([], 0.0),
        ([3.0], 3.0),
        ([1.0, 2.0], 1.5),
        ([9.0, 1.0, 2.0, 3.0], 2.5),
        ([0.0, 5.0, 5.0, 5.0, 5.0, 900.0, 5.0, 0.0], 5.0),
    ],
)
def test_the_mean_of_the_middle_half_forgets_what_befell_few(values: list[float], mean: float) -> None:
    assert mean == midmean(values)
