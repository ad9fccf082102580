"""A worker as the supervisor sees it: a pid, a channel, a page of counters, and how far it is in its life."""

import contextlib
import enum
import os
import signal
import socket
import time


class Stage(enum.Enum):
    """How far a worker is. BOOTING → SERVING → RETIRING → LEAVING; STUCK can follow any of the last three."""

    BOOTING = enum.auto()
    SERVING = enum.auto()
    RETIRING = enum.auto()
    """Has served as many requests as it should; serves on until another is ready."""
    LEAVING = enum.auto()
    STUCK = enum.auto()
    """Was sent SIGABRT to write where its threads stand."""


LEAST_SECONDS = 0.5
"""What a worker has to end in, even with a graceful time-out of 0: one that is idle, and its application, end in order."""


class Child:
    """One worker process."""

    def __init__(self, generation: int, slot: int, channel: socket.socket) -> None:
        self.generation = generation
        self.slot = slot
        self.channel = channel
        self.pid: int | None = None
        """Unknown until the worker says it, when a loader forked it."""
        self.stage = Stage.BOOTING
        self.started_at = time.monotonic()
        self.moved_at = self.started_at
        """When it was last seen to go on while it boots: a start that waits in an event loop may take its time."""
        self.ready_at = 0.0
        self.turned_at = 0
        """Where in its page it notes when it last turned, in nanoseconds of the monotonic clock."""
        self.counters: tuple[str, ...] = ()
        """The names of the counters in its page, in their order."""
        self.accepts = True
        """Whether a new connection may still reach it: it says so once it has closed its listeners."""
        self.kill_at: float | None = None
        self.failure: tuple[int, str] | None = None
        """The exit code and text of a worker that could not boot."""

    @property
    def counts(self) -> bool:
        """Whether it is one of those that should be there."""
        return self.stage in (Stage.BOOTING, Stage.SERVING)

    def became_ready(self, turned_at: int, counters: str = "") -> None:
        self.ready_at = time.monotonic()
        self.turned_at = turned_at
        self.counters = tuple(counters.split(",")) if counters else ()
        if self.stage is Stage.BOOTING:
            self.stage = Stage.SERVING

    def signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def drain(self, linger: float, kill_after: float) -> None:
        """Have it answer what is in flight, and what comes on open connections for ``linger`` seconds more."""
        if self.stage is Stage.STUCK:
            return
        with contextlib.suppress(OSError):
            self.channel.send(b"drain %f" % linger)
        if self.stage is Stage.BOOTING:
            self.signal(signal.SIGTERM)  # it serves nobody yet and hears no channel
        self._leave(kill_after)

    def stop(self, kill_after: float) -> None:
        """Have it end as soon as its requests in hand have."""
        if self.stage is Stage.STUCK:
            return
        self.signal(signal.SIGINT)  # not SIGQUIT, which leaves a core of a worker that still boots
        self._leave(kill_after)

    def abort(self, kill_after: float) -> None:
        """Have it write where its threads stand, and die."""
        self.signal(signal.SIGABRT)
        self._leave(kill_after)
        self.stage = Stage.STUCK

    def _leave(self, kill_after: float) -> None:
        self.stage = Stage.LEAVING
        at = time.monotonic() + max(kill_after, LEAST_SECONDS)
        self.kill_at = at if self.kill_at is None else min(at, self.kill_at)
