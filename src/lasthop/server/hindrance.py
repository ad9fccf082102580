"""What stands between the fronts of this machine and a socket file of ours, in words, with what mends it.

Knows the rules of docs/design/advice.md: when to speak, and what to propose. Writes no log and changes nothing.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from lasthop.link import mounts
from lasthop.link.reach import Kind, Obstacle, User, obstacles
from lasthop.server import neighbours
from lasthop.server.neighbours import Neighbour

OTHERS_WRITE = 0o002

LONGEST_NAMES = 256 * 1024


class Hidden(NamedTuple):
    """A front that sees something else, or nothing, where the file lies for us."""

    root: str
    """Its chroot, or `/` when it has a view of its own through its unit."""


def warning(path: Path, ours: bool, fronts: Sequence[Neighbour]) -> str | None:
    """The warning about one socket file, if there is one; `ours`: made by this process, not passed by systemd."""
    met = [(front, _met(path, front)) for front in fronts]
    told = [(front, held) for front, held in met if held is not None]
    if not told or any(not held for _, held in told):
        return None
    front, held = told[0]
    who = f"{front.title} (pid {front.pid}, user {_name('passwd', front.user.uid)}) cannot connect to unix:{path}"
    if isinstance(held, Hidden):
        return f"{who}: {_why_hidden(path, held)}\n  hint: {_show(path, held)}"
    hints = dict.fromkeys(_mend(path, each, front, ours) for each in held)
    return f"{who}: {_why(held[0])}\n  hint: {'; then '.join(hints)}"


def _met(path: Path, front: Neighbour) -> list[Obstacle] | Hidden | None:
    """What a front meets on its way to a file: nothing is an empty list; None when it is not to be known, or none of our business."""
    if front.root is not None and front.root != "/":
        return _met_in_chroot(path, front, front.root)
    if front.namespace is None or front.namespace != neighbours.own_namespace():
        ours, theirs = mounts.mounts_of(), mounts.mounts_of(str(front.pid))
        if ours is None or theirs is None:
            return None
        real = os.path.realpath(path)
        if mounts.covering(theirs, real) is None:
            return None  # a chroot whose place is not for us to see
        known = list(mounts.names(real, ours, theirs))
        if not any(name.path == real for name in known):
            if not front.contained:
                return Hidden("/")
            if not known:
                return None  # a container with which no directory is shared has nothing to do with us
            inside = known[0].path.removeprefix(known[0].above.rstrip("/")).count("/")
            return list(obstacles(Path(real), front.user, Path(real).parents[max(inside - 1, 0)]))
    return _known(obstacles(path, front.user))


def _met_in_chroot(path: Path, front: Neighbour, root: str) -> list[Obstacle] | Hidden | None:
    if front.namespace is None or front.namespace != neighbours.own_namespace():
        return None
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(root):
        return Hidden(root)
    return _known(obstacles(real, front.user, Path(root)))


def _known(found: Iterable[Obstacle]) -> list[Obstacle] | None:
    """The obstacles; None when the file is not there any more."""
    met = list(found)
    return None if any(each.kind is Kind.MISSING for each in met) else met


# Words


def _why(held: Obstacle) -> str:
    owner, group = _name("passwd", held.uid), _name("group", held.gid)
    mode = f"mode {held.mode:04o}{' and an access control list' if held.listed else ''}, {owner}:{group}"
    if held.kind is Kind.CLOSED:
        return f"that user may not pass through {held.path} ({mode})"
    return f"that user may not write to the file ({mode})"


def _why_hidden(path: Path, held: Hidden) -> str:
    if held.root != "/":
        return f"it is locked into {held.root} (chroot), and the file lies outside"
    place = next((each for each in ("/tmp", "/var/tmp", "/dev/shm") if path.is_relative_to(each)), None)
    if place is not None:
        return f"it sees another {place} than we do (PrivateTmp= in its unit or in ours)"
    return f"it does not see {path.parent} as we do (such as by ProtectHome= in its unit, or in ours)"


def _show(path: Path, held: Hidden) -> str:
    if held.root != "/":
        return f"--bind unix:{held.root}/{path.name}, which its configuration calls /{path.name}; or no chroot there"
    return f"--bind unix:{_under_run(path)} (RuntimeDirectory={path.stem} in our unit makes the directory)"


def _under_run(path: Path) -> Path:
    return Path("/run", path.stem or "app", path.name)


def _mend(path: Path, held: Obstacle, front: Neighbour, ours: bool) -> str:
    """What lets this user through, and nobody else who was kept out on purpose."""
    if held.kind is Kind.CLOSED:
        return _open(path, held, front.user)
    group = _name("group", front.gid)
    if not ours:
        return f"SocketGroup={group} and SocketMode=0660 in the .socket unit"
    if held.gid in front.user.gids or held.uid == front.user.uid:
        return "--socket-mode 0660"
    options = f"--socket-group {group} --socket-mode 0660"
    if os.geteuid() == 0 or front.gid in {os.getegid(), *os.getgroups()}:
        return options
    us = _name("passwd", os.geteuid())
    return f"usermod -aG {group} {us} (or SupplementaryGroups={group} in our unit), and with that group {options}"


def _open(path: Path, held: Obstacle, user: User) -> str:
    if held.path.is_relative_to("/root") or held.path.name.startswith("systemd-private-"):
        return f"--bind unix:{_under_run(path)}: {held.path} is nobody else's place"
    if held.uid != user.uid and held.gid in user.gids and not held.listed:
        return f"chmod g+x {held.path}"
    if path.stat().st_mode & OTHERS_WRITE:
        # The file lets everybody write: a closed directory may be all that keeps others out.
        return f"setfacl -m u:{_name('passwd', user.uid)}:x {held.path} (chmod a+x would let in everybody)"
    return f"chmod a+x {held.path}"


def _name(table: str, number: int) -> str:
    """The name of a user or group in /etc; a directory service is not asked, which could let us wait."""
    try:
        with Path("/etc", table).open(encoding="utf-8", errors="replace") as file:
            for line in file.read(LONGEST_NAMES).splitlines():
                words = line.split(":")
                if len(words) > 2 and words[2] == str(number):
                    return words[0]
    except OSError:
        pass
    return str(number)
