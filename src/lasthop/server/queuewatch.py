"""Looks, each second, how full the queues of the listeners are, remembers the deepest, and warns before they are full.

A full queue is the commonest reason for a front's 502 over ``unix:``, and nothing else tells of it: the connection that is refused
never reaches the server. Between two looks a queue can fill and empty unseen, so what is remembered is the least that was.
A look is one netlink message a UNIX listener and one getsockopt(2) a TCP listener.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lasthop.link import backlog, queues
from lasthop.link.listener import Listener
from lasthop.link.queues import Depth

QUIET_SECONDS = 60.0
"""For so long the same queue is not warned of again, unless it has become twice as deep, or full."""

LEAST_WORTH_TELLING = 2
"""One connection that waits is nothing, even in the shortest queue."""

log = logging.getLogger("lasthop")


class Load(NamedTuple):
    """What the workers that serve have in hand, and how much they can have."""

    busy: int
    threads: int
    connections: int
    most_connections: int


class Queue:
    """What was seen of one listener's queue."""

    def __init__(self, unix: bool) -> None:
        self.unix = unix
        self.depth: Depth | None = None
        """None where the kernel does not tell."""
        self.deepest = 0
        self.deepest_at = 0.0
        """When, in seconds since the epoch."""
        self.times_full = 0
        self.seconds_full = 0.0
        self.crowded = False
        """Whether it was said to be, and not yet said to be over."""
        self._looked: float | None = None
        self._said_at: float | None = None
        self._said_depth = 0
        self._said_full = False

    def note(self, depth: Depth, now: float) -> None:
        """Take in what a look has found."""
        if depth.waiting > self.deepest:
            self.deepest, self.deepest_at = depth.waiting, time.time()
        if depth.full:
            if self.depth is not None and self.depth.full and self._looked is not None:
                self.seconds_full += now - self._looked
            else:
                self.times_full += 1
        self.depth, self._looked = depth, now

    def worth_a_warning(self, now: float) -> bool:
        """Whether there is news: half full or more, and not said lately or much worse since."""
        depth = self.depth
        if (
            depth is None
            or depth.waiting < LEAST_WORTH_TELLING
            or 2 * depth.waiting < depth.holds
            or (
                self._said_at is not None
                and now - self._said_at < QUIET_SECONDS
                and depth.waiting < 2 * self._said_depth
                and (self._said_full or not depth.full)
            )
        ):
            return False
        self._said_at, self._said_depth, self._said_full = now, depth.waiting, depth.full
        self.crowded = True
        return True

    def is_over(self) -> bool:
        """Whether what was warned of has passed: less than a quarter is left."""
        if self.crowded and (self.depth is not None and 4 * self.depth.waiting < self.depth.holds):
            self.crowded = False
            return True
        return False


class QueueWatch:
    """The queues of all listeners, by address: a listener that is made again at an address goes on where the lost one was."""

    def __init__(self, load: Callable[[], Load]) -> None:
        self._load = load
        self._queues: dict[str, Queue] = {}
        self._said_blind = False

    def of(self, listener: Listener) -> Queue:
        """What was seen of a listener's queue so far."""
        return self._queues.setdefault(listener.address, Queue(unix=listener.address.startswith("unix:")))

    def note(self, listeners: Iterable[Listener], now: float) -> None:
        """Look at the queues of these; others are forgotten."""
        looked_at = [each for each in listeners if each.socket.fileno() >= 0]
        self._queues = {each.address: self.of(each) for each in looked_at}
        for listener, found in zip(looked_at, queues.depths(each.socket for each in looked_at), strict=True):
            queue = self._queues[listener.address]
            if not isinstance(found, OSError):
                queue.note(found, now)
                continue
            queue.depth = None
            if not self._said_blind:
                self._said_blind = True
                hint = (
                    "it was made in another network namespace"
                    if found.errno == errno.ENOENT
                    else "let netlink through (systemd: AF_NETLINK in RestrictAddressFamilies=; a seccomp profile)"
                )
                log.warning(
                    "the depth of the queue of %s is not to be seen (%s), and nothing will warn when it is full; hint: %s",
                    listener.address, found.strerror or found, hint,
                )  # fmt: skip

    def look(self, listeners: Iterable[Listener], now: float) -> bool:
        """The look of each second: note, and say what is worth it. Whether something was said."""
        self.note(listeners, now)
        said = False
        for address, queue in self._queues.items():
            if queue.worth_a_warning(now):
                log.warning("%s", self._warning(address, queue))
                said = True
            elif queue.is_over():
                log.info(
                    "%s: the queue is short again (the deepest seen was %d of %d)",
                    address, queue.deepest, queue.depth.holds if queue.depth is not None else 0,
                )  # fmt: skip
                said = True
        return said

    def crowded(self) -> str:
        """For a status line: the queues that were warned of, empty when there is none."""
        return "; ".join(
            f"{address} queue {queue.depth.waiting} of {queue.depth.holds}"
            for address, queue in self._queues.items()
            if queue.crowded and queue.depth is not None
        )

    def _warning(self, address: str, queue: Queue) -> str:
        assert queue.depth is not None
        load = self._load()
        if queue.unix:
            effect = "over unix: a full queue refuses at once, and the front answers 502"
        else:
            effect = "over TCP a full queue makes clients wait for a second and more, or refuses them"
        if load.threads and load.busy >= load.threads:
            why = f"all {load.threads} threads are busy"
            remedy = "more --threads when requests wait for others, more --workers when they compute"
        elif load.most_connections and load.connections >= load.most_connections:
            why = f"the workers have as many connections as they may, {load.most_connections}"
            remedy = "more --max-connections, or a front that keeps fewer idle ones"
        elif not load.threads:
            why = f"workers accept too slowly ({load.busy} requests are under way)"
            remedy = "more --workers, or a look at what holds their event loops up"
        else:
            why = f"workers accept too slowly ({load.busy} of {load.threads} threads are busy)"
            remedy = "more --workers, or a look at what holds them up (lasthop status)"
        longer = (
            f"a longer queue (--backlog; the kernel allows {backlog.kernel_limit()})"
            if queue.depth.limit < backlog.kernel_limit()
            else "for bursts a longer queue (sysctl net.core.somaxconn, then a restart)"
        )
        return (
            f"{address}: {queue.depth.waiting} connections wait in the queue, which holds {queue.depth.holds}"
            f"{' and is full' if queue.depth.full else ''}; {why}; {effect}\n"
            f"  hint: {remedy}; {longer}"
        )
