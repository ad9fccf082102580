"""Telling whoever started the server that it is ready: one line on a pipe, and systemd's notification protocol.

Knows nothing of workers: the supervisor says when. sd_notify(3) is a datagram to a ``unix:`` socket; the library for it would
be longer than this.
"""

import contextlib
import os
import socket
import time

from lasthop.errors import UsageError


class Systemd:
    """The notification socket of systemd, silent when there is none.

    The variables are taken out of the environment, so that neither an application nor what it starts can speak for us.
    """

    def __init__(self) -> None:
        name = os.environ.pop("NOTIFY_SOCKET", "")
        watched = os.environ.pop("WATCHDOG_USEC", "")
        watched_pid = os.environ.pop("WATCHDOG_PID", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self.watchdog_seconds: float | None = None
        """How often the watchdog wants to hear from us: half the time after which it would kill."""
        if name and watched.isdecimal() and watched_pid in ("", str(os.getpid())):
            self.watchdog_seconds = int(watched) / 2_000_000

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}\nMAINPID={os.getpid()}")

    def reloading(self) -> None:
        # Type=notify-reload wants to know when this began, to tell it from an earlier one.
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def served_by(self, pid: int) -> None:
        """The service goes on in another process, and our end is not its end."""
        self._send(f"MAINPID={pid}")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping")

    def status(self, status: str) -> None:
        self._send(f"STATUS={status}")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # Whoever asked to be told may be gone; serving goes on without.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.sendto(message.encode(), self._address)


def check(descriptor: int | None) -> None:
    """Raise UsageError for one that whoever starts the server has not passed on. To be called before anything is opened, which could get its number."""
    if descriptor is None:
        return
    try:
        os.fstat(descriptor)
    except OSError as error:
        raise UsageError(
            f"--ready-fd {descriptor}: there is no such file descriptor",
            "have the program that starts lasthop pass it on, such as pass_fds= of Python's subprocess",
        ) from error


def announce(descriptor: int, addresses: list[str]) -> None:
    """Write the one line ``ready ADDRESS ...`` (with the real ports) to an inherited descriptor and close it."""
    with contextlib.suppress(OSError):
        os.write(descriptor, f"ready {' '.join(addresses)}\n".encode())
    with contextlib.suppress(OSError):
        os.close(descriptor)
