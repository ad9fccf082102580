"""What the system grants a front that runs alone: open files, of which each client takes two, and threads."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from lasthop.fronts.hop import MOST_CLIENTS

ENOUGH_FILES = 4 * MOST_CLIENTS
"""Twice what the clients take; some programs reserve memory for each descriptor that they may have."""


def open_files() -> int:
    """What the limit, usually 1,024, can be raised to without root's rights."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)


def with_open_files(command: list[str]) -> list[str]:
    """The command, started with as many open files as it may have."""
    return ["/bin/sh", "-c", f'ulimit -n {open_files()} && exec "$@"', "sh", *command]


def threads(wanted: int) -> int:
    """So many threads, or half of what there is still room for."""
    return max(1, min(wanted, *(room // 2 for room in _rooms())))


def _rooms() -> list[int]:
    rooms = [1 << 22]
    of_user, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() != 0 and of_user != resource.RLIM_INFINITY:
        rooms.append(of_user)
    for group in _control_groups():
        most, now = (_read(group / f"pids.{what}") for what in ("max", "current"))
        if most.isdecimal() and now.isdecimal():
            rooms.append(int(most) - int(now))
    return rooms


def _control_groups() -> list[Path]:
    """Ours, and those around it."""
    path = next(
        (line[3:] for line in _read(Path("/proc/self/cgroup")).splitlines() if line.startswith("0::")), "/"
    )
    own = Path("/sys/fs/cgroup", path.lstrip("/"))
    return [own, *own.parents]


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
