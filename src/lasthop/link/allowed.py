"""Whom ``--allow-peer`` names: a text read into a user or a group, and its name looked up.

Knows the spelling and the system's lists of users and groups; the engine gets numbers only.
"""

import grp
import pwd
import re
from collections.abc import Iterable
from typing import NamedTuple

from lasthop.errors import PeerError

HIGHEST_ID = 0xFFFFFFFE
"""The one above it stands for "no id" (chown(2))."""

FORMS = "USER, uid:N, group:NAME or gid:N"


class NamedPeer(NamedTuple):
    """A user or a group, by name or by number."""

    group: bool
    name: str
    """Empty when the number is given."""
    number: int = 0

    def __str__(self) -> str:
        if not self.name:
            return f"{'gid' if self.group else 'uid'}:{self.number}"
        return f"group:{self.name}" if self.group else self.name


class Ids(NamedTuple):
    """The users and groups that may connect, by number."""

    uids: tuple[int, ...]
    gids: tuple[int, ...]


def parse(text: str) -> NamedPeer:
    """The peer that a text names.

    >>> parse("group:www-data")
    NamedPeer(group=True, name='www-data', number=0)
    """
    kind, colon, rest = text.partition(":")
    if not colon:
        if re.fullmatch(r"[0-9]+", text):
            raise PeerError(text, "a number alone does not say whose it is", f"uid:{text} or gid:{text}")
        kind, rest = "user", text
    if kind in ("uid", "gid"):
        if not re.fullmatch(r"[0-9]{1,10}", rest) or int(rest) > HIGHEST_ID:
            raise PeerError(text, f"{rest!r} is not an id from 0 to {HIGHEST_ID}", f"{kind}:33")
        return NamedPeer(kind == "gid", "", int(rest))
    if kind not in ("user", "group"):
        raise PeerError(text, f"{kind}: is not known", FORMS)
    if not rest or "\0" in rest or ":" in rest or rest != rest.strip():
        raise PeerError(text, f"{rest!r} is not the name of a {kind}", FORMS)
    return NamedPeer(kind == "group", rest)


def look_up(peers: Iterable[NamedPeer]) -> Ids:
    """The numbers of those named; PeerError for a name that this system does not know."""
    uids: list[int] = []
    gids: list[int] = []
    for peer in peers:
        ids = gids if peer.group else uids
        ids.append(_number_of(peer) if peer.name else peer.number)
    return Ids(tuple(dict.fromkeys(uids)), tuple(dict.fromkeys(gids)))


def _number_of(peer: NamedPeer) -> int:
    try:
        return grp.getgrnam(peer.name).gr_gid if peer.group else pwd.getpwnam(peer.name).pw_uid
    except KeyError:
        kind, database = ("group", "group") if peer.group else ("user", "passwd")
        raise PeerError(
            str(peer),
            f"there is no {kind} {peer.name!r} here",
            f"getent {database} lists them; in a container, which has a list of its own, give the number: "
            f"{'gid' if peer.group else 'uid'}:N",
        ) from None
