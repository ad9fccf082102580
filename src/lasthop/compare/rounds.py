"""The rounds of a comparison: every cell with fresh processes, measured in short slices in a random order and once more in the mirrored one.

Fresh processes, since where a process's memory happens to lie and how its hashes are seeded changes its cost by some per cent for as long as
it lives. Short slices close together, so that what the machine does meanwhile is done to all cells alike; mirrored, so that a drift within the round
cancels. A slice waits for the replies to all that it asked: the next cell has the core to itself, and no long wait is lost at its end.
Of each cell's slices in a round the middle half is taken: a round gives one figure a cell, and figures of the same round are compared.
Latencies are those of all slices.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lasthop.compare.cost import Machine, calls_during, counters, foreign_share
from lasthop.compare.plan import LEAST_ROUNDS, STRETCH, Plan, hushed
from lasthop.compare.processes import pinned
from lasthop.compare.results import Cost, Counts, Measured, Results, Round, Slice, merge
from lasthop.compare.stand import Stand, Standing, disagreements, request_of
from lasthop.compare.statistics import midmean
from lasthop.engine import load as engine_load

ROUND_SECONDS = 0.4
"""How long a cell is measured in a round, all its slices together; longer where starting takes longer than measuring."""
MOST_ROUND_SECONDS = 1.6
SHORTEST_SLICE, LONGEST_SLICE = 0.02, 2.0
TURNS = 2
"""How often every connection is to have its turn in a slice; once more in the warm-up."""
PATIENCE, LEAST_PATIENCE = 4, 10.0
"""A round in which replies take ever longer is over after so many times the time that it should take, or so many seconds."""
TIME_OUTS = ("timed_out", "connect_timed_out")
PLANNED = 20
"""How many requests of an open loop are to be due in a slice."""
PROBE_SECONDS = 0.1
COUNTED_REQUESTS = 2000
"""For how many requests system calls are counted."""


@dataclass(frozen=True)
class Pace:
    """How long the slices of a round are, and how often it goes through its order and back."""

    slice_seconds: float
    warm_seconds: float
    passes: int

    @property
    def cell_seconds(self) -> float:
        """What a round takes for each cell."""
        return 2 * self.passes * (self.slice_seconds + self.warm_seconds)

    @classmethod
    def of(cls, plan: Plan, reply_seconds: float, starting: float = 0.0) -> Pace:
        """The shortest slices in which a reply of this time can still be measured; more of them where starting takes long."""
        rates = [cell.rate for cell in plan.cells.values() if cell.rate]
        several = PLANNED / min(rates) if rates else 0.0
        length = plan.slice_seconds or round(
            min(LONGEST_SLICE, max(SHORTEST_SLICE, TURNS * reply_seconds, several)), 3
        )
        warm = max(plan.warm_seconds, length / TURNS) if not plan.slice_seconds else plan.warm_seconds
        whole = min(MOST_ROUND_SECONDS, max(ROUND_SECONDS, starting / max(1, len(plan.cells))))
        return cls(length, warm, max(1, round(whole / (2 * length))))


@dataclass
class _Sum:
    """Slices of one cell in one round, added up."""

    slices: list[Slice] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    latencies: list[Counts] = field(default_factory=list)
    latency_max_ns: int = 0
    server_ticks: list[int] = field(default_factory=lambda: [0, 0])
    """User and kernel, of the slices with their warm-up."""
    front_ticks: list[int] = field(default_factory=lambda: [0, 0])
    server_switches: float = 0.0
    front_switches: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    planned: int = 0
    load_ns: int = 0
    foreign: float = 0.0
    stolen: float = 0.0

    @property
    def seconds(self) -> float:
        return math.fsum(each.seconds for each in self.slices)

    @property
    def requests(self) -> int:
        return sum(each.requests for each in self.slices)


class Load(Protocol):
    """What is asked of the engine's load, which is compiled: its types are not to be read."""

    def run(
        self,
        seconds: float,
        *,
        warmup: float = 0.0,
        requests: int = 0,
        pids: Sequence[int] = (),
        waits: bool = False,
    ) -> dict[str, Any]:
        """Ask until the time is up or the requests are made; what happened meanwhile."""


_make_load: Callable[..., Load] = engine_load.Load


def load_of(standing: Standing, plan: Plan) -> Load:
    """The load for a cell: it keeps its own connections to a front in any case, since what differs is the hop."""
    cell = standing.cell
    keeps = cell.keep_alive or standing.front is not None
    return _make_load(
        standing.address,
        [request_of(plan, cell).text(keep_alive=keeps)],
        connections=cell.connections,
        keep_alive=keeps,
        rate=cell.rate,
        is_head=plan.request.method == "HEAD",
        reply_timeout=plan.reply_seconds,
        seed=plan.seed,
    )


def measure(stand: Stand, standing: Standing, plan: Plan, pace: Pace, total: _Sum) -> None:
    """One slice of one cell, added to what the round has of it."""
    server_pids, front_pids = standing.pids()
    before = counters(server_pids), counters(front_pids), Machine.now(), time.process_time()
    began = time.monotonic()
    with pinned(stand.cores.load):
        told = load_of(standing, plan).run(
            pace.slice_seconds, warmup=pace.warm_seconds, pids=[*server_pids, *front_pids], waits=True
        )
    took = time.monotonic() - began
    after = counters(server_pids), counters(front_pids), Machine.now(), time.process_time()
    within = told["seconds"] / took  # of what was used before and after the window too
    counted = told["requests"] / max(1, told["begun"])  # of what the counters saw
    used = told["pids"]
    server_ns = sum(max(0, used.get(pid, 0)) for pid in server_pids)
    front_ns = sum(max(0, used.get(pid, 0)) for pid in front_pids)
    if any(used.get(pid, 0) < 0 for pid in (*server_pids, *front_pids)):
        total.errors["process_ended"] = total.errors.get("process_ended", 0) + 1
    total.slices.append(Slice(told["seconds"], told["requests"], server_ns, front_ns))
    for status, count in told["statuses"].items():
        total.statuses[str(status)] = total.statuses.get(str(status), 0) + count
    for kind, count in told["errors"].items():
        if count:
            total.errors[kind] = total.errors.get(kind, 0) + count
    total.latencies.append(told["latency"]["counts"])
    total.latency_max_ns = max(total.latency_max_ns, told["latency"]["max_ns"], told["pending_max_ns"])
    for ticks, old, new in (
        (total.server_ticks, before[0], after[0]),
        (total.front_ticks, before[1], after[1]),
    ):
        ticks[0] += new.user_ticks - old.user_ticks
        ticks[1] += new.kernel_ticks - old.kernel_ticks
    total.server_switches += (after[0].switches - before[0].switches) * counted
    total.front_switches += (after[1].switches - before[1].switches) * counted
    total.bytes_in += told["bytes_in"]
    total.bytes_out += told["bytes_out"]
    total.planned += told.get("planned", 0)
    total.load_ns += told["busy_ns"]
    own = (server_ns + front_ns) / 1e9 / max(within, 0.01) + after[3] - before[3]
    foreign, stolen = foreign_share(before[2], after[2], own, took)
    total.foreign += foreign * told["seconds"]
    total.stolen += stolen * told["seconds"]


def _cost(
    used: Sequence[tuple[int, int]], ticks: list[int], switches: float, requests: int, calls: float | None
) -> Cost:
    """Of one side, from what each slice used (ns) for how many requests."""
    cpu_us = midmean([ns / 1000 / count for ns, count in used if count])
    counted = sum(ticks)
    return Cost(cpu_us, cpu_us * ticks[1] / counted if counted else None, switches / requests, calls)


def _measured(total: _Sum, standing: Standing, calls: tuple[float | None, float | None]) -> Measured:
    requests = max(1, total.requests)
    return Measured(
        seconds=total.seconds,
        requests=total.requests,
        statuses=total.statuses,
        errors=total.errors,
        latency=merge(total.latencies),
        latency_max_ns=total.latency_max_ns,
        server=_cost(
            [(each.server_ns, each.requests) for each in total.slices],
            total.server_ticks, total.server_switches, requests, calls[0],
        ),
        front=_cost(
            [(each.front_ns, each.requests) for each in total.slices],
            total.front_ticks, total.front_switches, requests, calls[1],
        )
        if standing.front is not None
        else None,
        bytes_in=total.bytes_in,
        bytes_out=total.bytes_out,
        load_busy=total.load_ns / 1e9 / total.seconds if total.seconds else 0.0,
        foreign=total.foreign / total.seconds if total.seconds else 0.0,
        stolen=total.stolen / total.seconds if total.seconds else 0.0,
        planned=total.planned,
        slices=total.slices,
    )  # fmt: skip


def count_calls(standing: Standing, plan: Plan) -> tuple[float | None, float | None]:
    """System calls a request of the server and of the front."""

    def work() -> int:
        told = load_of(standing, plan).run(plan.reply_seconds, requests=COUNTED_REQUESTS)
        return int(told["requests"])

    server_pids, front_pids = standing.pids()
    return calls_during(server_pids, work), calls_during(front_pids, work) if front_pids else None


def one_round(
    stand: Stand,
    plan: Plan,
    number: int,
    pace: Pace | None,
    chance: random.Random,
    tell: Callable[[str], None],
    beside: Callable[[dict[str, Standing]], None] | None = None,
) -> tuple[Round, float, Pace]:
    """Measure every cell; `beside` is called with what stands when all is measured. Without a pace, see which one fits.

    Gives the seconds that starting took, and the pace, too.
    """
    order = list(plan.cells)
    chance.shuffle(order)
    began = time.monotonic()
    with stand.up(plan.cells) as (standing, failures):
        starting = time.monotonic() - began
        for name, why in disagreements(standing).items():
            failures[name] = why
            del standing[name]
        totals = {name: _Sum() for name in order if name in standing}
        there = [name for name in order if name in standing]
        if pace is None:
            pace = Pace.of(plan, _reply_seconds(stand, plan, standing), starting)
        until = time.monotonic() + max(LEAST_PATIENCE, PATIENCE * len(there) * pace.cell_seconds)
        for _ in range(pace.passes):
            for name in (*there, *reversed(there)):
                if name in failures:
                    continue
                tell(name)
                measure(stand, standing[name], plan, pace, totals[name])
                late = sum(totals[name].errors.get(kind, 0) for kind in TIME_OUTS)
                if late:  # each further slice would wait as long
                    failures[name] = f"{late:,} requests had no reply within {plan.reply_seconds:g} s"
            if time.monotonic() > until:
                break
        there = [name for name in there if name not in failures]
        for name in list(there):
            if not standing[name].server.alive:
                failures[name] = f"the server ended in the middle:\n{standing[name].server.said()}"
                there.remove(name)
        calls: dict[str, tuple[float | None, float | None]] = {}
        if number == 1:
            tell("system calls")
            with pinned(stand.cores.load):
                calls = {name: count_calls(standing[name], plan) for name in there}
        cells = {
            name: _measured(totals[name], standing[name], calls.get(name, (None, None)))
            for name in plan.cells
            if name in there
        }
        if beside is not None:
            beside({name: standing[name] for name in plan.cells if name in there})
        told = {name: hushed(why, plan.request) for name, why in failures.items()}
        return Round(number, order, cells, told), starting, pace


def run(
    stand: Stand,
    plan: Plan,
    results: Results,
    tell: Callable[[str], None],
    after_round: Callable[[Round], None],
    beside_first: Callable[[dict[str, Standing]], None],
    answered: Callable[[], bool],
) -> None:
    """Rounds until the time is up, and for some time more while there are too few for an answer.

    `after_round` may save; `beside_first` is given what stands at the end of the first round.
    """
    chance = random.Random(plan.seed)  # noqa: S311 - an order, no secret
    began = time.monotonic()
    pace: Pace | None = None
    number = 0
    while True:
        number += 1
        at = time.monotonic()
        measured, starting, pace = one_round(
            stand, plan, number, pace, chance, tell, beside_first if number == 1 else None
        )
        results.slice_seconds = pace.slice_seconds
        results.environment["settings"] |= {"warm_seconds": pace.warm_seconds, "passes": pace.passes}
        results.rounds.append(measured)
        now = time.monotonic()
        # The first round has a probe, system calls and a burst besides.
        each = starting + len(plan.cells) * pace.cell_seconds if number == 1 else now - at
        more = int((plan.seconds - (now - began)) / max(each, 0.001))
        results.rounds_planned = max(number + more, LEAST_ROUNDS)
        if (
            number >= results.rounds_planned
            and now - began + each < STRETCH * plan.seconds
            and not answered()
        ):
            results.rounds_planned = number + 1
        if plan.most_rounds:
            results.rounds_planned = min(results.rounds_planned, plan.most_rounds)
        after_round(measured)
        if not measured.cells or number >= results.rounds_planned:
            return


def _reply_seconds(stand: Stand, plan: Plan, standing: dict[str, Standing]) -> float:
    """How long replies take under this load, in the slowest cell."""
    slowest = 0.0
    with pinned(stand.cores.load):
        for each in standing.values():
            told = load_of(each, plan).run(PROBE_SECONDS, warmup=PROBE_SECONDS)
            latency = told["latency"]
            mean = latency["sum_ns"] / latency["count"] / 1e9 if latency["count"] else LONGEST_SLICE
            slowest = max(slowest, mean)
    return slowest
