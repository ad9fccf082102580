"""Takes over from the lasthop that listens at this server's addresses (``--replace``): finds it, asks for its sockets, says when it has them.

It waits, with limits, since it is called when there is nothing else to do: before anything is started, and once all workers are ready. Whose
an address is, the kernel tells (`link.holders`). Knows nothing of workers and settings.
"""

import logging
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lasthop.errors import SettingsConflict, TakeoverRefused
from lasthop.link import holders
from lasthop.link.address import AbstractAddress, FdAddress, SystemdAddress, TcpAddress, UnixAddress, parse
from lasthop.link.peer import Peer, command_of
from lasthop.link.socketfile import ORPHANS_SECONDS, key_of
from lasthop.server import passing

WORD_SECONDS = 10
"""How long the other one may take to answer; its loop turns each second at the latest."""
LATER_SECONDS = 30.0
"""How long to ask again while the other one is still starting or reloading."""

log = logging.getLogger("lasthop")


class Claim:
    """The sockets of another server, which serves on until `confirm`; or for ever, after `abandon`."""

    def __init__(
        self, connection: socket.socket, pid: int, handed: dict[str, socket.socket], pid_file: int | None
    ) -> None:
        self._connection = connection
        self.pid = pid
        self.handed = handed
        self.pid_file = pid_file
        """A descriptor of the pid file, with its lock."""

    def confirm(self) -> None:
        """We serve: it may go. Returns when it has heard it, or is gone anyway."""
        with suppress(OSError):
            passing.send(self._connection, {"taken": True})
        if self._last_word() is None:
            log.warning("pid %d has not said that it lets go; it will once it runs again", self.pid)

    def abandon(self) -> bool:
        """We shall not serve. Whether the other one does not, either, so that what it handed over is ours to clear away."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        return self._last_word() is False

    def let_go(self) -> None:
        """In a fork: its copy would keep from the other one that we are gone."""
        self._connection.close()

    def _last_word(self) -> bool | None:
        """Whether it has kept what it had; None when it does not say. One that has ended keeps nothing."""
        try:
            message = passing.receive(self._connection)
        except (OSError, ValueError):
            return None
        finally:
            self._connection.close()
        return message is not None and message.get("kept") is True


class _End(NamedTuple):
    """Something to listen at, and who does."""

    address: object
    key: str
    pids: list[int]


def claim(binds: tuple[str, ...], pid_file: Path | None) -> Claim | None:
    """What a running lasthop hands over of these addresses; None when nobody listens at any of them. Raises LasthopError."""
    until = time.monotonic() + LATER_SECONDS
    said = False
    while True:
        found = _server_at(binds)
        if found is None:
            log.info("nobody listens at %s to take over from; starting as usual", ", ".join(binds))
            return None
        connection, peer, ends = found
        try:
            answer, handed = _ask(connection, peer, ends, pid_file)
        except BaseException:
            connection.close()
            raise
        if answer is not None:
            connection.close()
            if answer.get("later") is True and time.monotonic() < until:
                if not said:
                    log.info("asked pid %d to hand over: %s; waiting", peer.pid, answer.get("refused"))
                    said = True
                time.sleep(0.1)
                continue
            raise TakeoverRefused(
                ends[0].address,
                f"pid {peer.pid} refuses, since {answer.get('refused')}",
                str(answer.get("hint", "")),
            )
        log.info("pid %d hands over; it serves until this server is ready", peer.pid)
        return handed


def _ask(
    connection: socket.socket, peer: Peer, ends: list[_End], pid_file: Path | None
) -> tuple[passing.Message | None, Claim | None]:
    """The refusal, or what was handed over."""
    place = None
    if pid_file is not None:
        with suppress(OSError):
            found = pid_file.stat()
            place = [found.st_dev, found.st_ino]
    keys = list(dict.fromkeys(each.key for each in ends))
    try:
        passing.send(connection, {"version": passing.VERSION, "take": keys, "pid_file": place})
        answer, descriptors = passing.receive_all(connection)
    except (OSError, ValueError) as error:
        raise TakeoverRefused(
            ends[0].address,
            f"pid {peer.pid} gives no answer ({error})",
            f"see what it does: ps -fp {peer.pid}",
        ) from error
    taken = list(descriptors)
    try:
        if answer is not None and "refused" in answer:
            return answer, None
        if answer is None or answer.get("given") != keys:
            raise TakeoverRefused(
                ends[0].address,
                f"pid {peer.pid} gives no answer",
                "its log, which says why; or stop it and start this one",
            )
        has_pid_file = answer.get("pid_file") is True
        if len(descriptors) != len(keys) + has_pid_file:
            raise TakeoverRefused(
                ends[0].address,
                f"pid {peer.pid} passed {len(descriptors)} descriptors for {len(keys)} sockets",
                "the limit of open files (ulimit -n) of this one",
            )
        handed = {}
        for key, each in zip(keys, descriptors, strict=False):
            handed[key] = _checked(key, each, peer)
            taken.remove(each)
        lock = descriptors[-1] if has_pid_file else None
        if lock is not None:
            taken.remove(lock)
        return None, Claim(connection, peer.pid, handed, lock)
    finally:
        for each in taken:
            os.close(each)


def _checked(key: str, descriptor: int, peer: Peer) -> socket.socket:
    """What came, if it is what was asked for."""
    with suppress(OSError):
        got = socket.socket(fileno=descriptor)
        if (
            got.type == socket.SOCK_STREAM
            and got.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            and _key_of(got) in (key, None)
        ):
            return got
        got.detach()
    raise TakeoverRefused(
        key, f"what pid {peer.pid} passed is not a socket that listens there", "stop it, then start this one"
    )


def _key_of(got: socket.socket) -> str | None:
    """The key of a socket; None for a file's, which does not know its file."""
    name = got.getsockname()
    if got.family == socket.AF_UNIX:
        return f"unix:@{os.fsdecode(name[1:])}" if isinstance(name, bytes) else None
    return str(TcpAddress(*name[:2]))


def _server_at(binds: tuple[str, ...]) -> tuple[socket.socket, Peer, list[_End]] | None:
    """A connection to the lasthop that listens at these addresses, and at which of them; None when nobody does."""
    until = time.monotonic() + ORPHANS_SECONDS
    met: dict[int, tuple[socket.socket, Peer, list[_End]]] = {}
    try:
        for end in [end for text in binds for end in _ends(text)]:
            known = next((pid for pid in end.pids if pid in met), None)
            if known is not None:
                met[known][2].append(end)
                continue
            found = _server_of(end, until)
            if found is None:
                continue
            connection, peer = found
            if peer.pid in met:
                connection.close()
            else:
                met[peer.pid] = connection, peer, []
            met[peer.pid][2].append(end)
        if len(met) > 1:
            (_, one, its), (_, other, others) = list(met.values())[:2]
            raise TakeoverRefused(
                others[0].address,
                f"it is pid {other.pid}'s, and {its[0].address} is pid {one.pid}'s; one server is taken over at a time",
                "stop one of the two, or take over only its addresses",
            )
    except BaseException:
        for connection, _, _ in met.values():
            connection.close()
        raise
    return next(iter(met.values()), None)


def _server_of(end: _End, until: float) -> tuple[socket.socket, Peer] | None:
    """A connection to the lasthop that listens there; None when nobody does, or only what a killed one has left to finish."""
    while end.pids:
        found = _meet(end)
        if found is not None:
            return found
        # Over TCP it is its workers that are seen, over unix: it is the server itself that listened there.
        is_left = isinstance(end.address, TcpAddress) and _are_orphans(end.pids)
        if command_of(end.pids[0]) and not is_left:
            raise _not_lasthop(end)
        if isinstance(end.address, UnixAddress):
            return None  # where the socket's file is made they are waited for
        if time.monotonic() >= until:
            raise _not_lasthop(end)
        time.sleep(0.05)
        nobody = end._replace(pids=[])
        end = next((each for each in _ends(str(end.address)) if each.key == end.key), nobody)
    return None


def _ends(text: str) -> list[_End]:
    """What an address stands for, as far as somebody can be listening there."""
    address = parse(text)
    match address:
        case FdAddress() | SystemdAddress():
            raise SettingsConflict(
                "replace",
                "bind",
                f"the sockets of {address} belong to whoever passed them and outlive each server",
                "leave --replace out: systemctl restart keeps the queue, systemctl reload (HUP) loses nothing",
            )
        case UnixAddress():
            path = Path(address.path).absolute()
            pids = _listens(address, str(path))
            try:
                found = path.lstat()
            except OSError:
                return []
            return [_End(address, key_of(found.st_dev, found.st_ino), pids)]
        case AbstractAddress():
            return [_End(address, str(address), _listens(address, f"\0{address.name}"))]
        case TcpAddress():
            return _tcp_ends(address)


def _listens(address: UnixAddress | AbstractAddress, name: str) -> list[int]:
    try:
        peer = holders.at_unix(name)
    except PermissionError as error:
        raise TakeoverRefused(
            address, f"uid {os.geteuid()} may not connect to it", "start as the user whose server it is"
        ) from error
    except BlockingIOError as error:
        raise TakeoverRefused(
            address, "its queue is full and nobody accepts", "see what is wrong with its server first"
        ) from error
    except OSError:
        return []  # no stream socket, or no path: the usual start says what it is
    if peer is None:
        return []
    if peer.pid <= 0:
        raise TakeoverRefused(
            address,
            "who listens there lives in another container (pid namespace)",
            "start the new server there, or stop that one first",
        )
    return [peer.pid]


def _tcp_ends(address: TcpAddress) -> list[_End]:
    if address.port == 0:
        return []  # any free port: nobody has it yet
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        return []  # the usual start says so
    ends = []
    for family, host in dict.fromkeys((family, str(end[0])) for family, _, _, _, end in found):
        there = holders.at_tcp(family, host, address.port)
        if not there.pids and there.hidden_uids:
            raise TakeoverRefused(
                address,
                f"a process of uid {there.hidden_uids[0]} listens there, which cannot be seen from here: another user's, or in another container",
                "start as that user and where that one runs, or stop it first",
            )
        ends.append(_End(address, str(TcpAddress(host, address.port)), there.pids))
    return ends


def _meet(end: _End) -> tuple[socket.socket, Peer] | None:
    """A connection to the lasthop among these processes and their parents, if one of them is."""
    for pid in dict.fromkeys([*end.pids, *map(holders.parent_of, end.pids)]):
        if pid <= 0:
            continue
        try:
            found = passing.meet(pid, WORD_SECONDS)
        except OSError as error:
            raise TakeoverRefused(
                end.address, f"pid {pid} does not answer ({error})", f"ps -fp {pid}"
            ) from error
        if found is not None:
            connection, peer = found
            if peer.uid == os.geteuid() and pid != 1:
                return connection, peer
            connection.close()
            if pid == 1:
                raise TakeoverRefused(
                    end.address,
                    "the lasthop there is the first process of this container, which ends with it",
                    "HUP loads new code there (docker kill -s HUP); another version needs another container",
                )
            raise TakeoverRefused(
                end.address,
                f"the lasthop there, pid {pid}, belongs to uid {peer.uid}, this one to uid {os.geteuid()}",
                "start the new one as that user, or stop the old one first",
            )
    return None


def _are_orphans(pids: list[int]) -> bool:
    """Whether these are workers of a lasthop that is gone: none of them is the parent of another."""
    return all(_names_lasthop(pid) for pid in pids) and not {*map(holders.parent_of, pids)} & {*pids}


def _names_lasthop(pid: int) -> bool:
    words = (command_of(pid) or "").split(" ")
    return any(Path(word).name == "lasthop" for word in words[:4])


def _not_lasthop(end: _End) -> TakeoverRefused:
    pid = end.pids[0]
    command = command_of(pid)
    who = f"pid {pid} ({command or 'gone'})"
    if pid == 1 and command is not None and "lasthop" not in command:
        return TakeoverRefused(
            end.address,
            f"{who} listens there: the socket is systemd's",
            "systemctl restart or reload of its service, which keeps the queue",
        )
    if _names_lasthop(pid):
        return TakeoverRefused(
            end.address,
            f"{who} listens there and cannot hand over: an older lasthop, or one in a container or a network namespace of its own",
            f"stop it in order, then start this one: kill {pid}",
        )
    return TakeoverRefused(
        end.address,
        f"{who} listens there, and --replace takes over from lasthop alone",
        f"stop it first (kill {pid}), or another address",
    )
