"""A comparison from its plan to its results: the stand, the rounds, the burst; saved after each round, and whole when it is interrupted."""

from __future__ import annotations

import sys
from pathlib import Path

from lasthop.compare import bursts, machine, rounds
from lasthop.compare.pairs import Answer
from lasthop.compare.plan import LEAST_ROUNDS, Plan, value_shown
from lasthop.compare.progress import progress_on
from lasthop.compare.results import Results, Round
from lasthop.compare.stand import Stand, Standing
from lasthop.compare.verdict import judge
from lasthop.errors import HopFailed


def run(plan: Plan, save_to: Path | None, *, quiet: bool = False) -> Results:
    """Measure what the plan says. Ctrl-C gives what there is; nothing measured at all raises HopFailed."""
    with Stand.here(plan) as stand:
        results = Results(
            cells=plan.cells,
            request={
                "method": plan.request.method,
                "path": plan.request.path,
                "headers": [[name, value_shown(name, value)] for name, value in plan.request.headers],
                "body_bytes": len(plan.request.body),
                "expect_status": plan.expect_status,
            },
            environment=machine.describe(plan, stand.cores),
            seed=plan.seed,
            rounds_planned=LEAST_ROUNDS,
            slice_seconds=plan.slice_seconds,
        )
        if not quiet:
            minutes = plan.seconds / 60
            about = f"{plan.seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} minutes"
            print(f"{len(plan.cells)} cells, about {about}: {'; '.join(plan.cells)}", file=sys.stderr)

        def beside(standing: dict[str, Standing]) -> None:
            try:
                bursts.burst_all(standing, plan, results)
            except OSError as error:
                results.problems.append(f"no burst was measured: {error.strerror or error}")

        def answered() -> bool:
            return not any(each.answer is Answer.UNKNOWN for each in judge(results).comparisons)

        with progress_on(None, plan.seconds, quiet) as progress:

            def after(done: Round) -> None:
                for name, why in done.failures.items():
                    text = f"{name}: {why}"
                    if text not in results.problems:
                        results.problems.append(text)
                progress.round(done, results)
                _save(results, save_to)

            try:
                rounds.run(stand, plan, results, progress.cell, after, beside, answered)
            except KeyboardInterrupt:
                results.ended = "it was interrupted"
            except OSError as error:
                results.ended = f"the system refused: {error.strerror or error}"
    if results.rounds:
        _save(results, save_to)
    if not any(each.cells for each in results.rounds):
        whole = "\n".join(_once(results.problems)) or results.ended or "no round was completed"
        raise HopFailed(f"nothing could be measured: {whole}")
    return results


def _save(results: Results, to: Path | None) -> None:
    """Where it cannot be saved, what is measured can still be told."""
    if to is not None:
        try:
            results.save(to)
        except OSError as error:
            problem = f"{to} could not be written: {error.strerror or error}"
            if problem not in results.problems:
                results.problems.append(problem)


def _once(problems: list[str]) -> list[str]:
    """Those that begin alike once, with the names of all their cells; what servers said to it differs by times and pids."""
    cells: dict[str, list[str]] = {}
    whole: dict[str, str] = {}
    for problem in problems:
        name, colon, why = problem.partition(": ")
        if not colon:
            name, why = "", problem
        begins = why.partition("\n")[0]
        cells.setdefault(begins, []).append(name)
        whole.setdefault(begins, why)
    return [
        f"{', '.join(names)}: {whole[begins]}" if all(names) else whole[begins]
        for begins, names in cells.items()
    ]
