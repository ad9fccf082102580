"""How many descriptors a process may have, and so how many connections a worker can hold."""

import contextlib
import fcntl
import os
import resource

RESERVED = 64
"""Descriptors that are not connections: listeners, logs, and what the application opens for each of its threads is added."""

ENOUGH = 1 << 20
"""More is not asked for: some programs that the application starts close every possible descriptor one by one."""

MOST_ROOM = 16_384
"""Descriptors that a worker's table has room for from the start: 128 KiB of kernel memory."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one and tell what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def connections_within(asked: int, open_files: int, threads: int) -> tuple[int, str | None]:
    """How many connections a worker can hold, and a warning when that is less than asked for."""
    room = max(1, open_files - RESERVED - 2 * threads)
    if asked <= room:
        return asked, None
    return room, (
        f"max_connections {asked} is clipped to {room}: a process may have {open_files} open files; "
        "hint: LimitNOFILE= in the systemd unit, ulimit -Hn, or --ulimit nofile in a container"
    )


def make_room(descriptors: int) -> None:
    """Let this process have a table for so many descriptors now, while it has one thread.

    The kernel doubles the table as it fills, and with several threads waits some milliseconds each time until no processor uses the old one.
    In that time nothing is accepted, and a burst fills the queue.
    """
    with contextlib.suppress(OSError):  # above the limit: then it grows when it must
        os.close(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, min(descriptors, MOST_ROOM) - 1))
