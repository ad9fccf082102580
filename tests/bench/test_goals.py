"""The goals and their verdicts."""

import pytest

from bench.cases import CASES
from bench.goals import GOALS, Goal
from bench.results import Record, Results, Spread


def nothing(_results: Results) -> Spread | None:
    return None


@pytest.mark.parametrize(
    ("values", "at_most", "verdict"),
    [
        ([1.0, 1.2, 1.3], True, "met"),
        ([1.35], True, "met"),
        ([1.0, 1.2, 1.4], True, "met, rounds differ"),
        ([1.2, 1.4, 1.5], True, "missed, rounds differ"),
        ([1.4, 1.5], True, "missed"),
        ([1.4, 1.5], False, "met"),
        ([1.0, 1.1], False, "missed"),
        ([], True, "not measured"),
    ],
)
def test_a_verdict_comes_from_the_median_and_says_when_single_rounds_differ(
    values: list[float], at_most: bool, verdict: str
) -> None:
    assert verdict == Goal("a figure", 1.35, nothing, at_most).verdict(Spread.over(values))


def every_case() -> Results:
    """All cases with all of their servers, each figure 100 but for some of lasthop's."""
    ours = {
        "cpu_us": 3.0,
        "requests_per_second": 14_400.0,
        "gib_per_second": 110.0,
        "idle_bytes": 512.0,
        "websocket_bytes": 3000.0,
        "worst_us": 4000.0,
    }
    names = ("cpu_us_without", "first_reply_ms", "p99_us", *ours)
    return Results(
        {},
        [
            Record(
                case.name,
                server,
                number,
                dict.fromkeys(names, 100.0) | (ours if server.startswith("lasthop") else {}),
            )
            for case in CASES.values()
            for server in case.servers
            for number in (1, 2)
        ],
    )


def test_every_goal_is_measured_by_the_cases() -> None:
    found = every_case()
    assert [goal.words for goal in GOALS if goal.measured(found) is None] == []


def test_no_goal_is_measured_without_results() -> None:
    assert {"not measured"} == {goal.verdict(goal.measured(Results({}))) for goal in GOALS}


def test_figures_in_the_goals_are_computed_from_the_results() -> None:
    found = every_case()
    measured = {goal.words: (goal.measured(found) or Spread(0, 0, 0, 0)).median for goal in GOALS}
    assert measured["hello, 1 thread: CPU over the floor's"] == 0.03
    assert measured["hello, 16 threads: worst reply of all rounds, ms"] == 4.0
    assert measured["sleep 1 ms, 16 threads: share of 16,000 requests/s"] == 0.9
    assert measured["1 MiB replies over unix, 16 threads: GiB/s over the best peer's"] == 1.1
    assert measured["an idle connection, 16 threads: bytes in the worker"] == 512
    assert measured["ASGI, newest Python: CPU over uvicorn's"] == 0.03
    assert measured["an idle WebSocket, Python 3.11: bytes in the worker"] == 3000


def test_the_worst_reply_is_that_of_all_rounds() -> None:
    found = Results(
        {},
        [
            Record("hello-unix", "lasthop-16", n, {"worst_us": us})
            for n, us in enumerate([900.0, 11_000.0, 800.0])
        ],
    )
    goal = next(goal for goal in GOALS if "worst reply of all rounds" in goal.words)
    assert Spread(11.0, 11.0, 11.0, 3) == goal.measured(found)
    assert goal.verdict(goal.measured(found)) == "missed"
