"""What the workers have counted: those that live, by their pages of shared memory, and together with those that are gone.

Knows the names of the counters only from the workers themselves: the engine that counts is never loaded in the supervisor.
"""

from collections import Counter
from collections.abc import Iterable

from lasthop.server.child import Child, Stage
from lasthop.server.slots import Slots

COUNTER_BYTES = 8

NOW = ("connections", "busy")
"""Counters that go down as well: a worker that is gone has none."""


class Tally:
    """Counts over the life of the server."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._gone: Counter[str] = Counter()
        self.died = 0
        """Workers that ended without having been told to."""

    def of(self, child: Child) -> dict[str, int]:
        """The counters of one worker, by name; none before it is ready."""
        return {
            name: self._slots.read(child.slot, COUNTER_BYTES * at) for at, name in enumerate(child.counters)
        }

    def total(self, children: Iterable[Child]) -> dict[str, int]:
        """Of these workers and all that are gone."""
        found = Counter(self._gone)
        for child in children:
            found.update(self.of(child))
        return dict(found)

    def bury(self, child: Child) -> None:
        """The process is gone; its page is about to be another's."""
        self._gone.update({name: count for name, count in self.of(child).items() if name not in NOW})
        if child.stage in (Stage.SERVING, Stage.RETIRING) or (child.stage is Stage.STUCK and child.ready_at):
            self.died += 1
