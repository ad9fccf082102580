"""A worker as the supervisor sees it: what it is sent, and when it would be killed."""

import faulthandler
import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from lasthop.server.child import Child, Stage


@pytest.fixture
def process() -> Iterator[tuple[Child, socket.socket]]:
    """A child that is a real process and waits, and the other end of its channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = Child(1, 0, ours)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child.pid = os.fork()
    if child.pid == 0:
        wait_to_be_ended()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with ours, theirs:
        yield child, theirs
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)


def wait_to_be_ended() -> None:
    """As a process without a handler of its own, and without pytest's fault handler."""
    faulthandler.disable()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    time.sleep(60)
    os._exit(0)


def ended_by(child: Child) -> int:
    """The signal that ended a child; the fixture's own kill and wait get another process to end."""
    assert child.pid is not None
    _, status = os.waitpid(child.pid, 0)
    child.pid = os.fork()
    if child.pid == 0:
        wait_to_be_ended()
    return -os.waitstatus_to_exitcode(status)


def test_a_serving_worker_is_drained_by_a_message(process: tuple[Child, socket.socket]) -> None:
    child, channel = process
    child.became_ready(56)
    child.drain(1.5, 30)
    assert (b"drain 1.500000", Stage.LEAVING) == (channel.recv(100), child.stage)
    assert child.kill_at is not None
    assert 29 < child.kill_at - time.monotonic() <= 30


def test_a_booting_worker_is_drained_by_a_signal(process: tuple[Child, socket.socket]) -> None:
    child, _ = process
    child.drain(1.5, 30)
    assert signal.SIGTERM == ended_by(child)


def test_a_worker_that_is_stopped_gets_a_signal(process: tuple[Child, socket.socket]) -> None:
    child, _ = process
    child.stop(2)
    assert Stage.LEAVING == child.stage
    assert signal.SIGINT == ended_by(child)


def test_a_stuck_worker_is_aborted_and_left_alone_after_that(process: tuple[Child, socket.socket]) -> None:
    child, channel = process
    child.became_ready(56)
    child.abort(2)
    child.drain(1, 30)
    child.stop(1)
    assert Stage.STUCK == child.stage
    channel.setblocking(False)
    with pytest.raises(BlockingIOError):
        channel.recv(100)
    assert signal.SIGABRT == ended_by(child)


def test_a_deadline_only_comes_nearer(process: tuple[Child, socket.socket]) -> None:
    child, _ = process
    child.became_ready(56)
    child.drain(30, 31)
    child.drain(1, 5)
    assert child.kill_at is not None
    assert child.kill_at - time.monotonic() <= 5
    nearest = child.kill_at
    child.drain(1, 60)
    assert nearest == child.kill_at


def test_only_those_that_come_or_serve_count(process: tuple[Child, socket.socket]) -> None:
    child, _ = process
    counted = []
    for stage in Stage:
        child.stage = stage
        if child.counts:
            counted.append(stage)
    assert [Stage.BOOTING, Stage.SERVING] == counted


def test_a_worker_that_is_to_leave_stays_so_when_it_gets_ready(process: tuple[Child, socket.socket]) -> None:
    child, _ = process
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
