"""How sure `lasthop compare` is: how often it claims a difference where there is none, and how often it finds one that is there.

``python -m bench.verdict`` compares an application with itself (A/A), and with one that does 5 % more work, again and again, by the command line and
on the real machine, and counts what the verdicts say. What it prints is the measurement that docs/design/compare.md quotes.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lasthop.compare import verdict
from lasthop.compare.pairs import Answer
from lasthop.compare.results import Results, load

HERE = Path(__file__).parent / "applications"


def compare(targets: list[str], seconds: float, seed: int, *options: str) -> Results:
    """One comparison on `unix:`, kept alive, without a front."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "results.json"
        command = [
            sys.executable,
            "-m",
            "lasthop",
            "compare",
            *targets,
            "--front",
            "direct",
            "--link",
            "unix",
        ]
        command += ["--keep-alive", "on", "--burst", "0", "--seconds", str(seconds), "--seed", str(seed)]
        command += ["--quiet", "--json", str(file), *options]
        subprocess.run(command, cwd=HERE, check=False, stdout=subprocess.DEVNULL)
        return load(file)


def claims(results: Results) -> list[str]:
    """The metrics for which the verdict claims a difference of the two applications."""
    found = verdict.judge(results)
    return [
        metric
        for each in found.comparisons
        if each.factor == "target"
        for metric, judged in each.judged.items()
        if judged.shown
    ]


def found_better(results: Results) -> str:
    """Which application the verdict says is better, or an empty text."""
    for each in verdict.judge(results).comparisons:
        if each.factor == "target":
            name = {Answer.FIRST: each.first, Answer.SECOND: each.second}.get(each.answer)
            return results.cells[name].target if name else ""
    return ""


def spreads(results: Results) -> list[tuple[float, float]]:
    """By how much (logarithm of the ratio of requests/s) the first two cells differ in each round: all slices added up, and their middle half."""
    found = []
    for each in results.rounds:
        if len(each.cells) > 1:
            one, other = list(each.cells.values())[:2]
            added = math.log(one.requests / one.seconds / (other.requests / other.seconds))
            found.append((added, math.log(one.requests_per_second / other.requests_per_second)))
    return found


def main() -> None:
    """Compare and count."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--same", type=int, default=20, help="comparisons of a thing with itself")
    words.add_argument("--more", type=int, default=10, help="comparisons with one that does 5 %% more work")
    words.add_argument("--seconds", type=float, default=30.0, help="of each comparison")
    asked = words.parse_args()
    same: list[list[str]] = []
    differing: list[tuple[float, float]] = []
    for number in range(asked.same):
        results = compare(["working:less", "working:again"], asked.seconds, number)
        same.append(claims(results))
        differing += spreads(results)
        print(json.dumps({"same": number, "rounds": len(results.rounds), "claimed": same[-1]}), flush=True)
    found = []
    for number in range(asked.more):
        results = compare(["working:less", "working:more"], asked.seconds, number)
        found.append(found_better(results))
        told = {
            "more": number,
            "rounds": len(results.rounds),
            "claimed": claims(results),
            "better": found[-1],
        }
        print(json.dumps(told), flush=True)
    if len(differing) > 1:
        added, middle = (statistics.stdev(each) for each in zip(*differing, strict=True))
        print(
            f"in {len(differing)} rounds the two differ by {added:.3f} (standard deviation of the logarithm of the ratio of requests/s) where slices are added up, by {middle:.3f} in the middle half of them"
        )
    print(f"no difference shown in {sum(not each for each in same)} of {len(same)} comparisons with itself")
    print(
        f"the one that does 5 % less work was found in {found.count('working:less')} of {len(found)} comparisons"
    )


if __name__ == "__main__":
    main()
