"""Looks, each second, whether the socket files of this server still lead to it, and makes those again that do not.

A server whose file somebody removed lives on and is reached by nobody, and nothing tells it. An unlinked socket cannot be given a name
again: link(2) wants an inode that has one left, and bind(2) binds once. So there is a new socket under the old rules, and
the workers have to be replaced, since a worker's listeners are those it was started with. A look is one lstat(2) a file.
"""

import enum
import logging
import stat

from lasthop.errors import ListenError
from lasthop.link.listener import Listener
from lasthop.link.permissions import Asked
from lasthop.server.crew import Crew
from lasthop.server.generation import Generation
from lasthop.server.listening import Listening, described
from lasthop.server.preparing import file_permissions

LOOK_SECONDS = 1.0

log = logging.getLogger("lasthop")


class Outcome(enum.Enum):
    """What came of a look."""

    FINE = enum.auto()
    RESTORED = enum.auto()
    """There is a new listener, and the workers are being replaced."""
    EXIT = enum.auto()
    """The server has to end."""


class FileWatch:
    """What was seen last, so that a thing is said once."""

    def __init__(self, listening: Listening, crew: Crew) -> None:
        self._listening = listening
        self._crew = crew
        self._look_at = 0.0
        self._said: dict[str, str] = {}
        """By address, what stands in the way of those whose file is lost."""

    def look(self, generation: Generation, now: float) -> Outcome:
        """Look after the files; a listener that is made again takes the place of the lost one in the generation."""
        if now < self._look_at:
            return Outcome.FINE
        self._look_at = now + LOOK_SECONDS
        listeners, policy = generation.listeners, generation.settings.socket_missing
        outcome = Outcome.FINE
        for at, listener in enumerate(listeners):
            if listener.file is None:
                continue
            if listener.file.is_ours():
                if self._said.pop(listener.address, None) is not None:
                    log.warning("%s leads to this server again", listener.address)
                continue
            if listener.address not in self._said:
                self._said[listener.address] = ""
                log.error(
                    "%s no longer leads to this server: %s. New connections fail",
                    listener.address,
                    _seen(listener),
                )
            if policy == "exit":
                log.critical("ending, as --socket-missing exit says")
                return Outcome.EXIT
            if policy == "restore" and self._restore(listeners, at, file_permissions(generation.settings)):
                outcome = Outcome.RESTORED
        if outcome is Outcome.RESTORED:
            self._crew.replace(generation)
        return outcome

    def _restore(self, listeners: list[Listener], at: int, asked: Asked) -> bool:
        lost = listeners[at]
        try:
            listeners[at] = self._listening.restore(lost, asked)
        except ListenError as error:
            if self._said[lost.address] != str(error):
                self._said[lost.address] = str(error)
                log.error("%s\n  lasthop tries again each second", error)
            return False
        del self._said[lost.address]
        log.warning("made %s again; other workers take over there", described(listeners[at]))
        return True


def _seen(listener: Listener) -> str:
    """What is at the path instead of our file."""
    assert listener.file is not None
    path = listener.file.path
    try:
        found = path.lstat()
    except FileNotFoundError:
        return "the file is gone" if path.parent.is_dir() else f"the directory {path.parent} is gone"
    except OSError as error:
        return f"the file cannot be seen ({error.strerror})"
    kind = "socket" if stat.S_ISSOCK(found.st_mode) else "file"
    return f"another {kind} of uid {found.st_uid} is in its place"
