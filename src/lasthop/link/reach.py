"""Whether a process of some user can connect to a socket's file, and if not, what stands in its way.

Knows the kernel's rules: to connect takes the right to write to the file and to pass through each directory before it, by mode,
POSIX access control list and capabilities. Knows no front, no server and no log, connects to nothing and changes nothing. Rules of
security modules (SELinux, AppArmor) are not looked at.
"""

import os
import stat
import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

MOST_LINKS = 40
"""Symbolic links that the kernel follows in one path."""

PASS, WRITE = 0o1, 0o2

ACL_NAME = "system.posix_acl_access"
ACL_VERSION = struct.pack("<I", 2)
ACL_ENTRY = struct.Struct("<HHI")
"""Tag, permissions, id, as struct posix_acl_xattr_entry has it."""
ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER = 0x02, 0x04, 0x08, 0x10, 0x20


class User(NamedTuple):
    """What the kernel asks of a process when it opens a path."""

    uid: int
    gids: frozenset[int]
    """Its group and its supplementary groups."""
    overrides: bool = False
    """CAP_DAC_OVERRIDE: no mode holds it back."""
    passes: bool = False
    """CAP_DAC_READ_SEARCH: no directory does."""


class Kind(Enum):
    """What can stand in the way."""

    MISSING = "missing"
    CLOSED = "closed"
    """A directory that the user may not pass through."""
    REFUSED = "refused"
    """The file itself, which the user may not write to."""


class Obstacle(NamedTuple):
    """One part of a path at which a user is held."""

    kind: Kind
    path: Path
    mode: int = 0
    uid: int = 0
    gid: int = 0
    listed: bool = False
    """Whether an access control list decided, of which the mode shows only a summary."""


def obstacle(path: Path, user: User, start: Path = Path("/")) -> Obstacle | None:
    """What a user meets first who connects to a path; None when nothing is in the way."""
    return next(obstacles(path, user, start), None)


def obstacles(path: Path, user: User, start: Path = Path("/")) -> Iterator[Obstacle]:
    """All that a user would meet, in order: as if each were mended when it is met.

    `start` is a directory above the path from which the user comes: those above it do not matter. Raises OSError where we ourselves
    may not look.
    """
    at, left, links = start, list(reversed(path.relative_to(start).parts)), 0
    passed = set()
    while left:
        if at not in passed:
            passed.add(at)
            yield from _checked(at, user, PASS, Kind.CLOSED)
        part = left.pop()
        if part == "..":
            at = at.parent
            continue
        each = at / part
        try:
            found = each.lstat()
        except (FileNotFoundError, NotADirectoryError):
            yield Obstacle(Kind.MISSING, each)
            return
        if not stat.S_ISLNK(found.st_mode):
            at = each
            continue
        links += 1
        if links > MOST_LINKS:
            yield Obstacle(Kind.MISSING, each)
            return
        target = each.readlink()
        if target.is_absolute():
            at, target = start, target.relative_to("/")
        left += reversed(target.parts)
    yield from _checked(at, user, WRITE, Kind.REFUSED)


def allows(found: os.stat_result, acl: bytes, user: User, wanted: int) -> bool:
    """Whether a file's mode and access control list (may be empty) allow a user what is wanted."""
    if user.overrides or (user.passes and wanted == PASS and stat.S_ISDIR(found.st_mode)):
        return True
    mode = found.st_mode
    if user.uid == found.st_uid:
        return mode >> 6 & wanted == wanted
    # As the kernel has it: without any bit for the group, which is the list's mask, the list is not looked at.
    if acl and mode & stat.S_IRWXG:
        return _list_allows(acl, found.st_gid, user, wanted)
    return (mode >> 3 if found.st_gid in user.gids else mode) & wanted == wanted


def _checked(path: Path, user: User, wanted: int, kind: Kind) -> Iterator[Obstacle]:
    found = path.lstat()
    acl = _access_list(path)
    if not allows(found, acl, user, wanted):
        yield Obstacle(kind, path, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, bool(acl))


def _access_list(path: Path) -> bytes:
    try:
        return os.getxattr(path, ACL_NAME, follow_symlinks=False)
    except OSError:
        return b""  # none, or a file system without


def _list_allows(acl: bytes, owning: int, user: User, wanted: int) -> bool:
    """The order of acl(5) for whoever is not the owner: the named user, then all groups that fit, then everybody else."""
    if not acl.startswith(ACL_VERSION) or (len(acl) - len(ACL_VERSION)) % ACL_ENTRY.size:
        return True  # no version that is known: nothing to be said of it
    entries = list(ACL_ENTRY.iter_unpack(acl[len(ACL_VERSION) :]))
    mask = next((allowed for tag, allowed, _ in entries if tag == ACL_MASK), 0o7)
    for tag, allowed, number in entries:
        if tag == ACL_USER and number == user.uid:
            return bool(allowed & mask & wanted == wanted)
    groups = [
        allowed
        for tag, allowed, number in entries
        if (tag == ACL_GROUP_OBJ and owning in user.gids) or (tag == ACL_GROUP and number in user.gids)
    ]
    if groups:
        return any(allowed & mask & wanted == wanted for allowed in groups)
    return any(tag == ACL_OTHER and allowed & wanted == wanted for tag, allowed, _ in entries)
