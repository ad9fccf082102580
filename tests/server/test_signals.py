"""Signals in a pipe."""

import os
import select
import signal

from lasthop.server.signals import EVERY, Signals, hold, release


def in_a_process(code: str) -> int:
    """Handlers belong to the whole process: run in one of its own; the exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            exec(
                code,
                {
                    "os": os,
                    "signal": signal,
                    "select": select,
                    "Signals": Signals,
                    "hold": hold,
                    "release": release,
                },
            )
        except BaseException:  # noqa: BLE001 - whatever it is, the code tells
            os._exit(99)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


IN_ORDER = """
s = Signals([signal.SIGTERM, signal.SIGHUP])
os.kill(os.getpid(), signal.SIGHUP)
os.kill(os.getpid(), signal.SIGTERM)
assert [signal.SIGHUP, signal.SIGTERM] == s.take()
assert [] == s.take()
"""

WAKES = """
s = Signals([signal.SIGALRM])
signal.setitimer(signal.ITIMER_REAL, 0.01)
assert [s] == select.select([s], [], [], 20)[0]
assert [signal.SIGALRM] == s.take()
"""

HELD = """
s = Signals([signal.SIGTERM])
hold()
os.kill(os.getpid(), signal.SIGTERM)
assert [] == s.take()
release()
assert [signal.SIGTERM] == s.take()
"""

FORKED = """
s = Signals([signal.SIGTERM])
hold()
pid = os.fork()
if pid == 0:
    s.close()
    release()
    os.kill(os.getpid(), signal.SIGTERM)
release()
assert -15 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert [] == s.take()
"""


BY_HANDLER = """
other = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(other[1])
s = Signals([signal.SIGTERM, signal.SIGHUP], wakeup_fd_is_taken=True)
os.kill(os.getpid(), signal.SIGHUP)
os.kill(os.getpid(), signal.SIGTERM)
assert [signal.SIGHUP, signal.SIGTERM] == s.take()
assert bytes([signal.SIGHUP, signal.SIGTERM]) == os.read(other[0], 10)
"""


def test_a_wakeup_descriptor_of_somebody_else_is_left_alone() -> None:
    assert 0 == in_a_process(BY_HANDLER)


def test_signals_come_in_their_order() -> None:
    assert 0 == in_a_process(IN_ORDER)


def test_a_signal_wakes_whoever_waits() -> None:
    assert 0 == in_a_process(WAKES)


def test_what_is_held_comes_when_it_is_let_through() -> None:
    assert 0 == in_a_process(HELD)


def test_a_fork_does_not_write_into_its_parents_pipe() -> None:
    assert 0 == in_a_process(FORKED)


def test_after_closing_a_signal_means_what_it_meant() -> None:
    assert -signal.SIGTERM == in_a_process(
        "Signals([signal.SIGTERM]).close(); os.kill(os.getpid(), signal.SIGTERM)"
    )


def test_after_the_end_a_signal_may_mean_nothing() -> None:
    assert 0 == in_a_process(
        "s = Signals([signal.SIGTERM]); s.close(); s.ignore(); os.kill(os.getpid(), signal.SIGTERM)"
    )


def test_at_the_end_who_asks_for_it_gets_it_with_its_exit_code_and_nothing_else_ends_it() -> None:
    closed = "Signals([signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD]).close(7)"
    assert 7 == in_a_process(f"{closed}; os.kill(os.getpid(), signal.SIGTERM)")
    for other in ("SIGHUP", "SIGCHLD"):
        assert 0 == in_a_process(f"{closed}; os.kill(os.getpid(), signal.{other})")


def test_faults_are_never_held() -> None:
    assert not EVERY & {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}


def test_a_signal_of_the_applications_own_is_not_heard() -> None:
    signals = Signals([signal.SIGUSR1])
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.raise_signal(signal.SIGALRM)
        signal.raise_signal(signal.SIGUSR1)
        assert [signal.SIGUSR1] == signals.take()
    finally:
        signal.signal(signal.SIGALRM, before)
        signals.close()
