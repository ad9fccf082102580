"""How many files a front may have open: each client takes two descriptors, and the usual limit is 1,024."""

from __future__ import annotations

import resource

ENOUGH = 65_536
"""Twice the clients that a front has room for, and more; some programs reserve memory for each descriptor that they may have."""


def open_files() -> int:
    """What the limit can be raised to without root's rights."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)


def with_open_files(command: list[str]) -> list[str]:
    """The command, started with as many open files as it may have."""
    return ["/bin/sh", "-c", f'ulimit -n {open_files()} && exec "$@"', "sh", *command]
