"""Where log lines go: one descriptor, one write for each line, reopened in place.

Each line leaves in one write(2) to a descriptor opened for appending, so lines of several workers never mix. To reopen, the new
file is put under the old number (dup2), so no thread ever sees a closed one.

Nobody may take what is logged: a pipe's reader hangs, a terminal was stopped with Ctrl-S. A worker waits, so that nothing is lost of what
an application says. A supervisor that waited would hear no signal any more: it waits a moment, then goes on without the line, and
says how many it left out as soon as it can.
"""

import io
import logging
import os
import select
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from lasthop.errors import LasthopError, LogFileError

PATIENCE_SECONDS = 1.0
"""How long a supervisor waits for a log that takes nothing, before it goes on without it."""


class Sink:
    """A log's destination: a path, or a descriptor that somebody else opened."""

    def __init__(self, name: str, standard: int) -> None:
        self.path = None if name == "-" else str(Path(name).absolute())
        self.descriptor = standard if self.path is None else self._open(self.path)
        self._fails = False
        self._is_torn = False
        """The last line has no end."""

    def write(self, line: str) -> None:
        """Write a line; a log that cannot be written to (a full disk) does not stop the server, and the error log says so once."""
        whole = ("\n" * self._is_torn + line).encode("utf-8", "backslashreplace")
        rest = memoryview(whole)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError as error:
            self._is_torn = self._is_torn or len(rest) < len(whole)
            if not self._fails:
                self._fails = True
                name = self.path or ("standard output" if self.descriptor == 1 else "this log")
                logging.getLogger("lasthop").error(
                    "lines of %s cannot be written, and are lost: %s", name, error.strerror
                )
            return
        self._fails = self._is_torn = False

    def takes(self, seconds: float) -> bool:
        """Whether a line can be written without waiting, now or within some time; a file always takes one."""
        room = select.poll()
        room.register(self.descriptor, select.POLLOUT)
        return bool(room.poll(1000 * seconds))

    def reopen(self) -> None:
        """Go on in the file that now has the name: the old one was moved away."""
        if self.path is None:
            return
        opened = self._open(self.path)
        os.dup2(opened, self.descriptor, inheritable=False)
        os.close(opened)
        self._is_torn = False

    def close(self) -> None:
        if self.path is not None:
            os.close(self.descriptor)

    @staticmethod
    def _open(path: str) -> int:
        try:
            return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
        except OSError as error:
            raise LogFileError(path, error.strerror or str(error)) from error


class _Lines(logging.Handler):
    """Each record in a line. The process that made it, the supervisor, does not wait for long; those that it forks do."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self._supervisor = os.getpid()
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            if os.getpid() != self._supervisor:
                self._sink.write(line)
            elif self._sink.takes(0 if self._left_out else PATIENCE_SECONDS):
                self._sink.write(self._count() + line)
            else:
                self._left_out += 1
        except Exception:  # noqa: BLE001 - a wrong format in somebody's log call
            self.handleError(record)

    def _count(self) -> str:
        """A line of its own about those that were left out, if there were any."""
        left_out, self._left_out = self._left_out, 0
        if not left_out:
            return ""
        said = f"{left_out} line{'s' * (left_out > 1)} left out here: nobody took this log"
        return (
            self.format(
                logging.makeLogRecord({"levelno": logging.WARNING, "levelname": "WARNING", "msg": said})
            )
            + "\n"
        )


class _Format(logging.Formatter):
    """``[2026-11-22 15:37:00 +0000] [4242] [INFO] message``, as gunicorn's users know it."""

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(record.created))


def open_error_log(name: str, level: str) -> Sink:
    """Open the error log, and write to it from now on."""
    sink = Sink(name, sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)
    send_to(sink, level)
    return sink


def send_to(sink: Sink, level: str) -> None:
    """Send the logger ``lasthop`` and its children to a sink, and nowhere else."""
    handler = _Lines(sink)
    handler.setFormatter(_Format())
    logger = logging.getLogger("lasthop")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def reopen(sinks: Iterable[Sink | None]) -> None:
    """After a rotation. What cannot be opened again is told and written to as before."""
    for sink in sinks:
        if sink is not None:
            try:
                sink.reopen()
            except LasthopError as error:
                logging.getLogger("lasthop").error("%s", error)


class ErrorStream(io.TextIOBase):
    """``wsgi.errors``: what the application writes there stands in the error log as it is (PEP 3333, "Input and Error Streams")."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self._sink.write(text)
        return len(text)
