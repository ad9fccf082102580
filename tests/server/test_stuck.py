"""Who is stuck, by a clock that the test turns."""

import socket

import pytest

from lasthop.server.child import Child, Stage
from lasthop.server.stuck import HELD_UP_SECONDS, RESTING_SECONDS, StuckWatch


@pytest.fixture
def child() -> Child:
    """A worker that became ready at 100 seconds."""
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    made = Child(1, 0, ours)
    made.stage = Stage.SERVING
    made.ready_at = 100.0
    return made


def looks(child: Child, turned: float, times: list[float], timeout: float = 5.0) -> list[float]:
    """At which of these times the worker is found stuck."""
    watch = StuckWatch(100.0)
    return [now for now in times if watch.stuck([child], lambda _: turned, timeout, now)]


def seconds(start: int, end: int) -> list[float]:
    return [float(each) for each in range(start, end)]


def test_a_worker_that_has_not_turned_for_longer_than_the_timeout_is_stuck(child: Child) -> None:
    assert [102.0 + 5 + RESTING_SECONDS + 1] == looks(child, 102.0, seconds(100, 111))


def test_a_worker_that_has_never_turned_counts_from_when_it_was_ready(child: Child) -> None:
    assert [106.0, 107.0] == looks(child, 0.0, seconds(100, 108))


def test_0_means_never(child: Child) -> None:
    assert [] == looks(child, 0.0, seconds(100, 1000), timeout=0.0)


@pytest.mark.parametrize("stage", [Stage.BOOTING, Stage.LEAVING, Stage.STUCK])
def test_only_those_that_serve_can_be_stuck(child: Child, stage: Stage) -> None:
    child.stage = stage
    assert [] == looks(child, 0.0, seconds(100, 200))


def test_nobody_is_blamed_when_the_supervisor_did_not_run_either(child: Child) -> None:
    frozen = 101.0 + HELD_UP_SECONDS + 3600
    assert [frozen + 6] == looks(child, 101.0, [101.0, *(frozen + each for each in range(7))])
