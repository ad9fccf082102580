"""Hands this server's listening sockets to another lasthop that is to take its place (``--replace``), and tells when it has.

A room of the supervisor's loop: nothing here ever waits, and whoever connects and says nothing, or nonsense, or more than he may, is closed. Until the
other one says that it has taken over, this server serves on and nothing has changed for it. Knows listeners and the pid file; whether
it is a good moment the supervisor says, and what the end of this server means is its matter, too.
"""

import logging
import os
import selectors
import socket
import time
from typing import Any

from lasthop.link.listener import Listener
from lasthop.link.peer import Peer, described, peer_of
from lasthop.server import passing
from lasthop.server.listening import Listening
from lasthop.server.pidfile import PidFile

MOST_PEERS = 8
WORD_SECONDS = 10.0
"""How long a peer may keep us waiting for what it wants."""
REST_SECONDS = 1.0
"""How long nobody is let in after the system had no descriptor for one more."""
QUEUE_LENGTH = 16

log = logging.getLogger("lasthop")


class _Heir:
    """The server that has our sockets and has not said yet that it serves."""

    def __init__(self, peer: Peer, listeners: list[Listener], has_pid_file: bool) -> None:
        self.peer = peer
        self.listeners = listeners
        self.has_pid_file = has_pid_file


class HandOver:
    """The socket at which others ask, whoever is there, and the one that is taking over."""

    def __init__(self, listening: Listening, pid_file: PidFile | None) -> None:
        self._listening = listening
        self._pid_file = pid_file
        self._selector = selectors.EpollSelector()
        self._peers: dict[socket.socket, tuple[Peer, float]] = {}
        self._heir: tuple[socket.socket, _Heir] | None = None
        self._rests_until = 0.0
        self._closed = False
        self.taken_by: int | None = None
        """The pid of the server that has taken over."""
        self._door: socket.socket | None = passing.packets()
        try:
            self._door.setblocking(False)
            self._door.bind(passing.name_of(os.getpid()))
            self._door.listen(QUEUE_LENGTH)
            self._selector.register(self._door, selectors.EVENT_READ)
        except OSError as error:
            log.warning("no other lasthop will be able to take over from this one (--replace): %s", error)
            self._door.close()
            self._door = None

    def fileno(self) -> int:
        """Readable when there is something to do."""
        return self._selector.fileno()

    @property
    def busy(self) -> bool:
        """Whether another server has our sockets and may take over at any moment: nothing should change meanwhile."""
        return self._heir is not None

    def turn(self, hindrance: str) -> bool:
        """Do what there is to do; whether the other one has just taken over. `hindrance`: why this is no moment to begin, or nothing."""
        if self._closed:
            return False
        now = time.monotonic()
        for key, _ in self._selector.select(0):
            assert isinstance(key.fileobj, socket.socket)
            if key.fileobj is self._door:
                self._let_in(now)
            elif key.fileobj.fileno() >= 0:
                self._hear(key.fileobj, hindrance)
        for connection, (_, until) in list(self._peers.items()):
            if now >= until:
                self._close(connection)
        if self._rests_until and now >= self._rests_until and self._door is not None:
            self._rests_until = 0.0
            self._selector.register(self._door, selectors.EVENT_READ)
        if self.taken_by is None or self._heir is None:
            return False
        log.info("%s has taken over; finishing what is in hand, then ending", described(self._heir[1].peer))
        return True

    def let_go(self) -> None:
        """In a fork: its copies would keep from the other one that this process is gone."""
        for each in self._sockets():
            each.close()
        self._selector.close()

    def close(self) -> None:
        """Our server ends: whoever was to get the sockets has them now."""
        if self._closed:
            return
        if self._heir is not None and self.taken_by is None:
            self._hear(self._heir[0], "")  # it may have ended already
        if self._heir is not None:
            self._bequeath(*self._heir)
        for each in self._sockets():
            each.close()
        self._peers.clear()
        self._heir = self._door = None
        self._closed = True
        self._selector.close()

    # Others

    def _sockets(self) -> list[socket.socket]:
        heir = [] if self._heir is None else [self._heir[0]]
        return [*self._peers, *heir, *([] if self._door is None else [self._door])]

    def _let_in(self, now: float) -> None:
        assert self._door is not None
        for _ in range(QUEUE_LENGTH):
            try:
                connection, _ = self._door.accept()
            except BlockingIOError:
                return
            except OSError:
                self._selector.unregister(self._door)
                self._rests_until = now + REST_SECONDS
                return
            peer = peer_of(connection)
            if not passing.is_trusted(peer) or len(self._peers) >= MOST_PEERS:
                log.debug("turned away who asked to take over: pid %d, uid %d", peer.pid, peer.uid)
                connection.close()
                continue
            connection.setblocking(False)
            self._peers[connection] = peer, now + WORD_SECONDS
            self._selector.register(connection, selectors.EVENT_READ)

    def _hear(self, connection: socket.socket, hindrance: str) -> None:
        try:
            message = passing.receive(connection)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            message = None
        if self._heir is not None and connection is self._heir[0]:
            if message is not None and message.get("taken") is True:
                self.taken_by = self._heir[1].peer.pid
            else:
                self._break_off()
        elif message is None:
            self._close(connection)
        else:
            self._answer(connection, message, hindrance)

    def _answer(self, connection: socket.socket, message: passing.Message, hindrance: str) -> None:
        peer = self._peers[connection][0]
        if self._heir is not None:
            who = self._heir[1].peer.pid
            answer = _refusal(
                f"pid {who} is taking over from it just now", f"wait for it, or stop it: kill {who}"
            )
        elif hindrance:
            answer = _refusal(f"it {hindrance}", "try again when it has finished") | {"later": True}
        elif message.get("version") != passing.VERSION or not _is_texts(message.get("take")):
            answer = _refusal(
                "it does not understand what it is asked", "stop it in order, then start the new one"
            )
        else:
            own = {each.key: each for each in self._listening.own()}
            lacking = [key for key in message["take"] if key not in own]
            if lacking:
                answer = _refusal(
                    "the socket there was passed to it and is not its own to pass on",
                    "restart it by whoever passed it the socket; systemd keeps the queue meanwhile",
                ) | {"lacking": lacking}
            else:
                self._hand_over(connection, peer, [own[key] for key in message["take"]], message)
                return
        self._send(connection, answer)
        self._close(connection)

    def _hand_over(
        self, connection: socket.socket, peer: Peer, listeners: list[Listener], message: passing.Message
    ) -> None:
        descriptors = [each.socket.fileno() for each in listeners]
        has_pid_file = self._pid_file is not None and self._pid_file.is_at(message.get("pid_file"))
        if has_pid_file:
            assert self._pid_file is not None
            descriptors.append(self._pid_file.descriptor)
        answer = {"given": [each.key for each in listeners], "pid_file": has_pid_file}
        if not self._send(connection, answer, descriptors):
            self._close(connection)
            return
        del self._peers[connection]
        self._heir = connection, _Heir(peer, listeners, has_pid_file)
        log.info(
            "%s is about to take over %s; serving on until it is ready",
            described(peer),
            ", ".join(each.address for each in listeners),
        )

    def _break_off(self) -> None:
        assert self._heir is not None
        connection, heir = self._heir
        self._heir = None
        self._listening.put_back(heir.listeners)
        self._send(connection, {"kept": True})
        self._selector.unregister(connection)
        connection.close()
        log.warning("pid %d has not taken over; serving on as before", heir.peer.pid)

    def _bequeath(self, connection: socket.socket, heir: _Heir) -> None:
        # Nothing of it may be removed once the other one may have it. One that is gone without having taken over has nothing.
        if not self._send(connection, {"yours": True}) and self.taken_by is None:
            return
        for listener in heir.listeners:
            if listener.file is not None:
                listener.file.give_up()
        if heir.has_pid_file and self._pid_file is not None:
            self._pid_file.give_up()

    def _send(
        self, connection: socket.socket, message: passing.Message, descriptors: list[int] | None = None
    ) -> bool:
        try:
            passing.send(connection, message, descriptors)
        except OSError:
            return False
        return True

    def _close(self, connection: socket.socket) -> None:
        del self._peers[connection]
        self._selector.unregister(connection)
        connection.close()


def _refusal(what: str, hint: str) -> passing.Message:
    return {"refused": what, "hint": hint}


def _is_texts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) < passing.MOST_DESCRIPTORS
        and all(isinstance(each, str) for each in value)
    )
