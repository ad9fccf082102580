"""Two comparisons that were made at different times, side by side: what changed in the figures, and what changed around them.

The rounds of two runs are not pairs, so what the machine did meanwhile is in every difference; the words say so. Runs of different things
are not compared at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lasthop.compare.figures import METRICS, figures
from lasthop.compare.pairs import Judged
from lasthop.compare.results import Cell, Results
from lasthop.compare.soundness import broken
from lasthop.compare.statistics import FAMILY, unpaired
from lasthop.compare.verdict import judge
from lasthop.compare.wording import first_line, hidden, interval, times

SHOWN = {
    "requests": "times the requests/s",
    "cpu": "times the CPU a request",
    "p99": "times the time for the slowest hundredth",
}
NO_CHANGE = {"begun", "command", "load_average"}
"""Of the environment: what is never the same, and changes nothing."""
OWN = {"warm_seconds", "passes"}
"""Of the settings: what the measuring itself chose."""
ELSEWHERE = ("processor", "processors", "cores")
"""Of the environment: where these differ, it was another machine."""
REQUEST = ("method", "path", "headers", "body_bytes")


def words(before: Results, after: Results) -> list[str]:
    """What changed from the one to the other, the answer first."""
    cannot = why_not(before, after)
    changes = [f"changed: {change}" for change in environment_changes(before.environment, after.environment)]
    if cannot:
        return [f"These two cannot be compared: {cannot}.", *changes]
    both = common(before, after)
    bad = {**_named(broken(before), before, "before"), **_named(broken(after), after, "after")}
    sound = {cell: names for cell, names in both.items() if cell not in bad}
    level = 1 - FAMILY / (len(SHOWN) * max(1, len(sound)))
    judged = {names[1]: _judge(before, after, names, level) for names in sound.values()}
    moved = {name: each for name, each in judged.items() if any(metric.shown for metric in each.values())}
    first, second = judge(before), judge(after)
    said = [_answer(judged, moved)]
    said.append(
        f"The answer is the same: {second.headline}."
        if first.headline == second.headline
        else f"The answer was “{first.headline}”, and is “{second.headline}”."
    )
    old = {sound[cell][1]: figures(before, sound[cell][0]) for cell in sound}
    for name, each in judged.items():
        was, now = old[name], figures(after, name)
        values = (
            f" ({was.requests_per_second:,.0f}/s, then {now.requests_per_second:,.0f}/s)"
            if was and now
            else ""
        )
        said.append(f"{name}: {_line(each)}{values}.")
    said += [f"{both[cell][1]}: not compared: {why}." for cell, why in bad.items() if cell in both]
    alone = [
        *(n for n, c in before.cells.items() if c not in both and not c.twin),
        *(n for n, c in after.cells.items() if c not in both and not c.twin),
    ]
    if alone:
        said.append(f"Only in one of them: {'; '.join(dict.fromkeys(alone))}.")
    said += changes or ["Nothing that is known of the environment changed."]
    if moved:
        said.append(
            "These were two runs: what the machine did meanwhile is in these figures, not only what you changed."
        )
    return said


def why_not(before: Results, after: Results) -> str:
    """Why two runs say nothing about each other; empty: they do."""
    for name in REQUEST:
        if before.request.get(name) != after.request.get(name):
            return f"another request was made ({name}: {before.request.get(name)!r}, then {after.request.get(name)!r})"
    for name in ELSEWHERE:
        old, new = before.environment.get(name), after.environment.get(name)
        if old != new:
            return f"they ran on different machines ({name}: {old!r}, then {new!r})"
    if not common(before, after):
        return "they have no cell in common"
    return ""


def common(before: Results, after: Results) -> dict[Cell, tuple[str, str]]:
    """The cells that both have, with their names in each."""
    names = {cell: name for name, cell in before.cells.items()}
    return {
        cell: (names[cell], name) for name, cell in after.cells.items() if cell in names and not cell.twin
    }


def _named(bad: Mapping[str, str], results: Results, when: str) -> dict[Cell, str]:
    return {results.cells[name]: f"{when}, {first_line(why)}" for name, why in bad.items()}


def _judge(before: Results, after: Results, names: tuple[str, str], level: float) -> dict[str, Judged]:
    old = [each for _, each in before.by_round(names[0])]
    new = [each for _, each in after.by_round(names[1])]
    return {
        metric: Judged(unpaired(map(METRICS[metric].of, new), map(METRICS[metric].of, old), level))
        for metric in SHOWN
    }


def _answer(judged: Mapping[str, Mapping[str, Judged]], moved: Mapping[str, Mapping[str, Judged]]) -> str:
    if not judged:
        return "Nothing sound is left to compare."
    if not moved:
        known = any(metric.known for each in judged.values() for metric in each.values())
        return "No change shown." if known else "Too few rounds to tell what changed."
    directions = {each["requests"].shown for each in moved.values()}
    if len(moved) == len(judged) >= 3 and len(directions) == 1 and directions != {0}:
        faster = "faster" if directions == {1} else "slower"
        return f"Everything is {faster}: look for what changed on the machine first."
    return f"Changed: {'; '.join(moved)}."


def _line(each: Mapping[str, Judged]) -> str:
    shown = [
        f"{times(judged.ratio.median)} {SHOWN[metric]} {interval(judged.ratio)}"
        for metric, judged in each.items()
        if judged.shown and judged.ratio
    ]
    would = [hidden(each["requests"], "in requests/s"), hidden(each["cpu"], "in CPU")]
    known = [text for text in would if text]
    if shown:
        return ", ".join(shown)
    return f"no change shown ({' or '.join(known)} would have)" if known else "too few rounds to tell"


def environment_changes(before: Mapping[str, Any], after: Mapping[str, Any], of: str = "") -> Iterator[str]:
    """Each thing that is not as it was, with both values."""
    for name in dict.fromkeys([*before, *after]):
        if (name in OWN) if of else (name in NO_CHANGE):
            continue
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from environment_changes(old, new, f"{of}{name} ")
        elif old != new:
            yield f"{of}{name} from {_value(old)} to {_value(new)}"


def _value(value: object) -> str:
    return "nothing" if value is None else str(value)
