"""The fronts that run on this machine, as /proc shows them: which of their processes connect to applications, and as whom.

Reads what everybody may read and, where it may, the links `root` and `ns/mnt`. The number of reads is bounded. Knows the programs'
names; knows no socket and gives no advice.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lasthop.link.reach import User

TITLES = {
    "nginx": "nginx", "apache2": "Apache", "httpd": "Apache", "caddy": "Caddy", "haproxy": "HAProxy",
}  # fmt: skip
"""Fronts by the names of their processes."""

MOST_PROCESSES = 4096
"""Of how many processes the name is read; a read takes some 10 µs."""
MOST_FRONTS = 64
"""How many processes of fronts are looked at closely."""

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1 << 1, 1 << 2

LONGEST_READ = 64 * 1024


class Neighbour(NamedTuple):
    """A process of a front that connects to applications, for all of its kind."""

    title: str
    pid: int
    gid: int
    user: User
    root: str | None
    """The directory that is `/` for it, None where that is not for us to see."""
    namespace: str | None
    """Its mount namespace, None where that is not for us to see."""
    contained: bool
    """It lives in a pid namespace below ours: in a container, whose files have names of their own."""


def running() -> list[Neighbour]:
    """The fronts of this machine, one process of each kind, user and view of the files."""
    found = [process for pid in _pids() if (process := _look(pid)) is not None]
    # A process that has started others of its name is their master: it connects to nothing.
    masters = {parent for _, parent in found}
    kinds: dict[tuple[object, ...], Neighbour] = {}
    for each, _ in found:
        if each.pid not in masters:
            kinds.setdefault(
                (each.title, each.gid, each.user, each.root, each.namespace, each.contained), each
            )
    return list(kinds.values())


def own_namespace() -> str | None:
    """Our mount namespace, as Neighbour.namespace tells another's."""
    return _link(Path("/proc/self/ns/mnt"))


def _pids() -> Iterator[int]:
    """Processes with the name of a front."""
    left = MOST_FRONTS
    numbers = (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - names are enough
    for _, pid in zip(range(MOST_PROCESSES), numbers, strict=False):
        if _read(Path(f"/proc/{pid}/comm")).rstrip("\n") in TITLES:
            yield pid
            left -= 1
            if not left:
                return


def _look(pid: int) -> tuple[Neighbour, int] | None:
    """A front's process and its parent's pid; None when it has gone meanwhile."""
    place = Path(f"/proc/{pid}")
    facts = dict(line.partition(":")[::2] for line in _read(place / "status").splitlines())
    try:
        if facts["State"].split()[0] in "ZX":
            return None
        title = TITLES[facts["Name"].strip()]
        # Of real, effective, saved and the file system's, the last counts here.
        uid, gid = int(facts["Uid"].split()[3]), int(facts["Gid"].split()[3])
        groups = frozenset(map(int, facts["Groups"].split()))
        capabilities = int(facts["CapEff"], 16)
        parent = int(facts["PPid"])
    except (KeyError, ValueError, IndexError):
        return None
    if _read(place / "uid_map").split() != _read(Path("/proc/self/uid_map")).split():
        capabilities = 0  # in a user namespace of its own, and good for what belongs to that only
    user = User(
        uid,
        groups | {gid},
        overrides=bool(capabilities & CAP_DAC_OVERRIDE),
        passes=bool(capabilities & CAP_DAC_READ_SEARCH),
    )
    contained = len(facts.get("NSpid", "").split()) > 1
    return (
        Neighbour(title, pid, gid, user, _link(place / "root"), _link(place / "ns/mnt"), contained),
        parent,
    )


def _link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_READ).decode("utf-8", "replace")
    except OSError:
        return ""
