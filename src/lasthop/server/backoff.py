"""When to start another worker after one has died: at once if it had lived well, ever more slowly if they die in a row.

Knows no clock and no process: it is told how long a worker lived, and answers how long to wait.
"""

LIVED_WELL_SECONDS = 1.0
"""A worker that served for so long is replaced at once: what killed it was not its start."""

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0
"""A machine that comes back (a database, a disk) is noticed within this time, and the log stays readable until then."""


class Backoff:
    """Counts the deaths in a row."""

    def __init__(self) -> None:
        self._quick_deaths = 0

    def delay_after(self, lived_seconds: float) -> float:
        """Seconds to wait before the next start. The first quick death is forgiven."""
        if lived_seconds >= LIVED_WELL_SECONDS:
            self._quick_deaths = 0
            return 0.0
        self._quick_deaths += 1
        if self._quick_deaths == 1:
            return 0.0
        return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * (1 << min(self._quick_deaths - 2, 16)))
