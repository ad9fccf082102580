"""How much of the cores others used during a measurement: a figure taken on a busy machine has to say so."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from bench.process import Cores

TICKS = os.sysconf("SC_CLK_TCK")
BUSY = (0, 1, 2, 5, 6, 7)
"""Places in a processor's line of /proc/stat: user, nice, system, irq, softirq, and what the hypervisor stole."""


def process_clock(pid: int) -> int:
    """The kernel's clock of a process's CPU time, as ``clock_gettime`` takes it (MAKE_PROCESS_CPUCLOCK)."""
    return (~pid << 3) | 2


def _cpu_seconds(pid: int) -> float:
    try:
        return time.clock_gettime(process_clock(pid))
    except OSError:
        return 0.0


def busy_ticks(stat: str, cores: set[int]) -> int:
    """The time that these cores were not idle, out of the text of /proc/stat."""
    names = {f"cpu{core}" for core in cores}
    found = (words for words in map(str.split, stat.splitlines()) if words and words[0] in names)
    return sum(int(words[1 + place]) for words in found for place in BUSY)


class Watch:
    """From its making on, counts what the bench's own processes use of their cores and what all use.

    The kernel may count a core's busy time by sampling it, so a few hundredths of a core mean nothing.
    """

    def __init__(self, cores: Cores, pids: list[int]) -> None:
        self._cores = {cores.server, cores.load, cores.front}
        self._pids = pids
        self._begun = time.monotonic()
        self._all = self._busy()
        self._own = self._used()

    def _busy(self) -> float:
        return busy_ticks(Path("/proc/stat").read_text(), self._cores) / TICKS

    def _used(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime + sum(map(_cpu_seconds, [*self._pids, os.getpid()]))

    def foreign_share(self) -> float:
        """What others used, as a share of one core."""
        others = (self._busy() - self._all) - (self._used() - self._own)
        return max(0.0, others / (time.monotonic() - self._begun))
