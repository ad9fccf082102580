"""``python -m bench``: rounds of all cases with all servers, the tables, the goals."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from types import FrameType

from bench import report
from bench.build import build
from bench.cases import CASES
from bench.environment import describe
from bench.errors import BenchError
from bench.measure import Stand
from bench.peers import SERVERS
from bench.process import ROOT, Bailiff, Cores, raise_file_limit
from bench.results import Results
from bench.rounds import Run, guess_minutes, plan

ROUNDS, SECONDS = 5, 0.7
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.5
QUICK_SERVERS = (
    *("floor", "bjoern", "granian-16", "gunicorn-gthread-16", "lasthop-1", "lasthop-16"),
    *("uvicorn", "lasthop-asyncio"),
)
KEPT = ROOT / "build" / "bench"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="What a request costs on lasthop, on its peers and on the floor, side by side.",
        epilog=f"cases: {', '.join(CASES)}. servers: {', '.join(SERVERS)}.",
    )
    add = parser.add_argument
    add(
        "--case",
        action="append",
        metavar="NAME",
        help="only these; hello stands for hello-unix and hello-tcp, asgi for all that begin so",
    )
    add(
        "--server",
        action="append",
        metavar="NAME",
        help="only these; lasthop stands for all whose names begin with lasthop-",
    )
    add("--rounds", type=int, help=f"rounds of everything (default {ROUNDS}; with --quick {QUICK_ROUNDS})")
    add(
        "--seconds",
        type=float,
        help=f"of one measurement (default {SECONDS:g}; with --quick {QUICK_SECONDS:g})",
    )
    add("--quick", action="store_true", help="short rounds, fewer servers and cases: two minutes, no proof")
    add("--seed", type=int, default=1, help="of the order of servers (default 1)")
    add(
        "--json",
        type=Path,
        metavar="FILE",
        help="results, saved after each measurement (default build/bench/results.json)",
    )
    add("--markdown", type=Path, metavar="FILE", help="the report (default build/bench/report.md)")
    add("--report", type=Path, metavar="FILE", help="measure nothing: print the report of such a JSON file")
    return parser.parse_args()


def named(wanted: list[str] | None, known: Iterable[str], what: str) -> list[str]:
    """Choose names; one without its ending stands for all that begin so."""
    names = list(known)
    if not wanted:
        return names
    chosen = set()
    for word in wanted:
        found = {name for name in names if name == word or name.startswith(f"{word}-") or fnmatch(name, word)}
        if not found:
            raise BenchError(f"bench: there is no {what} named {word!r}; there are {', '.join(names)}")
        chosen |= found
    return [name for name in names if name in chosen]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(options: argparse.Namespace) -> int:
    """Measure and report. Exit code 1: something failed."""
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    names = named(options.server, SERVERS, "server")
    if options.quick and not options.server:
        names = [name for name in names if name in QUICK_SERVERS]
    cases = [CASES[name] for name in named(options.case, CASES, "case")]
    if options.quick and not options.case:
        cases = [case for case in cases if case.quick]
    cores = Cores.here()
    if cores.server == cores.load:
        raise BenchError(
            "bench: one core is not enough: the server and the load need one each (see taskset, cpuset)"
        )
    raise_file_limit()
    kept = options.json or KEPT / "results.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    results = Results(describe(cores, rounds=rounds, seconds=seconds, seed=options.seed, quick=options.quick))
    planned = plan(cases, names, results)
    for name, why in results.left_out.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    print(f"about {guess_minutes(planned, rounds, seconds):.1f} minutes; results in {kept}", file=sys.stderr)
    begun = time.monotonic()
    with Bailiff() as bailiff:
        build(bailiff.directory)
        os.sched_setaffinity(0, {cores.load})
        stand = Stand(bailiff, cores, seconds, options.seed)
        try:
            Run(stand, planned, rounds, results, lambda: results.save(kept))()
        except KeyboardInterrupt:
            print("interrupted: this is what there is", file=sys.stderr)
    print(f"took {(time.monotonic() - begun) / 60:.1f} minutes", file=sys.stderr)
    tell(results, options.markdown or kept.with_name("report.md"))
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
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell starts what it puts behind with SIGINT ignored
        signal.signal(number, _interrupt)
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
