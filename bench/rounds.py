"""The order of a run: rounds of all cases with all servers, each measurement recorded at once.

Rounds are the outermost loop, so that an interrupted run has asked every case as often as every other, give or take
one; in each round a case's servers come in an order of its own, drawn from a recorded seed.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.case import Case
from bench.errors import BenchError
from bench.interpreters import Missing, chosen
from bench.measure import WARM_SECONDS, Figures, Stand
from bench.peers import SERVERS
from bench.results import DISTURBED, Record, Results, left_out_as

START_GUESS_SECONDS = 0.2
REPEATS = 2
REPEATS_SHARE = 0.2
"""A disturbed measurement is made again up to so often, and no more of them in a run than this share of all."""


@dataclass(frozen=True)
class Planned:
    """A case with those of its servers that can be asked."""

    case: Case
    servers: list[str]


def plan(cases: list[Case], servers: list[str], results: Results) -> list[Planned]:
    """Who is asked what; what cannot be asked here is noted as left out."""
    planned = []
    for case in cases:
        role = case.work.python
        why = case.missing()
        python = chosen(role)
        if isinstance(python, Missing):
            why = why or python.why
        if why is not None or isinstance(python, Missing):
            results.left_out[case.name] = why or ""
            continue
        able = [name for name in case.servers if name in servers and case.work.link in SERVERS[name].links]
        for name in able:
            lack = SERVERS[name].missing(python)
            if lack is not None:
                results.left_out[left_out_as(name, role)] = lack
        planned.append(
            Planned(case, [name for name in able if left_out_as(name, role) not in results.left_out])
        )
    return planned


def guess_minutes(planned: list[Planned], rounds: int, seconds: float) -> float:
    """About how long it will take."""
    overhead = START_GUESS_SECONDS + WARM_SECONDS
    each = sum(len(it.servers) * (overhead + seconds * it.case.work.seconds) for it in planned)
    return each * rounds / 60


class Run:
    """Measures what is planned; after each measurement ``save`` is called, so that nothing is lost."""

    def __init__(
        self, stand: Stand, planned: list[Planned], rounds: int, results: Results, save: Callable[[], None]
    ) -> None:
        self._stand = stand
        self._planned = planned
        self._rounds = rounds
        self._results = results
        self._save = save
        self._repeats_left = int(REPEATS_SHARE * rounds * sum(len(it.servers) for it in planned))

    def __call__(self) -> None:
        """All rounds; a measurement that fails is recorded and the others go on."""
        order = random.Random(self._stand.seed)
        for number in range(1, self._rounds + 1):
            for it in self._planned:
                for name in order.sample(it.servers, len(it.servers)):
                    print(f"round {number} of {self._rounds}: {it.case.name}: {name}", file=sys.stderr)
                    try:
                        record = Record(it.case.name, name, number, self._quiet_figures(it.case, name))
                    except (BenchError, OSError, ValueError) as error:
                        record = Record(
                            it.case.name, name, number, failure=f"{type(error).__name__}: {error}"
                        )
                        print(f"  failed: {error}", file=sys.stderr)
                    self._results.records.append(record)
                    self._save()

    def _quiet_figures(self, case: Case, name: str) -> Figures:
        """Measure; again if others used the cores meanwhile. What is kept is the quietest, whatever it found."""
        tried = [case.measure(self._stand, SERVERS[name], case.work)]
        while tried[-1].get("foreign", 0.0) > DISTURBED and len(tried) <= REPEATS and self._repeats_left > 0:
            self._repeats_left -= 1
            print(
                f"  disturbed by other processes ({tried[-1]['foreign']:.0%} of a core): again",
                file=sys.stderr,
            )
            tried.append(case.measure(self._stand, SERVERS[name], case.work))
        quietest = min(tried, key=lambda figures: figures.get("foreign", 0.0))
        return {**quietest, "tries": len(tried)}
