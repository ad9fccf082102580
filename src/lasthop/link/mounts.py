"""What of the file system a process sees: its mounts, and under which names a file of ours appears among them.

A service with PrivateTmp= or ProtectHome= in its unit, or a container, sees other directories under the same names. Read from
`mountinfo`, which everybody may read of every process. Knows the kernel's tables; follows no symbolic link.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LONGEST_TABLE = 512 * 1024
"""Bytes of a table of mounts that are worth reading; machines with thousands of mounts exist."""

ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One line of a table."""

    number: int
    parent: int
    device: str
    root: str
    """The directory (or file) of the file system that is mounted."""
    point: str
    """Where it is mounted, for the process whose table it is."""


class Name(NamedTuple):
    """How a file of ours is called by another process."""

    path: str
    above: str
    """The part of it that its mount stands at: from there on, directories are the same for both."""


Mounts = dict[tuple[int, str], Mount]
"""The mounts of a process, by what they are mounted on: the mount below, and the place."""


def mounts_of(process: str = "self") -> Mounts | None:
    """The mounts of a process; None when they cannot be known."""
    try:
        with Path(f"/proc/{process}/mountinfo").open("rb") as table:
            text = table.read(LONGEST_TABLE + 1)
    except OSError:
        return None
    return None if len(text) > LONGEST_TABLE else parsed(os.fsdecode(text))


def parsed(text: str) -> Mounts:
    """A table, read."""
    found: Mounts = {}
    for line in text.split("\n"):
        words = line.split(" ")
        if len(words) > 4:
            mount = Mount(int(words[0]), int(words[1]), words[2], _unescaped(words[3]), _unescaped(words[4]))
            found[mount.parent, mount.point] = mount
    return found


def covering(mounts: Mounts, path: str) -> Mount | None:
    """The mount that a path leads to; None in a table without a root, which is that of a process in a chroot."""
    numbers = {each.number for each in mounts.values()}
    at = next((each for each in mounts.values() if each.point == "/" and each.parent not in numbers), None)
    if at is None:
        return None
    for end in [0, *(place for place, letter in enumerate(path) if letter == "/" and place), len(path)]:
        while (above := mounts.get((at.number, path[:end] or "/"))) is not None and above is not at:
            at = above
    return at


def names(path: str, ours: Mounts, theirs: Mounts) -> Iterator[Name]:
    """Under which names the file that we call `path` (no symbolic link in it) appears to another process."""
    own = covering(ours, path)
    if own is None:
        return
    inner = _joined(own.root, path[len(own.point.rstrip("/")) :])
    for mount in theirs.values():
        if mount.device == own.device and _is_under(inner, mount.root):
            name = _joined(mount.point, inner[len(mount.root.rstrip("/")) :])
            if covering(theirs, name) is mount:
                yield Name(name, mount.point)


def _is_under(path: str, directory: str) -> bool:
    return directory == "/" or path == directory or path.startswith(f"{directory}/")


def _joined(directory: str, rest: str) -> str:
    return (directory.rstrip("/") + rest) or "/"


def _unescaped(text: str) -> str:
    return ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
