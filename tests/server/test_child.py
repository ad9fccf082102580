"""A worker as the supervisor sees it: what it is sent, and when it would be killed."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from lasthop.server.child import Child, Stage

Process = tuple[Child, socket.socket, "subprocess.Popen[bytes]"]


@pytest.fixture
def process() -> Iterator[Process]:
    """A child that is a real process and waits, the other end of its channel, and the process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = Child(1, 0, ours)
    with ours, theirs, subprocess.Popen(["sleep", "60"]) as sleeping:
        child.pid = sleeping.pid
        yield child, theirs, sleeping
        sleeping.kill()


def test_a_serving_worker_is_drained_by_a_message(process: Process) -> None:
    child, channel, _ = process
    child.became_ready(56)
    child.drain(1.5, 30)
    assert (b"drain 1.500000", Stage.LEAVING) == (channel.recv(100), child.stage)
    assert child.kill_at is not None
    assert 29 < child.kill_at - time.monotonic() <= 30


def test_a_booting_worker_is_drained_by_a_signal(process: Process) -> None:
    child, _, sleeping = process
    child.drain(1.5, 30)
    assert -signal.SIGTERM == sleeping.wait(20)


def test_a_worker_that_is_stopped_gets_a_signal(process: Process) -> None:
    child, _, sleeping = process
    child.stop(2)
    assert Stage.LEAVING == child.stage
    assert -signal.SIGINT == sleeping.wait(20)


def test_a_stuck_worker_is_aborted_and_left_alone_after_that(process: Process) -> None:
    child, channel, sleeping = process
    child.became_ready(56)
    child.abort(2)
    child.drain(1, 30)
    child.stop(1)
    assert Stage.STUCK == child.stage
    channel.setblocking(False)
    with pytest.raises(BlockingIOError):
        channel.recv(100)
    assert -signal.SIGABRT == sleeping.wait(20)


def test_a_deadline_only_comes_nearer(process: Process) -> None:
    child, _, _ = process
    child.became_ready(56)
    child.drain(30, 31)
    child.drain(1, 5)
    assert child.kill_at is not None
    assert child.kill_at - time.monotonic() <= 5
    nearest = child.kill_at
    child.drain(1, 60)
    assert nearest == child.kill_at


def test_only_those_that_come_or_serve_count(process: Process) -> None:
    child, _, _ = process
    counted = []
    for stage in Stage:
        child.stage = stage
        if child.counts:
            counted.append(stage)
    assert [Stage.BOOTING, Stage.SERVING] == counted


def test_a_worker_that_is_to_leave_stays_so_when_it_gets_ready(process: Process) -> None:
    child, _, _ = process
    child.drain(1, 30)
    child.became_ready(56)
    assert Stage.LEAVING == child.stage


def test_a_process_that_is_gone_or_unknown_can_be_signalled() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = Child(1, 0, ours)
        child.signal(signal.SIGTERM)
        child.pid = os.fork()
        if child.pid == 0:
            os._exit(0)
        os.waitpid(child.pid, 0)
        child.signal(signal.SIGTERM)
