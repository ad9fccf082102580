"""The listeners that a supervisor owns, by the text of ``--bind``, so that a change of settings touches only what changed."""

import logging
import os
import socket
from collections.abc import Iterable

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
        self._addresses: dict[str, address.Address] = {}
        self._replaced: list[tuple[str, list[Listener]]] = []
        """Those whose file was lost and for which a reload has opened others; which of them stay, `keep` is told."""

    def open(
        self, binds: tuple[str, ...], asked: permissions.Asked = permissions.NOTHING_ASKED
    ) -> list[Listener]:
        """The listeners of these addresses, opened where they are not yet or have lost their file; all, or none is opened.

        A socket file that is there already gets the permissions that are asked for now.
        """
        addresses = list(dict.fromkeys(address.parse(text) for text in binds))
        for at, each in enumerate(addresses):
            if str(each) in map(str, addresses[:at]):
                raise ListenError(
                    each, "the address stands there twice, with different permissions", "one of the two"
                )
        opened: dict[str, list[Listener]] = {}
        try:
            for each in addresses:
                if str(each) not in self._open or _is_lost(self._open[str(each)]):
                    opened[str(each)] = self._opener.open(each, asked)
                elif isinstance(each, address.UnixAddress):
                    self._change(each, asked)
        except BaseException:
            _close(opened.values())
            raise
        for listeners in opened.values():
            for listener in listeners:
                taken = listener in self._opener.adopted
                log.info("%s %s", "taking over" if taken else "listening at", described(listener))
        self._opener.use({})
        self._replaced += [(text, self._open[text]) for text in opened if text in self._open]
        self._open |= opened
        self._addresses |= {str(each): each for each in addresses}
        return [listener for each in addresses for listener in self._open[str(each)]]

    def use(self, handed: dict[str, socket.socket]) -> None:
        """For the next `open`: where an address asks for what these listen at, take them (by `Listener.key`)."""
        self._opener.use(handed)

    def own(self) -> list[Listener]:
        """Those that this server made, or took over from one that did: the others belong to whoever passed them."""
        inherited = (address.FdAddress, address.SystemdAddress)
        return [
            listener
            for text, listeners in self._open.items()
            if not isinstance(self._addresses[text], inherited)
            for listener in listeners
        ]

    def prepare(self, asked: permissions.Asked) -> None:
        """Give the files that are being taken over what is asked for, and become the one whom others find there. Raises ListenError."""
        for text, listeners in self._open.items():
            at = self._addresses[text]
            if isinstance(at, address.UnixAddress) and any(
                each in self._opener.adopted for each in listeners
            ):
                self._change(at, asked)
        self.renew(self._opener.adopted)

    def own_adopted(self) -> None:
        """Nobody else has what was taken over any more: its files are ours to remove."""
        for listener in self._opener.adopted:
            if listener.file is not None:
                listener.file.take()
        self._opener.adopted.clear()

    def renew(self, listeners: list[Listener]) -> None:
        """Listen once more: the length of the queue, and the pid that the kernel tells peers, are those of the last who did."""
        for listener in listeners:
            listener.socket.listen(self._opener.backlog)

    def put_back(self, listeners: list[Listener]) -> None:
        """Undo what another server has done to these, which was to take them over and did not."""
        for listener in listeners:
            if listener.file is not None:
                try:
                    listener.file.put_back(address.UnixAddress(str(listener.file.path)))
                except (ListenError, OSError) as error:
                    log.error("%s", error)
        self.renew(listeners)

    def _change(self, each: address.UnixAddress, asked: permissions.Asked) -> None:
        wanted = permissions.permissions(each, asked)
        for listener in self._open[str(each)]:
            if listener.file is not None:
                before = described(listener)
                listener.file.change(each, wanted)
                if described(listener) != before:
                    log.info("now listening at %s", described(listener))

    def restore(self, lost: Listener, asked: permissions.Asked) -> Listener:
        """Another listener in the place of one whose file is lost. The workers have the lost one until they leave."""
        text = next(text for text, own in self._open.items() if lost in own)
        at = self._addresses[text]
        assert isinstance(at, address.UnixAddress)
        assert lost.file is not None
        made = self._opener.reopen(at._replace(path=str(lost.file.path)), asked)
        self._open[text] = [made]
        lost.close(keep_file=True)
        return made

    def keep(self, listeners: list[Listener]) -> None:
        """Close all others: the settings no longer name them, or others have taken their place."""
        kept: dict[str, list[Listener]] = {}
        gone: list[list[Listener]] = []
        for text, own in (*self._open.items(), *self._replaced):
            if any(each in listeners for each in own):
                kept[text] = own
            else:
                gone.append(own)
        self._open, self._replaced = kept, []
        _close(gone)

    def let_go(self, keep: list[Listener]) -> None:
        """In a fork: close those that it does not need. A listener is open for peers until the last process has closed it."""
        for listeners in (*self._open.values(), *(own for _, own in self._replaced)):
            for listener in listeners:
                if listener not in keep:
                    listener.close(keep_file=True)

    def close(self) -> None:
        self.keep([])


def _is_lost(listeners: list[Listener]) -> bool:
    return any(each.file is not None and not each.file.is_ours() for each in listeners)


def described(listener: Listener) -> str:
    """An address for the log, with what decides who may connect."""
    if listener.file is None:
        return listener.address
    file = listener.file
    return f"{listener.address} ({permissions.described(file.uid, file.gid, file.mode)})"


def _close(groups: Iterable[list[Listener]]) -> None:
    for listeners in groups:
        for listener in listeners:
            listener.close()
