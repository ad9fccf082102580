"""The guard: a small process that outlives the bench by a moment and kills what the bench has left running.

It reads lines from its standard input: ``+GROUP`` for a process group that was started, ``-GROUP`` for one that was
killed, ``d PATH`` for a directory to remove. When the input ends, the bench has gone, however it went: then everything
that is still on the list is killed and removed. Started by :mod:`bench.process`, in a session of its own, so that
Ctrl-C does not reach it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys


def kill_group(group: int) -> None:
    """Kill a process group; one that has ended already is no error."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def main() -> None:
    """Keep the list until the input ends, then clear up."""
    groups: set[int] = set()
    directories: list[str] = []
    for line in sys.stdin:
        word = line.rstrip("\n")
        if word.startswith("+"):
            groups.add(int(word[1:]))
        elif word.startswith("-"):
            groups.discard(int(word[1:]))
        elif word.startswith("d "):
            directories.append(word[2:])
    for group in groups:
        kill_group(group)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
