"""Who may use a socket's file: its owner, group and mode as they were asked for, and as the kernel takes them.

Knows names and numbers of users and groups; touches no file. What is asked for in an address wins over what the settings say for all.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lasthop.errors import ListenError
from lasthop.link.address import UnixAddress

UNCHANGED = -1
"""For chown(2): this id stays as it is."""
GREATEST_ID = (1 << 32) - 2


@dataclass(frozen=True)
class Asked:
    """What the settings say for all socket files; empty: nothing."""

    owner: str = ""
    group: str = ""
    mode: int | None = None
    mkdir: bool = False
    """Whether a missing directory is made."""


NOTHING_ASKED = Asked()


class Permissions(NamedTuple):
    """What a file is to have."""

    uid: int
    gid: int
    mode: int

    @property
    def directory_mode(self) -> int:
        """Of a directory that is made for it: whoever may write to the socket may go through."""
        return 0o700 | (0o050 if self.mode & 0o020 else 0) | (0o005 if self.mode & 0o002 else 0)


def permissions(address: UnixAddress, asked: Asked) -> Permissions:
    """For the socket at this address. Raises ListenError for a name that nobody has."""
    owner, group = address.owner or asked.owner, address.group or asked.group
    mode = asked.mode if address.mode is None else address.mode
    if mode is None:
        # Who names somebody means these and no others.
        mode = 0o660 if owner or group else default_mode()
    return Permissions(_number(address, owner, "user", _user), _number(address, group, "group", _group), mode)


def _user(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _group(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _number(address: UnixAddress, name: str, kind: str, find: Callable[[str], int]) -> int:
    """The number of a user or a group; names are tried first, as chown(1) does."""
    if not name:
        return UNCHANGED
    try:
        return find(name)
    except (KeyError, ValueError):
        if name.isascii() and name.isdecimal() and int(name) <= GREATEST_ID:
            return int(name)
        raise ListenError(
            address,
            f"there is no {kind} {name!r} here",
            f"getent {'passwd' if kind == 'user' else kind} lists those that there are; or a number (in a container names may be missing that the host has)",
        ) from None


def default_mode(status: Path = Path("/proc/self/status")) -> int:
    """Everyone may connect, as over TCP on this machine, unless the umask keeps a class from reading too.

    The usual umask of 022 is nobody's decision about sockets, and a file that others may not write to is one that the front
    cannot connect to. One that takes reading away, 027 or 077, is a decision.
    """
    umask = 0
    try:
        # Reading it by os.umask() would change it for a moment, for all threads.
        for line in status.read_text().splitlines():
            if line.startswith("Umask:"):
                umask = int(line.split()[1], 8)
    except OSError:
        pass
    group = 0 if umask & 0o040 else 0o060
    others = 0 if umask & 0o004 else 0o006
    return 0o600 | group | others


def described(uid: int, gid: int, mode: int) -> str:
    """For people: the mode, and owner and group where they are not this process's own."""
    words = [f"mode {mode:04o}"]
    if uid != os.geteuid():
        words.append(f"owner {_name_of_user(uid)}")
    if gid != os.getegid():
        words.append(f"group {_name_of_group(gid)}")
    return ", ".join(words)


def _name_of_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _name_of_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
