"""When a queue is worth a warning, and when what was warned of is over. The clock is whatever a test says."""

import pytest

from lasthop.link.queues import Depth
from lasthop.server.queuewatch import Queue


def looks(*depths: int, limit: int = 99, seconds: float = 1.0) -> list[str]:
    """What is said at each of these looks."""
    queue, said = Queue(unix=True), []
    for at, waiting in enumerate(depths):
        queue.note(Depth(waiting, limit), at * seconds)
        said.append("warn" if queue.worth_a_warning(at * seconds) else "over" if queue.is_over() else "")
    return said


@pytest.mark.parametrize(
    ("depths", "said"),
    [
        ([0, 49, 1], ["", "", ""]),  # less than half is no news
        ([50, 60, 99, 100], ["warn", "", "", "warn"]),  # twice as deep, which here is full
        ([60, 100, 100], ["warn", "warn", ""]),  # full is news whatever it was before
        ([100, 99, 100], ["warn", "", ""]),
        ([50, 30, 25, 24, 0], ["warn", "", "", "over", ""]),
        ([50, 0, 50, 0, 50], ["warn", "over", "", "", ""]),  # no more than once a minute
        ([0, 100, 0, 100], ["", "warn", "over", ""]),
    ],
)
def test_what_is_said(depths: list[int], said: list[str]) -> None:
    assert said == looks(*depths)


def test_what_goes_on_is_said_again_after_a_minute() -> None:
    assert ["warn", "", "warn", "", "warn"] == looks(60, 60, 60, 60, 60, seconds=30.0)


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_one_that_waits_is_no_news_in_the_shortest_queue(limit: int) -> None:
    assert ["", "warn" if limit < 3 else ""] == looks(1, 2, limit=limit)


def test_what_was_seen_is_remembered() -> None:
    queue = Queue(unix=True)
    for at, waiting in enumerate([3, 6, 6, 6, 2, 6, 0]):
        queue.note(Depth(waiting, 5), float(at))
    assert (6, 2, 2.0) == (queue.deepest, queue.times_full, queue.seconds_full)
    assert queue.deepest_at > 1.7e9
