"""Signals as bytes in a pipe: handlers only queue, whoever runs a loop reads and acts.

The interpreter's C handler writes the number of the signal to the pipe (``signal.set_wakeup_fd``) whatever the main thread is
doing at that moment, and the Python handler does nothing. There is one such descriptor in a process, and an engine that serves
in the main thread needs it for its own wait; then the Python handler writes, as soon as the engine lets it run.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
from collections.abc import Iterable, Iterator
from types import FrameType

EVERY = frozenset(signal.valid_signals()) - {
    signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT
}  # fmt: skip
"""What is held around a fork and in serving threads. A fault that is held kills without its traceback, so faults are not."""

ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
"""By which a process is asked for its end."""


class Signals:
    """Listens for some signals of this process, until closed."""

    def __init__(self, wanted: Iterable[signal.Signals], wakeup_fd_is_taken: bool = False) -> None:
        self._wanted = tuple(wanted)
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in self._wanted:
            signal.signal(number, self._write_it if wakeup_fd_is_taken else _queued)
            signal.siginterrupt(number, False)
        if not wakeup_fd_is_taken:
            signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def fileno(self) -> int:
        return self._read

    def take(self) -> list[signal.Signals]:
        """What came since the last time, in the order in which it came.

        The pipe gets the number of every signal that has a Python handler, the application's own among them: those are not ours.
        """
        try:
            numbers = os.read(self._read, 4096)
        except BlockingIOError:
            return []
        return [signal.Signals(number) for number in numbers if number in self._wanted]

    def close(self, code: int | None = None) -> None:
        """Stop listening: each signal does what it does by default.

        Where a process ends with an exit code, none does anything, but who asks for the end gets it at once, with that code.
        """
        signal.set_wakeup_fd(-1)
        for number in self._wanted:
            if code is None:
                signal.signal(number, signal.SIG_DFL)
            elif number in ENDING:
                signal.signal(number, lambda _number, _frame: os._exit(code))
            else:
                signal.signal(number, signal.SIG_IGN)
        for descriptor in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def ignore(self) -> None:
        """From now to the end: the interpreter takes handlers back at its own, and a signal would kill it, whatever its exit code was to be."""
        for number in self._wanted:
            signal.signal(number, signal.SIG_IGN)

    def _write_it(self, number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, bytes((number,)))


def _queued(number: int, frame: FrameType | None) -> None:
    """The pipe has it already."""


def hold() -> None:
    """Keep every signal waiting, around a fork: the child must not write into its parent's pipe."""
    signal.pthread_sigmask(signal.SIG_BLOCK, EVERY)


def release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, EVERY)


@contextlib.contextmanager
def ended_with(channel: socket.socket) -> Iterator[None]:
    """Within the block the end of a channel, or whatever comes on it, kills this process: for as long as it runs code that hears nothing.

    An application that hangs while it is imported would otherwise outlive a killed supervisor, and hold the listeners where nobody answers.
    The kernel does it (fcntl(2), F_SETSIG and O_ASYNC), so no thread is needed, and no handler of the application's is in the way.
    """
    flags = fcntl.fcntl(channel, fcntl.F_GETFL)
    fcntl.fcntl(channel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(channel, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(channel, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        looked = select.poll()
        looked.register(channel, select.POLLIN)
        if looked.poll(0):
            os.kill(os.getpid(), signal.SIGKILL)  # it had ended before
        yield
    finally:
        fcntl.fcntl(channel, fcntl.F_SETFL, flags)
