"""The status socket: whoever may connect asks in HTTP/1.1 and gets an answer, from the supervisor's own loop.

Knows addresses, connections and as much HTTP as three GET requests need; what the answers say it is told. It shares the loop with
what keeps the workers alive, so nothing a peer does may hold it up: all sockets are non-blocking, a connection has a few seconds in
all, there are at most so many, and the oldest goes for a new one.
"""

import contextlib
import errno
import os
import re
import selectors
import socket
import time
from collections.abc import Callable
from logging import getLogger
from pathlib import Path
from typing import NamedTuple

from lasthop.errors import ListenError
from lasthop.link.address import AbstractAddress, Address, UnixAddress, parse
from lasthop.link.listener import Listener, Opener
from lasthop.link.peer import peer_of
from lasthop.link.permissions import Asked, permissions

AUTO, NONE = "auto", "none"

BACKLOG = 64
MOST_CONNECTIONS = 16
MOST_ACCEPTS = 16
"""Of one turn of the loop: whoever connects in a hurry must not keep it from the workers."""
PEER_SECONDS = 5.0
"""A connection's whole life."""
PAUSE_SECONDS = 1.0
LONGEST_LINE = 8192
LONGEST_HEAD = 16384
MOST_DISCARDED = 65536
"""Bytes that a peer may send after its request."""

PRIVATE_MODE = 0o600
"""Of a socket file whose address says nothing else: what is told is for those who run the server."""

log = getLogger("lasthop")

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (/[!-~]*) HTTP/1\.[01]")
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 414: "URI Too Long", 431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip


class Answer(NamedTuple):
    """What a page gives."""

    status: int
    type: str
    body: str


Page = Callable[[], Answer]


def own_name() -> str:
    """The abstract name of this process, by which `lasthop status` finds it. Pids repeat from one pid namespace to the other."""
    return f"lasthop/status/{Path('/proc/self/ns/pid').stat().st_ino}/{os.getpid()}"


class StatusSocket:
    """The listener and its connections, in a selector whose data are functions to call."""

    def __init__(self, selector: selectors.BaseSelector, pages: dict[str, Page]) -> None:
        self._selector = selector
        self._pages = pages
        self._text = NONE
        self._refused = ""
        """Why an address could not be opened, so that it is said once."""
        self._waits = False
        self._pausing = False
        self._again_at = 0.0
        self._listeners: list[Listener] = []
        self._connections: list[_Connection] = []

    def open(self, text: str, mkdir: bool, patient: bool = False) -> None:
        """Listen where the setting says. Raises ListenError; one that is `patient` takes the address once it is free."""
        try:
            self._take(text, _opened(text, mkdir, wait=not patient))
        except ListenError as error:
            if not patient:
                raise
            self._waits, self._refused = True, str(error)
            log.info("no status socket as long as its address is taken: %s", error.what)

    def is_lost(self) -> bool:
        """Whether there is something to be tried again: the file was removed or replaced, or the address was another's."""
        return self._waits or any(
            each.file is not None and not each.file.is_ours() for each in self._listeners
        )

    def change(self, text: str, mkdir: bool) -> None:
        """Listen where the setting says now; go on as before where that cannot be had. Makes a lost file again, too."""
        if text == self._text and not self.is_lost():
            return
        try:
            if not self.is_lost() and self._permit(text, mkdir):
                self._text = text
                return
            opened = _opened(text, mkdir, wait=False)
        except ListenError as error:
            if self._refused != str(error):
                self._refused = str(error)
                log.error("the status socket stays as it is: %s", error)
        else:
            self._refused = ""
            self._take(text, opened)
            log.info("status at %s from now on", ", ".join(each.address for each in opened) or "no socket")

    def _permit(self, text: str, mkdir: bool) -> bool:
        """Give the file that is there the permissions that are asked for now, when nothing else has changed."""
        if NONE in (text, self._text) or AUTO in (text, self._text):
            return False
        now, before = parse(text), parse(self._text)
        if str(now) != str(before) or not isinstance(now, UnixAddress):
            return False
        for each in self._listeners:
            if each.file is not None:
                each.file.change(now, permissions(now, _asked(now, mkdir)))
        return True

    def _take(self, text: str, opened: list[Listener]) -> None:
        self._close_listeners()
        self._waits = False
        self._text, self._listeners = text, opened
        self._listen()

    def _listen(self) -> None:
        self._pausing = False
        for each in self._listeners:
            self._selector.register(each.socket, selectors.EVENT_READ, lambda each=each: self._accept(each))

    def _pause(self) -> None:
        """Without descriptors whoever waits cannot be accepted, and would have the loop turn without end."""
        self._pausing = True
        self._again_at = time.monotonic() + PAUSE_SECONDS
        for each in self._listeners:
            self._selector.unregister(each.socket)

    def expire(self, now: float) -> None:
        """Close the connections whose time is up."""
        for each in [each for each in self._connections if each.until <= now]:
            self._end(each)
        if self._pausing and now >= self._again_at:
            self._listen()

    def let_go(self) -> None:
        """In a fork: these are the supervisor's."""
        for connection in self._connections:
            connection.socket.close()
        for listener in self._listeners:
            listener.close(keep_file=True)

    def close(self) -> None:
        """Listen no more."""
        for each in list(self._connections):
            self._end(each)
        self._close_listeners()

    def _close_listeners(self) -> None:
        for each in self._listeners:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(each.socket)
            each.close()
        self._listeners = []

    def _accept(self, listener: Listener) -> None:
        for _ in range(MOST_ACCEPTS):
            try:
                accepted, _ = listener.socket.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._pause()
                return  # else nobody is left, or who was there has gone
            accepted.setblocking(False)
            # A name without a file has no mode that could say who may ask.
            if listener.socket.family == socket.AF_UNIX and listener.file is None and not _is_ours(accepted):
                accepted.close()
                continue
            if len(self._connections) >= MOST_CONNECTIONS:
                self._end(self._connections[0])
            connection = _Connection(accepted)
            self._connections.append(connection)
            self._selector.register(
                accepted, selectors.EVENT_READ, lambda connection=connection: self._turn(connection)
            )

    def _turn(self, connection: "_Connection") -> None:
        if connection.socket.fileno() < 0:
            return  # ended earlier in the same turn
        try:
            if connection.unsent is None and (head := connection.read()) is not None:
                connection.unsent = memoryview(self._reply(head))
                self._selector.modify(
                    connection.socket, selectors.EVENT_WRITE, self._selector.get_key(connection.socket).data
                )
            if connection.unsent is not None and connection.write():
                self._selector.modify(
                    connection.socket, selectors.EVENT_READ, self._selector.get_key(connection.socket).data
                )
        except BlockingIOError:
            return
        except (OSError, EOFError):
            self._end(connection)

    def _end(self, connection: "_Connection") -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()
        self._connections.remove(connection)

    def _reply(self, head: bytes) -> bytes:
        status, method, path = understood(head)
        page = self._pages.get(path)
        allow = ""
        if status != 200:
            answer = Answer(status, "text/plain", "this is no request that is understood here\n")
        elif page is None:
            answer = Answer(404, "text/plain", f"there are {', '.join(self._pages)}\n")
        elif method not in ("GET", "HEAD"):
            answer, allow = Answer(405, "text/plain", "GET or HEAD\n"), "Allow: GET, HEAD\r\n"
        else:
            try:
                answer = page()
            except Exception:
                # Whatever it is, the supervisor has more to do than this.
                log.exception("no status could be told")
                answer = Answer(500, "text/plain", "an error; the log tells\n")
        body = answer.body.encode("utf-8", "backslashreplace")
        return (
            f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\nContent-Type: {answer.type}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            f"{allow}Connection: close\r\n\r\n"
        ).encode() + (body if method != "HEAD" else b"")


class _Connection:
    """One peer: its head is read, an answer is sent, and it is waited for to close."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.until = time.monotonic() + PEER_SECONDS
        self.unsent: memoryview | None = None
        self._head = bytearray()
        self._done = False
        self._discarded = 0

    def read(self) -> bytes | None:
        """The head, once it is whole or too long; EOFError when the peer has gone."""
        piece = self.socket.recv(LONGEST_HEAD)
        if not piece:
            raise EOFError
        self._head += piece
        if b"\r\n\r\n" in self._head or len(self._head) > LONGEST_HEAD:
            return bytes(self._head)
        return bytes(self._head) if b"\n" not in self._head and len(self._head) > LONGEST_LINE else None

    def write(self) -> bool:
        """Send what is left. True when that was the last: then the peer is to close, or else what it still sends would undo the answer."""
        if self._done:
            piece = self.socket.recv(LONGEST_HEAD)
            self._discarded += len(piece)
            if not piece or self._discarded > MOST_DISCARDED:
                raise EOFError
            return False
        assert self.unsent is not None
        self.unsent = self.unsent[self.socket.send(self.unsent) :]
        if self.unsent:
            return False
        self.socket.shutdown(socket.SHUT_WR)
        self._done = True
        return True


def understood(head: bytes) -> tuple[int, str, str]:
    """A status, and with 200 the method and the path. Strict: what is not HTTP/1 to the letter is 400."""
    line, _, rest = head.partition(b"\r\n")
    if len(line) > LONGEST_LINE:
        return 414, "", ""
    fields, end, _ = rest.partition(b"\r\n\r\n") if not rest.startswith(b"\r\n") else (b"", b"\r\n", b"")
    if not end:
        return 431, "", ""
    found = _LINE.fullmatch(line)
    if found is None or not all(_FIELD.fullmatch(each) for each in fields.split(b"\r\n") if fields):
        return 400, "", ""
    return 200, found[1].decode(), found[2].partition(b"?")[0].decode()


def _is_ours(accepted: socket.socket) -> bool:
    try:
        return peer_of(accepted).uid in (0, os.geteuid())
    except OSError:
        return False


def _opened(text: str, mkdir: bool, wait: bool = True) -> list[Listener]:
    """`wait`: for what a server before us has left; one that serves must not."""
    if text == NONE:
        return []
    address: Address
    if text == AUTO:
        try:
            address = AbstractAddress(own_name())
            return Opener({}, BACKLOG).open(address)
        except (OSError, ListenError) as error:
            log.warning("there is no status socket: %s", error)
            return []
    address = parse(text)
    opener = Opener({}, BACKLOG)
    if not isinstance(address, UnixAddress):
        return opener.open(address)
    asked = _asked(address, mkdir)
    return opener.open(address, asked) if wait else [opener.reopen(address, asked)]


def _asked(address: UnixAddress, mkdir: bool) -> Asked:
    return Asked(mode=None if address.owner or address.group else PRIVATE_MODE, mkdir=mkdir)
