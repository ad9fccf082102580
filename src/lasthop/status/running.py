"""Finds the servers of this machine that can be asked how they are, and asks them.

Anybody can take a name in the abstract namespace and say anything there. So a name counts only when the kernel says that the process
which it names is the one that listens, an answer has a time and a size, and what is in it is read piece by piece.
"""

import errno
import json
import os
import re
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from lasthop.errors import AddressError, LasthopError, NoServer, NotTold
from lasthop.link.address import AbstractAddress, TcpAddress, UnixAddress, parse
from lasthop.link.peer import command_of, peer_of

SECONDS = 5.0
"""How long one server may take to answer."""
MOST_BYTES = 8 << 20
"""Of an answer; each worker takes some 300."""
MOST_SERVERS = 256
ASKED_AT_ONCE = 16

NAMES = Path("/proc/net/unix")
PREFIX = "lasthop/status/"
_NAME = re.compile(r"@(lasthop/status/([0-9]{1,20})/([0-9]{1,10}))")

REQUEST = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Found(NamedTuple):
    """A name that a server seems to have."""

    name: str
    namespace: int
    """The inode of its pid namespace."""
    pid: int


def found() -> list[Found]:
    """The names of this network namespace that look like a status socket, the likeliest first, since anybody can take any number of them."""
    own = _own_namespace()

    def likely(each: Found) -> tuple[bool, bool, int]:
        is_own = each.namespace == own
        return not is_own, is_own and "lasthop" not in (command_of(each.pid) or ""), each.pid

    return sorted(_names(), key=likely)[:MOST_SERVERS]


def _names() -> Iterable[Found]:
    try:
        lines = NAMES.read_text("utf-8", "backslashreplace").splitlines()
    except OSError:
        return []
    names = {
        match[0]: Found(match[1], int(match[2]), int(match[3]))
        for line in lines
        if (match := _NAME.fullmatch(line.rpartition(" ")[2])) is not None
    }
    return names.values()


def ask_all() -> tuple[list[dict[str, Any]], list[LasthopError]]:
    """What all servers of this machine say that may be asked, and why others said nothing."""
    told: list[dict[str, Any]] = []
    errors: list[LasthopError] = []

    def ask_one(each: Found) -> dict[str, Any] | LasthopError | None:
        try:
            return ask_found(each)
        except LasthopError as error:
            return error

    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        for answer in pool.map(ask_one, found()):
            if isinstance(answer, LasthopError):
                errors.append(answer)
            elif answer is not None:
                told.append(answer)
    return told, errors


def ask_found(each: Found) -> dict[str, Any] | None:
    """None when the name is not that of the process behind it, or nobody is there any more."""
    asked = f"pid {each.pid}"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        try:
            connection.connect(b"\0" + each.name.encode())
            peer = peer_of(connection)
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                return None
            raise NotTold(asked, error.strerror or str(error)) from error
        if not _is_its_own(each, peer.pid):
            return None
        if os.geteuid() not in (0, peer.uid):
            raise _not_allowed(asked, peer.uid)
        return _asked(connection, asked)


def ask(text: str) -> dict[str, Any]:
    """The status of one server, named by its pid or by the address of its status socket."""
    if text.isascii() and text.isdecimal():
        return _ask_pid(int(text))
    if text.startswith(("/", "./", "@")):
        text = f"unix:{text}"
    try:
        connection = _connected(text)
    except PermissionError as error:
        raise NotTold(
            text, f"uid {os.geteuid()} may not connect", "ls -l tells who may; or as root"
        ) from error
    except OSError as error:
        raise NotTold(
            text, error.strerror or str(error), "lasthop status alone lists those that run"
        ) from error
    with connection:
        if text.startswith("unix:@") and os.geteuid() not in (0, uid := peer_of(connection).uid):
            raise _not_allowed(text, uid)
        return _asked(connection, text)


def _connected(text: str) -> socket.socket:
    address = parse(text)
    if isinstance(address, TcpAddress):
        return socket.create_connection((address.host, address.port), SECONDS)
    to: str | bytes
    match address:
        case UnixAddress():
            to = address.path
        case AbstractAddress():
            to = b"\0" + os.fsencode(address.name)
        case _:
            raise AddressError(text, "that is no address to connect to", "a pid, unix:/PATH or HOST:PORT")
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(SECONDS)
        connection.connect(to)
    except BaseException:
        connection.close()
        raise
    return connection


def _ask_pid(pid: int) -> dict[str, Any]:
    own = _own_namespace()
    for each in sorted(
        (each for each in _names() if each.pid == pid), key=lambda each: each.namespace != own
    )[:MOST_SERVERS]:
        answer = ask_found(each)
        if answer is not None:
            return answer
    raise NoServer(
        f"pid {pid} is no lasthop that can be asked", "lasthop status alone lists those that can; for one with --status-socket give that address"
    )  # fmt: skip


def _is_its_own(each: Found, listener: int) -> bool:
    """Whether the process that listens (its pid as it is seen from here; 0: it is not) is the one in the name."""
    if each.namespace == _own_namespace():
        return listener == each.pid
    process = Path(f"/proc/{listener}")
    try:
        pids = re.search(r"^NSpid:.*\s([0-9]+)$", (process / "status").read_text(), re.MULTILINE)
        there = (process / "ns/pid").stat().st_ino
    except OSError:
        return False
    return there == each.namespace and pids is not None and int(pids[1]) == each.pid


def _own_namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino


def _not_allowed(asked: str, uid: int) -> NotTold:
    return NotTold(
        asked, f"it tells its own user and root only, and this is uid {os.geteuid()}",
        "as root" if uid == 0 else f"as uid {uid} or as root: sudo lasthop status",
    )  # fmt: skip


def _asked(connection: socket.socket, asked: str) -> dict[str, Any]:
    """The document. Whatever else comes, or does not, is NotTold."""
    until = time.monotonic() + SECONDS
    answer = bytearray()
    try:
        connection.sendall(REQUEST)
        while True:
            connection.settimeout(max(0.001, until - time.monotonic()))
            piece = connection.recv(65536)
            if not piece:
                break
            answer += piece
            if len(answer) > MOST_BYTES:
                raise NotTold(asked, "it says more than a server has to say")
            if time.monotonic() > until:
                raise TimeoutError
    except TimeoutError as error:
        raise NotTold(
            asked, f"no answer within {SECONDS:g} s", "is it stopped (SIGSTOP, a debugger)?"
        ) from error
    except OSError as error:
        raise NotTold(asked, error.strerror or str(error)) from error
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    if not head:
        raise NotTold(asked, "it closed the connection unread", "as its own user or as root")
    if not re.match(rb"HTTP/1\.[01] 200 ", head):
        raise NotTold(asked, "that is not a status socket", "the address that --status-socket has")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotTold(asked, "the answer is not JSON", "the address that --status-socket has") from error
    if not isinstance(document, dict) or "lasthop" not in document:
        raise NotTold(asked, "the answer is not that of a lasthop", "the address that --status-socket has")
    return document
