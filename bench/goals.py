"""What lasthop must reach, as data: each goal is computed from a run's results, its verdict too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.interpreters import NEWEST, OLDEST
from bench.results import Results, Spread

ONE, SIXTEEN = "lasthop-1", "lasthop-16"
ASYNCIO, UVICORN = "lasthop-asyncio", "uvicorn"
FLOOR, BJOERN, GRANIAN, GTHREAD = "floor", "bjoern", "granian-16", "gunicorn-gthread-16"
OWN = ("lasthop-", FLOOR)
"""Names that begin so are no peers."""

Measured = Callable[[Results], Spread | None]


@dataclass(frozen=True)
class Goal:
    """A bound on one figure or ratio."""

    words: str
    limit: float
    measured: Measured
    at_most: bool = True
    digits: int = 2

    def verdict(self, found: Spread | None) -> str:
        """``met``, ``missed``, or ``not measured``; and whether single rounds say otherwise."""
        if found is None:
            return "not measured"
        met = self._holds(found.median)
        crossed = self._holds(found.low) != self._holds(found.high)
        return ("met" if met else "missed") + (", rounds differ" if crossed else "")

    def _holds(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


def _ratio(case: str, server: str, figure: str, base: str) -> Measured:
    return lambda results: results.ratio(case, server, figure, base)


def _worst_ms(case: str, server: str) -> Measured:
    """The worst of all rounds, not the median of the rounds' worst."""

    def measured(results: Results) -> Spread | None:
        found = results.spread(case, server, "worst_us")
        return found and Spread(found.high / 1000, found.high / 1000, found.high / 1000, found.rounds)

    return measured


def _share_of(case: str, server: str, figure: str, whole: float) -> Measured:
    return lambda results: Spread.over(
        value / whole for value in results.by_round(case, server, figure).values()
    )


def _over_best_peer(case: str, server: str, figure: str) -> Measured:
    """Over the largest value that any peer had in the same round."""

    def measured(results: Results) -> Spread | None:
        own = results.by_round(case, server, figure)
        peers = [
            results.by_round(case, name, figure) for name in results.servers(case) if not name.startswith(OWN)
        ]
        best = {
            number: max((peer[number] for peer in peers if number in peer), default=0.0) for number in own
        }
        return Spread.over(own[number] / best[number] for number in own if best[number])

    return measured


def _link_over_link(server: str, figure: str, above: str, below: str) -> Measured:
    def measured(results: Results) -> Spread | None:
        first, second = results.by_round(above, server, figure), results.by_round(below, server, figure)
        return Spread.over(first[number] / second[number] for number in first if second.get(number))

    return measured


def _frameworks() -> Iterable[Goal]:
    for case in ("falcon", "flask", "django"):
        yield Goal(f"{case}, 16 threads: CPU over granian's", 0.9, _ratio(case, SIXTEEN, "cpu_us", GRANIAN))
        yield Goal(f"{case}, 16 threads: CPU over gthread's", 0.45, _ratio(case, SIXTEEN, "cpu_us", GTHREAD))
        for figure, name in (("p99_us", "p99"), ("worst_us", "worst reply")):
            for peer, owner in ((GRANIAN, "granian's"), (GTHREAD, "gthread's")):
                yield Goal(
                    f"{case}, 16 threads: {name} over {owner}", 1.0, _ratio(case, SIXTEEN, figure, peer)
                )


def _bodies() -> Iterable[Goal]:
    for link in ("unix", "tcp"):
        measured = _over_best_peer(f"body-1m-{link}", SIXTEEN, "gib_per_second")
        yield Goal(
            f"1 MiB replies over {link}, 16 threads: GiB/s over the best peer's", 1.0, measured, at_most=False
        )
    measured = _link_over_link(SIXTEEN, "gib_per_second", "body-1m-unix", "body-1m-tcp")
    yield Goal("1 MiB replies, 16 threads: GiB/s over unix over GiB/s over tcp", 1.0, measured, at_most=False)


def _idle() -> Iterable[Goal]:
    def added(server: str) -> Measured:
        return lambda results: results.ratio("idle-unix", server, "cpu_us", server, "cpu_us_without")

    def each(server: str) -> Measured:
        return lambda results: results.spread("idle-unix", server, "idle_bytes")

    for server, threads in ((ONE, "1 thread"), (SIXTEEN, "16 threads")):
        yield Goal(f"an idle connection, {threads}: bytes in the worker", 600, each(server), digits=0)
        yield Goal(f"5,000 idle connections, {threads}: CPU over that with none", 1.1, added(server))


def _asgi() -> Iterable[Goal]:
    """On the standard loop, which is the default; "py311" is Python 3.11, the other the newest."""
    own = f"asgi-hello-unix-{NEWEST}"
    yield Goal("ASGI, newest Python: CPU over the floor's", 2.2, _ratio(own, ASYNCIO, "cpu_us", FLOOR))
    for python, words, hello in ((NEWEST, "newest Python", 0.33), (OLDEST, "Python 3.11", 0.4)):

        def ratio(case: str, python: str = python) -> Measured:
            return _ratio(f"{case}-{python}", ASYNCIO, "cpu_us", UVICORN)

        def each(case: str, figure: str, python: str = python) -> Measured:
            return lambda results: results.spread(f"{case}-{python}", ASYNCIO, figure)

        yield Goal(f"ASGI, {words}: CPU over uvicorn's", hello, ratio("asgi-hello-unix"))
        yield Goal(f"Starlette, {words}: CPU over uvicorn's", 0.6, ratio("asgi-starlette"))
        yield Goal(f"a WebSocket's message, {words}: CPU over uvicorn's", 0.7, ratio("asgi-websocket"))
        yield Goal(
            f"an idle WebSocket, {words}: bytes in the worker",
            4096,
            each("asgi-idle-websocket", "websocket_bytes"),
            digits=0,
        )
        yield Goal(
            f"an idle connection, ASGI, {words}: bytes in the worker",
            600,
            each("asgi-idle", "idle_bytes"),
            digits=0,
        )


GOALS: tuple[Goal, ...] = (
    Goal("hello, 1 thread: CPU over the floor's", 1.35, _ratio("hello-unix", ONE, "cpu_us", FLOOR)),
    Goal("hello, 1 thread: CPU over bjoern's", 0.7, _ratio("hello-unix", ONE, "cpu_us", BJOERN)),
    Goal("hello, 16 threads: CPU over the floor's", 1.55, _ratio("hello-unix", SIXTEEN, "cpu_us", FLOOR)),
    Goal("hello, 16 threads: CPU over granian's", 0.4, _ratio("hello-unix", SIXTEEN, "cpu_us", GRANIAN)),
    Goal(
        "hello, 16 threads: CPU over gthread's",
        0.04,
        _ratio("hello-unix", SIXTEEN, "cpu_us", GTHREAD),
        digits=3,
    ),
    Goal("hello, 16 threads: worst reply of all rounds, ms", 10, _worst_ms("hello-unix", SIXTEEN), digits=1),
    Goal(
        "sleep 1 ms, 16 threads: share of 16,000 requests/s",
        0.85,
        _share_of("sleep", SIXTEEN, "requests_per_second", 16_000),
        at_most=False,
    ),
    Goal("sleep 1 ms, 16 threads: CPU over granian's", 0.5, _ratio("sleep", SIXTEEN, "cpu_us", GRANIAN)),
    Goal(
        "20 ms in one of ten, 16 threads: p99 of the others over granian's",
        1.0,
        _ratio("compute", SIXTEEN, "p99_us", GRANIAN),
    ),
    Goal(
        "a connection a request, 1 thread: CPU over the floor's",
        1.4,
        _ratio("close-unix", ONE, "cpu_us", FLOOR),
    ),
    Goal(
        "a connection a request, 16 threads: CPU over the floor's",
        1.4,
        _ratio("close-unix", SIXTEEN, "cpu_us", FLOOR),
    ),
    Goal(
        "first reply, 16 threads: time over granian's",
        1.0,
        _ratio("start", SIXTEEN, "first_reply_ms", GRANIAN),
    ),
    *_idle(),
    *_frameworks(),
    *_bodies(),
    *_asgi(),
)
