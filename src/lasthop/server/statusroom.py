"""Everything by which a server can be watched, as one thing for the supervisor: the queues are looked at, and whoever asks is answered."""

import json
import selectors
import time
from collections.abc import Callable

from lasthop.server import metrics
from lasthop.server.crew import Crew
from lasthop.server.queuewatch import Load, QueueWatch
from lasthop.server.ready import Systemd
from lasthop.server.status import SERVING, Account, Standing
from lasthop.server.statussocket import Answer, StatusSocket
from lasthop.server.target import Target

LOOK_SECONDS = 1.0


class StatusRoom:
    """Knows what to look at and what to answer; where the supervisor stands it asks each time."""

    def __init__(
        self,
        target: Target,
        selector: selectors.BaseSelector,
        crew: Crew,
        systemd: Systemd,
        standing: Callable[[], Standing],
    ) -> None:
        self._crew = crew
        self._systemd = systemd
        self._standing = standing
        self._started = time.time()
        self._look_at = 0.0
        self._generation = 0
        self._watch = QueueWatch(self._load)
        self._account = Account(target, crew, self._watch)
        pages = {"/status": self._status, "/metrics": self._metrics, "/ready": self._ready}
        self._socket = StatusSocket(selector, pages)

    def open(self, patient: bool = False) -> None:
        """Listen for those who ask. Raises ListenError; one that is `patient` waits until the address is free."""
        generation = self._standing().generation
        self._generation = generation.number
        self._socket.open(generation.settings.status_socket, generation.settings.socket_mkdir, patient)

    def look(self, now: float) -> None:
        """What is due by the clock."""
        standing = self._standing()
        self._socket.expire(now)
        if standing.stopping or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        generation, settings = standing.generation, standing.generation.settings
        if generation.number != self._generation or self._socket.is_lost():
            self._generation = generation.number
            self._socket.change(settings.status_socket, settings.socket_mkdir)
        if self._watch.look(generation.listeners, now) and standing.announced:
            crowded = self._watch.crowded()
            self._systemd.status("; ".join(filter(None, (generation.status, crowded))))

    def let_go(self) -> None:
        """In a fork."""
        self._socket.let_go()

    def close(self) -> None:
        """At the end."""
        self._socket.close()

    def _load(self) -> Load:
        serving = [child for child in self._crew.children if child.stage in SERVING]
        total = self._crew.tally.total(serving)
        generation = self._standing().generation
        return Load(
            total.get("busy", 0),
            len(serving) * generation.threads,
            total.get("connections", 0),
            len(serving) * generation.connections,
        )

    def _status(self) -> Answer:
        document = self._account.document(self._standing())
        return Answer(200, "application/json", json.dumps(document, indent=2) + "\n")

    def _metrics(self) -> Answer:
        document = self._account.document(self._standing())
        return Answer(200, metrics.CONTENT_TYPE, metrics.written(document, self._started))

    def _ready(self) -> Answer:
        ready, words = self._account.readiness(self._standing())
        return Answer(200 if ready else 503, "text/plain", f"{words}\n")
