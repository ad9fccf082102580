"""The listeners that a supervisor owns, by the text of ``--bind``, so that a change of settings touches only what changed."""

import logging
import os

from lasthop.errors import ListenError
from lasthop.link import address, backlog, permissions
from lasthop.link.listener import Listener, Opener

log = logging.getLogger("lasthop")


class Listening:
    """All listeners of this server."""

    def __init__(self, asked_backlog: int) -> None:
        length, warning = backlog.queue_length(asked_backlog, backlog.kernel_limit())
        if warning:
            log.warning("%s", warning)
        self._opener = Opener(os.environ, length)
        self._open: dict[str, list[Listener]] = {}

    def open(self, binds: tuple[str, ...], asked: permissions.Asked | None = None) -> list[Listener]:
        """The listeners of these addresses, opened where they are not yet; all of them, or none is opened.

        A socket file that is there already gets the permissions that are asked for now.
        """
        self._opener.asked = asked or permissions.Asked()
        addresses = list(dict.fromkeys(address.parse(text) for text in binds))
        for at, each in enumerate(addresses):
            if str(each) in map(str, addresses[:at]):
                raise ListenError(
                    each, "the address stands there twice, with different permissions", "one of the two"
                )
        opened: dict[str, list[Listener]] = {}
        try:
            for each in addresses:
                if str(each) not in self._open:
                    opened[str(each)] = self._opener.open(each)
                elif isinstance(each, address.UnixAddress):
                    self._change(each)
        except BaseException:
            _close(opened)
            raise
        for listeners in opened.values():
            for listener in listeners:
                log.info("listening at %s", described(listener))
        self._open |= opened
        return [listener for each in addresses for listener in self._open[str(each)]]

    def _change(self, each: address.UnixAddress) -> None:
        wanted = permissions.permissions(each, self._opener.asked)
        for listener in self._open[str(each)]:
            if listener.file is not None:
                before = described(listener)
                listener.file.change(each, wanted)
                if described(listener) != before:
                    log.info("now listening at %s", described(listener))

    def keep(self, listeners: list[Listener]) -> None:
        """Close all others: the settings no longer name them."""
        gone = {text: own for text, own in self._open.items() if not any(each in listeners for each in own)}
        for text in gone:
            del self._open[text]
        _close(gone)

    def let_go(self, keep: list[Listener]) -> None:
        """In a fork: close those that it does not need. A listener is open for peers until the last process has closed it."""
        for listeners in self._open.values():
            for listener in listeners:
                if listener not in keep:
                    listener.close(keep_file=True)

    def close(self) -> None:
        _close(self._open)
        self._open = {}


def described(listener: Listener) -> str:
    """An address for the log, with what decides who may connect."""
    if listener.file is None:
        return listener.address
    file = listener.file
    return f"{listener.address} ({permissions.described(file.uid, file.gid, file.mode)})"


def _close(groups: dict[str, list[Listener]]) -> None:
    for listeners in groups.values():
        for listener in listeners:
            listener.close()
