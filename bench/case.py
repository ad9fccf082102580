"""What a case is: one question, asked of some servers in every round, and what its table shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.measure import Figures, Stand, Work
from bench.server import Server

HERE = "bench.applications"
LINKS = ("unix", "tcp")
LOAD_COLUMNS = ("cpu_us", "requests_per_second", "p50_us", "p99_us", "worst_us")


@dataclass(frozen=True)
class Case:
    """One question, asked of some servers in every round."""

    name: str
    asks: str
    """The question in words, for the reader of the table."""
    servers: tuple[str, ...]
    work: Work
    measure: Callable[[Stand, Server, Work], Figures]
    columns: tuple[str, ...]
    """The figures that its table shows, in order."""
    missing: Callable[[], str | None] = lambda: None
    """Why it cannot be asked on this machine, with the command that helps."""
    without: Mapping[str, str] = field(default_factory=dict)
    """Servers that a reader would look for in the table, with the reason why they cannot be asked."""
    quick: bool = True
    """Whether ``--quick`` asks it."""
