"""All processes of a server but the supervisor itself: forked here, heard here, buried here.

The supervisor decides; this module knows how. A fork does not return into the supervisor's code: it unwinds to the top as a
``Forked``, so that a worker stands on a short stack, runs none of the supervisor's clean-up and ends as any program does.
"""

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Callable, Iterator

from lasthop.link.listener import Listener
from lasthop.server import worker
from lasthop.server.child import Child, Stage
from lasthop.server.generation import Generation, Loader
from lasthop.server.signals import hold, release
from lasthop.server.slots import Slots
from lasthop.server.tally import Tally


class Forked(BaseException):
    """Raised in a new process, all signals held: let go of what is the supervisor's alone, then become what it should be."""

    def __init__(self, become: Callable[[], int], listeners: list[Listener]) -> None:
        super().__init__()
        self.become = become
        self.listeners = listeners
        """Those that the new process needs."""


class Crew:
    """The child processes and the channels to them."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.children: list[Child] = []
        self.watcher: Loader | None = None
        self._loaders: list[Loader] = []
        self._selector = selector
        self._slots = Slots()
        self.tally = Tally(self._slots)

    def of(self, generation: Generation) -> list[Child]:
        return [child for child in self.children if child.generation == generation.number]

    def accept_before(self, generation: Generation) -> bool:
        """Whether a new connection may still reach a worker of an older generation."""
        return any(child.accepts for child in self.children if child.generation < generation.number)

    def start(self, generation: Generation) -> None:
        """Start one worker; with ``--preload`` the generation's loader forks it."""
        ours, theirs = _channel()
        child = Child(generation.number, self._slots.take(), ours)
        self._add(ours, child)
        self.children.append(child)
        if generation.loader is None:
            post = generation.post(theirs, self._slots.descriptor, child.slot)
            try:
                child.pid = _fork(lambda: worker.work(post), generation.listeners)
            except OSError:
                theirs.close()
                self.remove(child)
                raise
        else:
            with contextlib.suppress(OSError):  # a loader that is gone is noticed as such
                socket.send_fds(generation.loader.channel, [b"fork %d" % child.slot], [theirs.fileno()])
        theirs.close()

    def replace(self, generation: Generation) -> None:
        """Have others started for its workers, with the listeners that it has now; these serve on until the others are ready."""
        self.end_loader(generation)
        for child in self.of(generation):
            if child.stage is Stage.SERVING:
                child.stage = Stage.RETIRING

    def start_loader(self, generation: Generation) -> None:
        """Start the process that imports the application for a generation."""
        from lasthop.server import loader

        ours, theirs = _channel()
        generation.loader = Loader(ours)
        self._loaders.append(generation.loader)
        self._add(ours, generation.loader)
        post = loader.LoaderPost(theirs, generation.post(theirs, self._slots.descriptor, -1))
        try:
            generation.loader.pid = _fork(lambda: loader.load(post), generation.listeners)
        except OSError:
            theirs.close()
            self.bury_loader(generation.loader)
            generation.loader = None
            raise
        theirs.close()

    def start_watcher(self, directories: list[str]) -> None:
        """Start the process that tells of changed source files."""
        from lasthop.server import reload

        ours, theirs = _channel()
        self.watcher = Loader(ours)
        self._add(ours, self.watcher)
        self.watcher.pid = _fork(lambda: reload.watch(theirs, directories), [])
        theirs.close()

    def end_loader(self, generation: Generation) -> None:
        """Its workers stay; the loader ends with its channel, or by a signal while it still imports."""
        ended, generation.loader = generation.loader, None
        if ended is not None:
            if not ended.loaded and ended.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(ended.pid, signal.SIGTERM)
            self._forget(ended.channel)

    def end_watcher(self) -> None:
        if self.watcher is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.watcher.pid, signal.SIGTERM)
            self._forget(self.watcher.channel)
            self.watcher = None

    def hear(self, sender: Child | Loader) -> Iterator[bytes]:
        """The messages that wait on a channel; at its end it is no longer listened to."""
        while sender.channel.fileno() >= 0:
            try:
                message = sender.channel.recv(worker.LONGEST_MESSAGE + 64)
            except BlockingIOError:
                return
            except ConnectionError:
                message = b""
            if not message:
                self._forget(sender.channel)
                return
            yield message

    def buried(self) -> Iterator[tuple[Child | Loader | None, int, int]]:
        """Whoever has ended: the process as we know it (None: some descendant's descendant), its pid and its wait status."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            yield self._known(pid), pid, status

    def lost(self) -> list[Child]:
        """Workers whose channel ended before they could say who they are: a loader died in the middle."""
        return [child for child in self.children if child.pid is None and child.channel.fileno() < 0]

    def remove(self, child: Child) -> None:
        """The process is gone."""
        self._forget(child.channel)
        self.tally.bury(child)
        self._slots.give_back(child.slot)
        self.children.remove(child)

    def turned(self, child: Child) -> float:
        """When a worker last turned, in seconds of the monotonic clock."""
        return self._slots.read(child.slot, child.turned_at) / 1_000_000_000

    def overdue(self, now: float) -> list[Child]:
        """Those that should have gone by now."""
        return [child for child in self.children if child.kill_at is not None and child.kill_at <= now]

    def let_go(self) -> None:
        """In a fork: these channels are the supervisor's, and a copy left open would hide its death from the others."""
        for each in self._everybody():
            each.channel.close()

    def close(self) -> None:
        """Leave nobody behind: for the end, and for a supervisor that failed."""
        self.end_watcher()
        for child in self.children:
            child.signal(signal.SIGKILL)
        for each in self._everybody():
            self._forget(each.channel)
        self._slots.close()

    def _known(self, pid: int) -> Child | Loader | None:
        return next((each for each in self._everybody() if each.pid == pid), None)

    def _everybody(self) -> list[Child | Loader]:
        return [*self.children, *self._loaders, *([self.watcher] if self.watcher is not None else [])]

    def bury_loader(self, ended: Loader) -> None:
        self._forget(ended.channel)
        if ended in self._loaders:
            self._loaders.remove(ended)

    def _add(self, channel: socket.socket, sender: Child | Loader) -> None:
        self._selector.register(channel, selectors.EVENT_READ, sender)

    def _forget(self, channel: socket.socket) -> None:
        if channel.fileno() >= 0:
            with contextlib.suppress(KeyError):
                self._selector.unregister(channel)
            channel.close()


def _channel() -> tuple[socket.socket, socket.socket]:
    """The supervisor's end, which never blocks it, and the other's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


def _fork(become: Callable[[], int], listeners: list[Listener]) -> int:
    hold()
    try:
        pid = os.fork()
    except OSError:
        release()
        raise
    if pid == 0:
        raise Forked(become, listeners)
    release()
    return pid


def how_it_ended(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    hint = ", perhaps by the kernel for want of memory" if -code == signal.SIGKILL else ""
    return f"was ended by {name}{hint}"
