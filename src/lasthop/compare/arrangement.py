"""Which cells the page puts side by side, in which colours, and under which titles. Knows the verdict; no geometry and no markup."""

from __future__ import annotations

from dataclasses import dataclass

from lasthop.compare.pairs import Comparison
from lasthop.compare.results import Results
from lasthop.compare.verdict import Verdict
from lasthop.compare.wording import Circumstances, capital, title_name

LINK_TONES = {"unix": "a", "tcp": "b", "tcp6": "c"}
TONES = "abcdef"


@dataclass(frozen=True)
class Row:
    """A cell in a plot."""

    name: str
    label: str
    tone: str
    twin: bool


@dataclass(frozen=True)
class Group:
    """Cells that are looked at side by side."""

    title: str
    rows: list[Row]


class Arrangement:
    """Which cells stand side by side, and in which colour: those that differ in the contrast only, the link wherever there are several."""

    def __init__(self, results: Results, verdict: Verdict) -> None:
        self._cells = results.cells
        self.circumstances = Circumstances(results.cells)
        several = [
            factor
            for factor in ("link", "server", "target", "front", "keep_alive")
            if self._levels(factor)[1:]
        ]
        asked = [each.factor for each in verdict.comparisons if each.factor in several]
        self.contrast = asked[0] if asked else several[0] if several else "link"
        self.groups = self._groups(list(verdict.figures))

    def _levels(self, factor: str) -> list[object]:
        return list(dict.fromkeys(getattr(cell, factor) for cell in self._cells.values()))

    def tone(self, level: object) -> str:
        """The colour of a level of the contrast: a link has the same on every page."""
        if self.contrast == "link":
            return LINK_TONES.get(str(level), "d")
        return TONES[self._levels(self.contrast).index(level) % len(TONES)]

    def _groups(self, names: list[str]) -> list[Group]:
        found: dict[str, Group] = {}
        for name in names:
            cell = self._cells[name]
            around = capital(self.circumstances.of(name, self.contrast))
            level = getattr(cell, self.contrast)
            label = title_name(self.contrast, level)
            row = Row(name, f"{label}, again" if cell.twin else label, self.tone(level), cell.twin)
            found.setdefault(around, Group(around, [])).rows.append(row)
        return list(found.values())


def shown_comparisons(verdict: Verdict) -> list[Comparison]:
    """All of them, the twins last."""
    return verdict.comparisons + ([verdict.noise] if verdict.noise else [])


def titled(comparison: Comparison, arranged: Arrangement) -> tuple[str, str]:
    """What is set against what, and under which circumstances."""
    if comparison.factor == "twin":
        return "The same thing, measured twice", comparison.first
    factor = comparison.factor
    first, second = (
        title_name(factor, getattr(arranged.circumstances.cells[name], factor))
        for name in (comparison.first, comparison.second)
    )
    return (
        f"{first} : {second}",
        arranged.circumstances.of(comparison.first, comparison.factor),
    )
