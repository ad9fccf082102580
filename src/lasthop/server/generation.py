"""A generation: the workers that were started with the same settings and the same code. HUP makes the next one."""

import socket
from logging import getLogger
from typing import TYPE_CHECKING

from lasthop.link.listener import Listener
from lasthop.server.logs import Sink
from lasthop.server.preparing import workers
from lasthop.server.target import Target
from lasthop.server.trust import Trust
from lasthop.server.worker import Post

if TYPE_CHECKING:
    from lasthop.settings import Settings

log = getLogger("lasthop")


class Loader:
    """The process of this generation that has the application in memory (``--preload``)."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.pid = 0
        self.loaded = False
        self.failure: tuple[int, str] | None = None


class Generation:
    """Everything that its workers have in common."""

    def __init__(
        self,
        number: int,
        target: Target,
        settings: "Settings",
        listeners: list[Listener],
        connections: int,
        logs: tuple[Sink, Sink | None],
        trust: Trust,
    ) -> None:
        self.number = number
        self.target = target
        self.settings = settings
        self.listeners = listeners
        self.wanted = workers(settings)
        """How many workers there should be; TTIN and TTOU change it."""
        self.connections = connections
        self.error_log, self.access_log = logs
        self.trust = trust
        self.loader: Loader | None = None
        self._threads = settings.threads

    @property
    def threads(self) -> int:
        """How many requests a worker has room for; 0 when its workers, which know the application, run event loops."""
        return self._threads

    @threads.setter
    def threads(self, said: int) -> None:
        """What a worker says that is ready. Who has asked for threads where there are none is told of it, once."""
        if said == 0 < self._threads and (source := self.settings.given.get("threads")):
            log.warning(
                "threads is %d (%s), but an ASGI application has an event loop, and no threads: --workers is what makes use of processors",
                self._threads,
                source,
            )
        self._threads = said

    @property
    def status(self) -> str:
        """In words, for people."""
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}" if self.threads else "an event loop"
        return f"{self.wanted} workers, {threads} each" if self.wanted > 1 else f"1 worker, {threads}"

    @property
    def what_stands(self) -> str:
        """Of a worker of this generation that is stuck."""
        return "no thread has turned" if self.threads else "its event loop has not turned"

    def post(self, channel: socket.socket, slots: int, slot: int) -> Post:
        """What one of its workers is given."""
        return Post(
            channel=channel,
            slots=slots,
            slot=slot,
            listeners=self.listeners,
            target=self.target,
            settings=self.settings,
            connections=self.connections,
            multiprocess=self.wanted > 1,
            error_log=self.error_log,
            access_log=self.access_log,
            trust=self.trust,
        )
