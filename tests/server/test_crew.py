"""The processes of a server: how an end is told, and that nobody is left behind."""

import os
import signal
from pathlib import Path

import pytest

from lasthop.server.crew import how_it_ended

from .conftest import Start, is_there, until


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, "ended with code 0"),
        (3 << 8, "ended with code 3"),
        (signal.SIGSEGV, "was ended by SIGSEGV"),
        (signal.SIGKILL, "was ended by SIGKILL, perhaps by the kernel for want of memory"),
    ],
)
def test_an_end_in_words(status: int, expected: str) -> None:
    assert expected == how_it_ended(status)


@pytest.mark.parametrize("preload", [False, True])
def test_nobody_outlives_a_supervisor_that_was_killed(start: Start, preload: bool) -> None:
    server = start(workers=2, preload=preload)
    children = server.workers()
    assert 2 + preload == len(children)
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not any(is_there(pid) for pid in children))


def test_a_worker_holds_no_descriptor_of_another(start: Start) -> None:
    server = start(workers=3)
    until(lambda: len(server.workers()) == 3)
    # Channels are socket pairs, of which a worker has its own end and nobody else's.
    for pid in server.workers():
        sockets = [each for each in descriptors(pid) if each.startswith("socket:")]
        assert 2 == len(sockets), sockets  # its listener and its channel


def descriptors(pid: int) -> list[str]:
    return [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
