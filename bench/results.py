"""What a run found: one record for each measurement, kept as JSON, and the statistics over rounds.

Every comparison is paired: a ratio is taken within each round, where both servers were measured within a minute,
and the ratio that is told is the median of the rounds' ratios. So a machine that is slower in the third round than in
the first does no harm.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

DISTURBED = 0.10
"""Above this share of a core used by other processes, a measurement is called disturbed."""


def left_out_as(server: str, python: str) -> str:
    """How a server that cannot be measured is named: without the role of its Python if that is the bench's own."""
    return f"{server} ({python})" if python else server


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, the smallest and the largest."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def over(cls, values: Iterable[float]) -> Self | None:
        """Over no rounds there is none."""
        found = list(values)
        return cls(median(found), min(found), max(found), len(found)) if found else None


@dataclass(frozen=True)
class Record:
    """One measurement: figures, or why there are none."""

    case: str
    server: str
    round: int
    figures: dict[str, float] = field(default_factory=dict)
    failure: str = ""


@dataclass
class Results:
    """All that a run knows; complete at any moment, so that an interrupted run is a shorter one."""

    environment: dict[str, Any]
    records: list[Record] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def by_round(self, case: str, server: str, figure: str) -> dict[int, float]:
        """A figure of a server in a case, by round."""
        return {
            record.round: record.figures[figure]
            for record in self.records
            if record.case == case and record.server == server and figure in record.figures
        }

    def spread(self, case: str, server: str, figure: str) -> Spread | None:
        """A figure over all rounds."""
        return Spread.over(self.by_round(case, server, figure).values())

    def ratio(
        self, case: str, server: str, figure: str, base: str, base_figure: str | None = None
    ) -> Spread | None:
        """A figure over the base server's (or over another figure of the same server), round by round."""
        above = self.by_round(case, server, figure)
        below = self.by_round(case, base, base_figure or figure)
        return Spread.over(above[number] / below[number] for number in above if below.get(number))

    def servers(self, case: str) -> list[str]:
        """Who was measured in a case, or tried to be."""
        return list(dict.fromkeys(record.server for record in self.records if record.case == case))

    def cases(self) -> list[str]:
        """Which cases were asked."""
        return list(dict.fromkeys(record.case for record in self.records))

    def failures(self) -> list[Record]:
        """What failed."""
        return [record for record in self.records if record.failure]

    def save(self, file: Path) -> None:
        """Write all of it; an interruption leaves the old file or the new one."""
        fresh = file.with_name(file.name + ".new")
        fresh.write_text(json.dumps(asdict(self), indent=1) + "\n")
        fresh.replace(file)

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read what :meth:`save` wrote."""
        kept = json.loads(file.read_text())
        return cls(kept["environment"], [Record(**record) for record in kept["records"]], kept["left_out"])
