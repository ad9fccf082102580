# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Who is at the other end of a UNIX socket, by the kernel's word, and whether they may be there (`--allow-peer`).

Knows SO_PEERCRED and SO_PEERGROUPS; asked at accept, without the GIL, before a byte is read. What the kernel tells is who the peer was when it
called connect(2): nothing that it sends, and nothing that it becomes later, changes it. Names are not known here, only numbers.
"""

import cython
from cython.cimports.lasthop.engine.linux import SO_PEERCRED, SO_PEERGROUPS, SOL_SOCKET, getsockopt, socklen_t
from cython.cimports.libc.errno import ERANGE, errno
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free, malloc

from lasthop.link.peer import Peer

_NOBODY = cython.declare(uint32_t, 4294967295)
"""An id that stands for none."""


def read_credentials(fd, who):
    """Who called connect(2) for the accepted socket `fd`: 0, or -1 and nobody (pid 0, the id that stands for none)."""
    size: socklen_t = cython.sizeof(Credentials)
    if getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, cython.address(size)) < 0 or size != cython.sizeof(
        Credentials
    ):
        who.pid = 0
        who.uid = _NOBODY
        who.gid = _NOBODY
        return -1
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_among(id_: uint32_t, ids: cython.pointer(cython.const[uint32_t]), count: cython.int) -> cython.bint:
    i: cython.int
    for i in range(count):
        if ids[i] == id_:
            return True
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _one_is_among(
    groups: cython.pointer(cython.const[uint32_t]),
    size: socklen_t,
    allowed: cython.pointer(cython.const[Allowed]),
) -> cython.bint:
    i: cython.int
    count: cython.int = cython.cast(cython.int, size // cython.sizeof(uint32_t))
    for i in range(count):
        if _is_among(groups[i], allowed.gids, allowed.ngids):
            return True
    return False


def may_enter(allowed, fd, who):
    """Does the rule name this peer: its user, its group, or one of its supplementary groups? Root is a user like any other."""
    few: uint32_t[64]
    many: cython.pointer(uint32_t)
    size: socklen_t = cython.sizeof(few)
    found: cython.bint
    if not allowed.asked:
        return True
    # Of whom the kernel tells nothing, nothing is believed: -1 is nobody's id.
    if who.uid == _NOBODY:
        return False
    if _is_among(who.uid, allowed.uids, allowed.nuids) or _is_among(who.gid, allowed.gids, allowed.ngids):
        return True
    if allowed.ngids == 0:
        return False
    if getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, cython.address(size)) == 0:
        return _one_is_among(few, size, allowed)
    if errno != ERANGE:
        return False
    # It is in more groups than most; the kernel has said how much room they take (65,536 groups at most).
    if size > 65536 * cython.sizeof(uint32_t):
        return False
    many = cython.cast(cython.pointer(uint32_t), malloc(size))
    if many == cython.NULL:
        return False
    found = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, many, cython.address(size)) == 0 and _one_is_among(
        many, size, allowed
    )
    free(many)
    return found


def name_allowed(allowed, ids):
    """Fill in the rule from `(uids, gids)`; None: whoever can connect may."""
    place: cython.int
    allowed.asked = ids is not None
    allowed.nuids = 0
    allowed.ngids = 0
    if ids is None:
        return 0
    uids, gids = ids
    if len(uids) > MOST_IDS or len(gids) > MOST_IDS:
        raise ValueError(f"at most {MOST_IDS} users and {MOST_IDS} groups can be allowed")
    for place, number in enumerate(uids):
        allowed.uids[place] = number
    for place, number in enumerate(gids):
        allowed.gids[place] = number
    allowed.nuids = cython.cast(cython.int, len(uids))
    allowed.ngids = cython.cast(cython.int, len(gids))
    return 0


def note_of(who):
    """What the application is told of its peer; an id that the kernel does not tell is -1."""
    return Peer(who.pid, -1 if who.uid == _NOBODY else who.uid, -1 if who.gid == _NOBODY else who.gid)
