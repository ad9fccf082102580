"""kill -9 of a worker every second under load: whoever was with that worker loses a connection, nobody gets a wrong reply, and others come."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.conftest import Serve

from .load import Load
from .watching import until, workers

KILLS = 6


@pytest.mark.parametrize("threads", ["1", "16"])
def test_only_requests_in_flight_at_a_killed_worker_fail(serve: Serve, threads: str) -> None:
    server = serve("applications.pages:application", "--workers", "4", "--threads", threads)
    assert 4 == len(workers(server.pid))
    killed: list[int] = []
    with Load([server.unix, server.tcp], connections=8, moment=lambda: len(killed), fresh_after=50) as load:
        for _ in range(KILLS):
            until(lambda: len(workers(server.pid)) == 4, "there are four workers")
            before = load.replies
            until(lambda before=before: load.replies > before + 100, "there is load")  # type: ignore[misc]
            victim = random.choice(workers(server.pid))
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)
            time.sleep(1)  # "every second"
    assert [] == load.wrong
    for failure in load.failures:
        # Each failed on a connection to a killed worker; where the worker had not answered yet, a kill fell into the request.
        if failure.worker is None:
            assert failure.began < failure.ended, failure
        else:
            assert failure.worker in killed, failure
    assert len(load.failures) <= KILLS * load.connections
    until(lambda: len(workers(server.pid)) == 4, "there are four workers in the end")
    assert set() == set(workers(server.pid)) & set(killed)
    with Load([server.unix, server.tcp], connections=8, fresh_after=2) as after:
        until(lambda: set(workers(server.pid)) <= after.workers, "all four serve")
    assert ([], []) == (after.wrong, after.failures)
    said = server.said()
    assert all(f"{pid}" in said for pid in killed)
