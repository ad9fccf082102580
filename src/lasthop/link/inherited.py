"""Listening sockets that somebody else made: passed by number, or by systemd.

They are used as they are: never listened on again (under SELinux the second listen(2) is refused), never unlinked.
"""

import os
import socket
import stat
from collections.abc import MutableMapping

from lasthop.errors import ListenError
from lasthop.link.address import FdAddress, SystemdAddress

FIRST = 3
"""The number of the first socket that systemd passes, sd_listen_fds(3)."""

FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


def take(address: FdAddress | SystemdAddress, number: int) -> socket.socket:
    """The listening stream socket under a number, from now on non-blocking and closed on exec."""
    try:
        mode = os.fstat(number).st_mode
    except OSError as error:
        raise ListenError(
            address,
            f"file descriptor {number} is not open",
            "have the starting program pass it on (pass_fds, Sockets=)",
        ) from error
    if not stat.S_ISSOCK(mode):
        raise ListenError(
            address, f"file descriptor {number} is not a socket", "the number of a listening socket"
        )
    taken = socket.socket(fileno=number)
    if taken.type != socket.SOCK_STREAM or taken.family not in FAMILIES:
        taken.detach()
        raise ListenError(
            address,
            f"file descriptor {number} is not a TCP or unix stream socket",
            "ListenStream= in a systemd unit",
        )
    if not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        taken.detach()
        raise ListenError(
            address,
            f"the socket of file descriptor {number} does not listen",
            "listen() before it is passed, Accept=no",
        )
    taken.setblocking(False)
    taken.set_inheritable(False)
    return taken


def are_passed() -> bool:
    """Whether systemd passed sockets to this very process, and nobody has taken them yet."""
    return os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS", "0") != "0"


class Passed:
    """What systemd passed to this process: read once, then out of the environment, so that no child thinks it its own."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._pid = environment.pop("LISTEN_PID", "")
        count = environment.pop("LISTEN_FDS", "")
        names = environment.pop("LISTEN_FDNAMES", "").split(":")
        numbers = range(FIRST, FIRST + (int(count) if count.isdecimal() else 0))
        self._named = [(number, names[at] if at < len(names) else "") for at, number in enumerate(numbers)]

    def numbers(self, address: SystemdAddress) -> list[int]:
        """The descriptors that an address asks for, at least one."""
        if not self._named:
            raise ListenError(
                address,
                "systemd passed no socket (LISTEN_FDS is not set)",
                "a .socket unit of the same name, started before the service; to try: systemd-socket-activate -l 8000 ...",
            )
        if self._pid != str(os.getpid()):
            raise ListenError(
                address,
                f"the sockets are for pid {self._pid or '(none)'}, this is pid {os.getpid()}",
                "exec in the script between systemd and lasthop",
            )
        chosen = [number for number, name in self._named if address.name in ("", name)]
        if not chosen:
            known = ", ".join(sorted({name or "(none)" for _, name in self._named}))
            raise ListenError(
                address,
                f"systemd passed no socket of this name, but: {known}",
                "FileDescriptorName= in the .socket unit",
            )
        return chosen
