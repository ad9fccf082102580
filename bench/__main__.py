"""``python -m bench``: rounds of all cases with all servers, the tables, the goals.

Rounds are the outermost loop, so that an interrupted run has asked every case as often as every other, give or take
one; in each round a case's servers come in an order of its own, drawn from a recorded seed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from types import FrameType

from bench import report
from bench.build import build
from bench.cases import CASES, Case
from bench.environment import describe
from bench.errors import BenchError
from bench.measure import WARM_SECONDS, Stand
from bench.peers import SERVERS
from bench.process import Bailiff, Cores, raise_file_limit
from bench.results import Record, Results

ROUNDS, SECONDS = 5, 1.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.5
QUICK_SERVERS = ("floor", "bjoern", "granian-16", "gunicorn-gthread-16", "lasthop-1", "lasthop-16")
START_GUESS_SECONDS = 0.6


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument(
        "--case",
        action="append",
        metavar="NAME",
        help=f"only these ('hello' stands for 'hello-*'): {', '.join(CASES)}",
    )
    parser.add_argument(
        "--server",
        action="append",
        metavar="NAME",
        help=f"only these ('lasthop' stands for all its threads): {', '.join(SERVERS)}",
    )
    parser.add_argument(
        "--rounds", type=int, help=f"rounds of everything (default {ROUNDS}; --quick {QUICK_ROUNDS})"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"length of a measurement (default {SECONDS:g}; --quick {QUICK_SECONDS:g})",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short round with fewer servers and cases: about two minutes, no proof",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the order of servers (default 1)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep the results here, saved after each measurement"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report here too")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="measure nothing; print the report of such a JSON file"
    )
    return parser.parse_args()


def named(wanted: list[str] | None, known: Iterator[str] | list[str], what: str) -> list[str]:
    """Choose names; one without its ending stands for all that begin so."""
    names = list(known)
    if not wanted:
        return names
    chosen = []
    for word in wanted:
        found = [name for name in names if name == word or name.startswith(f"{word}-") or fnmatch(name, word)]
        if not found:
            raise BenchError(f"bench: there is no {what} named {word!r}; there are {', '.join(names)}")
        chosen += found
    return [name for name in names if name in chosen]


def plan(cases: list[Case], servers: list[str], results: Results) -> list[tuple[Case, list[str]]]:
    """Who is asked what; what cannot be asked here is noted as left out."""
    for name in servers:
        if SERVERS[name].version is None:
            results.left_out[name] = (
                f"{SERVERS[name].distribution} is not installed (python -m bench.install)"
            )
    planned = []
    for case in cases:
        why = case.missing()
        if why is not None:
            results.left_out[case.name] = why
            continue
        able = [name for name in case.servers if name in servers and name not in results.left_out]
        planned.append((case, [name for name in able if case.work.link in SERVERS[name].links]))
    return planned


def measure(
    stand: Stand, planned: list[tuple[Case, list[str]]], rounds: int, results: Results, keep: Path | None
) -> None:
    """All rounds; a measurement that fails is recorded and the others go on."""
    order = random.Random(stand.seed)
    for number in range(1, rounds + 1):
        for case, servers in planned:
            for name in order.sample(servers, len(servers)):
                print(f"round {number} of {rounds}: {case.name}: {name}", file=sys.stderr)
                try:
                    record = Record(case.name, name, number, case.measure(stand, SERVERS[name], case.work))
                except (BenchError, OSError, ValueError, KeyError, TimeoutError) as error:
                    record = Record(case.name, name, number, failure=f"{type(error).__name__}: {error}")
                    print(f"  failed: {error}", file=sys.stderr)
                results.records.append(record)
                if keep is not None:
                    results.save(keep)


def guess_minutes(planned: list[tuple[Case, list[str]]], rounds: int, seconds: float) -> float:
    """About how long it will take."""
    each = sum(
        len(names) * (START_GUESS_SECONDS + WARM_SECONDS + seconds * case.work.seconds)
        for case, names in planned
    )
    return each * rounds / 60


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(options: argparse.Namespace) -> int:
    """Measure and report. Exit code 1: something failed."""
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    names = named(options.server, list(SERVERS), "server")
    if options.quick and not options.server:
        names = [name for name in names if name in QUICK_SERVERS]
    cases = [CASES[name] for name in named(options.case, list(CASES), "case")]
    if options.quick and not options.case:
        cases = [case for case in cases if case.quick]
    cores = Cores.here()
    if cores.server == cores.load:
        raise BenchError(
            "bench: one core is not enough: the server and the load need one each (see taskset, cpuset)"
        )
    raise_file_limit()
    results = Results(describe(cores, rounds=rounds, seconds=seconds, seed=options.seed, quick=options.quick))
    planned = plan(cases, names, results)
    for name, why in results.left_out.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    print(f"about {guess_minutes(planned, rounds, seconds):.0f} minutes", file=sys.stderr)
    begun = time.monotonic()
    with Bailiff() as bailiff:
        build(bailiff.directory)
        os.sched_setaffinity(0, {cores.load})
        try:
            measure(Stand(bailiff, cores, seconds, options.seed), planned, rounds, results, options.json)
        except KeyboardInterrupt:
            print("interrupted: this is what there is", file=sys.stderr)
    print(f"took {(time.monotonic() - begun) / 60:.1f} minutes", file=sys.stderr)
    tell(results, options.markdown)
    return 1 if results.failures() else 0


def tell(results: Results, file: Path | None) -> None:
    """Print the report, and keep it."""
    text = report.whole(results)
    print(text)
    if file is not None:
        file.write_text(text)


def main() -> int:
    """The command."""
    options = arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if options.report is not None:
            tell(Results.load(options.report), options.markdown)
            return 0
        return run(options)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
