"""What a server says of itself: one document, made when somebody asks, out of what the supervisor knows and the workers have counted.

Never in it: anything of requests, headers, the environment, or a factory's arguments. Knows no socket and no HTTP; who asks, and
how, is the matter of statussocket.py.
"""

import os
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from lasthop import __version__
from lasthop.link import queues
from lasthop.link.listener import Listener
from lasthop.server.child import Child, Stage
from lasthop.server.crew import Crew
from lasthop.server.generation import Generation
from lasthop.server.queuewatch import QueueWatch
from lasthop.server.target import Target

TOLD_SETTINGS = (
    "threads", "max_connections", "backlog", "timeout", "graceful_timeout", "keep_alive", "max_requests", "preload",
)  # fmt: skip

COUNTERS = {
    "requests": "requests",
    "connections": "connections",
    "threads_busy": "busy",
    "accepted": "accepted",
    "failed": "errors",
    "refused": "refused",
    "timed_out": "timed_out",
    "strangers": "strangers",
    "sent_bytes": "sent_bytes",
}
"""What is told of each worker and of all together, and the engine's name of it."""

SERVING = (Stage.SERVING, Stage.RETIRING)


class Standing(NamedTuple):
    """Where the supervisor stands at this moment."""

    generation: Generation
    announced: bool
    reloading: bool
    stopping: bool


class Account:
    """Gives the document, and the answer to the one question that probes ask."""

    def __init__(self, target: Target, crew: Crew, watch: QueueWatch) -> None:
        name, arguments, _ = target.text.partition("(")
        self._target = f"{name}(…)" if arguments and not target.text.endswith("()") else target.text
        self._crew = crew
        self._watch = watch
        self._started = time.time()
        self._started_at = time.monotonic()

    def readiness(self, standing: Standing) -> tuple[bool, str]:
        """Whether requests are served, and how it is in a line."""
        if standing.stopping:
            return False, "stopping"
        if not standing.announced:
            return False, "starting"
        if not any(child.stage in SERVING for child in self._crew.children):
            return False, "no worker serves"
        return True, "reloading" if standing.reloading else "ready"

    def document(self, standing: Standing) -> dict[str, Any]:
        """Everything."""
        generation, settings = standing.generation, standing.generation.settings
        if not standing.stopping:  # then they are closed
            self._watch.note(generation.listeners, time.monotonic())
        ready, state = self.readiness(standing)
        overflows = queues.overflows()
        children = self._crew.children
        total = self._crew.tally.total(children)
        serving = sum(child.stage in SERVING for child in children)
        return {
            "lasthop": __version__,
            "pid": os.getpid(),
            "target": self._target,
            "state": state,
            "ready": ready,
            "started": datetime.fromtimestamp(self._started, UTC).isoformat(timespec="milliseconds"),
            "uptime_seconds": round(time.monotonic() - self._started_at, 3),
            "generation": generation.number,
            "reloads": generation.number - 1,
            "settings": {"workers": generation.wanted}
            | {name: getattr(settings, name) for name in TOLD_SETTINGS}
            | {"max_connections": generation.connections},
            "listeners": [self._listener(each) for each in generation.listeners],
            "workers": [self._worker(each) for each in children],
            "totals": {name: total.get(field, 0) for name, field in COUNTERS.items()}
            | {
                "workers_serving": serving,
                "threads": serving * generation.threads,
                "workers_died": self._crew.tally.died,
            },
            "kernel": {
                "scope": "all TCP listeners of this network namespace, since it was made",
                "listen_overflows": overflows.overflows,
                "listen_drops": overflows.drops,
            }
            if overflows is not None
            else None,
        }

    def _listener(self, listener: Listener) -> dict[str, Any]:
        file, queue = listener.file, self._watch.of(listener)
        found: dict[str, Any] = {"address": listener.address, "uid": None, "gid": None, "mode": None}
        if file is not None:
            # Numbers: who asks can look for names, and a directory service that is slow is not to hold this process up.
            found |= {"uid": file.uid, "gid": file.gid, "mode": f"{file.mode:04o}"}
        found["queue"] = (
            {
                "waiting": queue.depth.waiting,
                "holds": queue.depth.holds,
                "backlog": queue.depth.limit,
                "deepest": queue.deepest,
                "deepest_at": datetime.fromtimestamp(queue.deepest_at, UTC).isoformat(timespec="seconds")
                if queue.deepest
                else None,
                "times_full": queue.times_full,
                "seconds_full": round(queue.seconds_full, 1),
            }
            if queue.depth is not None
            else None
        )
        return found

    def _worker(self, child: Child) -> dict[str, Any]:
        counted = self._crew.tally.of(child)
        return {
            "pid": child.pid,
            "generation": child.generation,
            "stage": child.stage.name.lower(),
            "age_seconds": round(time.monotonic() - child.started_at, 3),
            **{name: counted.get(field, 0) for name, field in COUNTERS.items()},
        }
