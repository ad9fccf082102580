"""Delays between starts."""

from lasthop.server.backoff import LONGEST_DELAY_SECONDS, Backoff


def test_the_first_quick_death_is_answered_at_once_the_next_ever_more_slowly() -> None:
    backoff = Backoff()
    assert [0.0, 0.1, 0.2, 0.4, 0.8] == [backoff.delay_after(0.5) for _ in range(5)]


def test_the_delay_has_an_end() -> None:
    backoff = Backoff()
    assert LONGEST_DELAY_SECONDS == [backoff.delay_after(0.0) for _ in range(1000)][-1]


def test_a_worker_that_lived_well_is_replaced_at_once_and_forgives_the_past() -> None:
    backoff = Backoff()
    delays = [backoff.delay_after(lived) for lived in (0.0, 0.0, 0.0, 60.0, 0.0, 0.0)]
    assert [0.0, 0.1, 0.2, 0.0, 0.0, 0.1] == delays
