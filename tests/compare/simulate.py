"""How often the verdict is right, told by simulation: `.venv/bin/python -m tests.compare.simulate [RUNS]`.

Comparisons of things that are equal (how often is a difference claimed, over all that is claimed in a comparison?) and of things of which one
costs 5 % more (how often is that found?), with the noise of `made`. docs/design/compare.md has the figures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from lasthop.compare.pairs import Answer
from lasthop.compare.verdict import judge
from tests.compare.made import AGAIN, CELLS, TCP, UNIX, Noise, Truth, cell, made

ONE = Truth(10_000.0, 85.0, 0.1, 12.0)
DEARER = Truth(10_000.0 / 1.05, 85.0 * 1.05, 0.1, 12.0 * 1.05)
"""5 % more CPU a request, 5 % fewer requests."""
LATER = {"app:before": cell(target="app:before"), "app:after": cell(target="app:after")}


def claims(seed: int, *, noise: Noise, rounds: int) -> bool:
    """Whether a default comparison (four cells and a twin) of equal things claims any difference in anything."""
    verdict = judge(made(CELLS, dict.fromkeys(CELLS, ONE), rounds=rounds, noise=noise, seed=seed))
    return any(each.shown for pair in verdict.comparisons for each in pair.judged.values())


def twins_differ(seed: int, *, noise: Noise, rounds: int) -> bool:
    """Whether a comparison of a thing with itself alone claims any difference in anything."""
    cells = {UNIX: CELLS[UNIX], AGAIN: CELLS[AGAIN]}
    noisy = judge(made(cells, {UNIX: ONE}, rounds=rounds, noise=noise, seed=seed)).noise
    assert noisy is not None
    return any(each.shown for each in noisy.judged.values())


def finds_link(seed: int, *, noise: Noise, rounds: int) -> bool:
    """Whether a default comparison finds that the one link costs 5 % more, kept alive; and says it of the right one."""
    truths = {name: DEARER if "tcp" in name else ONE for name in CELLS}
    verdict = judge(made(CELLS, truths, rounds=rounds, noise=noise, seed=seed))
    found = [each.answer for each in verdict.comparisons if (each.first, each.second) == (UNIX, TCP)]
    return found == [Answer.FIRST]


def finds_target(seed: int, *, noise: Noise, rounds: int, metric: str = "") -> bool:
    """Whether a comparison of two applications finds that one costs 5 % more (by one metric alone, if it is named)."""
    (pair,) = judge(
        made(LATER, {"app:before": ONE, "app:after": DEARER}, rounds=rounds, noise=noise, seed=seed)
    ).comparisons
    if metric:
        return pair.judged[metric].shown == (-1 if metric == "requests" else 1)
    return pair.answer is Answer.SECOND


def misses(seed: int, *, noise: Noise, rounds: int) -> bool:
    """Whether the interval of the requests' ratio does not hold the truth, 1 / 1.05."""
    (pair,) = judge(
        made(LATER, {"app:before": ONE, "app:after": DEARER}, rounds=rounds, noise=noise, seed=seed)
    ).comparisons
    ratio = pair.judged["requests"].ratio
    assert ratio is not None
    return not ratio.low <= 1 / 1.05 <= ratio.high


def detectable_found(seed: int, *, noise: Noise, rounds: int) -> bool:
    """Whether a difference as large as was told to be detectable is found, the next time."""
    (pair,) = judge(
        made(LATER, dict.fromkeys(LATER, ONE), rounds=rounds, noise=noise, seed=seed + 10**6)
    ).comparisons
    ratio = pair.judged["requests"].ratio
    assert ratio is not None
    slower = Truth(10_000.0 / (1 + ratio.detectable), 85.0, 0.1, 12.0)
    (again,) = judge(
        made(LATER, {"app:before": ONE, "app:after": slower}, rounds=rounds, noise=noise, seed=seed)
    ).comparisons
    return again.judged["requests"].shown == -1


def share(happens: Callable[[int], bool], runs: int) -> float:
    """In how many of `runs` it happens."""
    return sum(happens(seed) for seed in range(runs)) / runs


QUESTIONS: dict[str, Callable[..., bool]] = {
    "equal: claims": claims,
    "twins: claims": twins_differ,
    "5 %: link": finds_link,
    "5 %: target": finds_target,
    "by requests/s": partial(finds_target, metric="requests"),
    "by CPU": partial(finds_target, metric="cpu"),
    "truth outside": misses,
    "detectable": detectable_found,
}


def main() -> None:
    """A Markdown table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print("| noise | rounds | " + " | ".join(QUESTIONS) + " |")
    print("|---|--:|" + "--:|" * len(QUESTIONS))
    with ProcessPoolExecutor() as pool:
        for spread in (0.02, 0.04, 0.08):
            for rounds in (12, 16, 25):
                noise = Noise(spread=spread)
                shares = pool.map(
                    share,
                    [partial(ask, noise=noise, rounds=rounds) for ask in QUESTIONS.values()],
                    [runs] * len(QUESTIONS),
                )
                print(
                    f"| {spread:.0%} | {rounds} | " + " | ".join(f"{each:.1%}" for each in shares) + " |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
