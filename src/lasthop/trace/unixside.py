"""What a UNIX socket has where TCP has headers: a file with a mode and an owner, a peer that the kernel names, a queue and a buffer.

Looks at the file and asks the kernel; knows nothing of frames.
"""

from __future__ import annotations

import grp
import pwd
import stat
from pathlib import Path

from lasthop.trace import sockets
from lasthop.trace.results import Queue, SocketFile


def file_of(path: str) -> SocketFile | None:
    """The socket's file as `ls -l` shows it; None where there is none (any more)."""
    try:
        found = Path(path).lstat()
    except OSError:
        return None
    return SocketFile(
        path,
        stat.filemode(found.st_mode),
        found.st_size,
        _user(found.st_uid),
        _group(found.st_gid),
        found.st_ino,
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def listening_queue(path: str, moment: str) -> list[Queue]:
    """How many connections wait to be accepted there, of how many that may. Raises OSError where the kernel cannot tell."""
    return [
        Queue(moment, f"the listener's queue at {path}", each.waiting, each.room, "connections")
        for each in sockets.unix_sockets()
        if each.state == "LISTEN" and each.name == path
    ]
