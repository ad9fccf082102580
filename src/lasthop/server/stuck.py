"""Which workers are stuck: none of their threads has turned, or they have been loading the application without a sign, for longer than ``--timeout``.

When the supervisor itself was held up, a frozen container or a debugger, everybody was, and nobody is to blame.
"""

from collections.abc import Callable, Iterable

from lasthop.server.child import Child, Stage

HELD_UP_SECONDS = 2.0
"""The supervisor looks at least once a second. Twice that late, it did not run."""
RESTING_SECONDS = 2.0
"""A worker that has nothing to do looks once a second whether it turns, and may see it a second late."""


class StuckWatch:
    """Looks at workers from time to time. All times are seconds of the monotonic clock."""

    def __init__(self, now: float) -> None:
        self._looked = now
        self._awake_since = now

    def stuck(
        self, children: Iterable[Child], turned: Callable[[Child], float], timeout: float, now: float
    ) -> list[tuple[Child, float]]:
        """Those whose last turn is longer ago than the time-out (0: never), and how long."""
        if now - self._looked > HELD_UP_SECONDS:
            self._awake_since = now
        self._looked = now
        if not timeout:
            return []
        still = []
        for child in children:
            if child.stage in (Stage.SERVING, Stage.RETIRING):
                last = max(turned(child) + RESTING_SECONDS, child.ready_at, self._awake_since)
                still.append((child, now - last))
            elif child.stage is Stage.BOOTING and child.pid is not None:
                still.append((child, now - max(child.moved_at, self._awake_since)))
        return [(child, seconds) for child, seconds in still if seconds > timeout]
