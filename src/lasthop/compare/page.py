"""The page: one HTML file that opens offline, the verdict first, then plots, then the method and every figure. `page(results, verdict)`.

It arranges what `verdict`, `figures` and `plots` know for the template, which draws. The template escapes everything: targets, headers and
errors come from outside. Nothing is fetched, no script runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lasthop.compare import plots
from lasthop.compare.figures import Figures, latency_ms
from lasthop.compare.pairs import ASKED, Answer, Comparison
from lasthop.compare.results import Burst, Cell, Cost, Results
from lasthop.compare.statistics import FAMILY, POWER, middle
from lasthop.compare.table import NONE, judged_words, ms
from lasthop.compare.verdict import Verdict
from lasthop.compare.wording import (
    Circumstances,
    capital,
    interval,
    per_cent,
    seconds,
    times,
    times_us,
    title_name,
)

LINK_TONES = {"unix": "a", "tcp": "b", "tcp6": "c"}
TONES = "abcdef"
INTERVAL = 0.99
"""Of a single cell's median, in the plot of requests/s."""


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


def page(results: Results, verdict: Verdict) -> str:
    """The whole file's text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    jinja = Environment(
        loader=PackageLoader("lasthop.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["typeset"] = typeset
    arranged = Arrangement(results, verdict)
    return jinja.get_template("page.html.j2").render(
        results=results,
        verdict=verdict,
        tiles=tiles(results, verdict),
        forest=forest(verdict, arranged),
        throughput=throughput(results, verdict, arranged),
        costs=costs(verdict, arranged),
        latency=latency(verdict, arranged),
        bursts=bursts(results),
        raw=[
            raw(name, results.cells[name], verdict.figures[name])
            for name in results.cells
            if name in verdict.figures
        ],
        comparisons=[
            {"title": titled(each, arranged), "words": [judged_words(each.judged[m]) for m in COMPARED]}
            for each in shown_comparisons(verdict)
        ],
        environment=list(flat(results.environment)),
        request=list(flat(results.request)),
        rounds=rounds(results),
        facts=facts(results, verdict),
    )


KEPT_TOGETHER = re.compile(r"\[[^\]\s]*\]|\d[\d.,]* (?:%|s|ms|µs)(?!\w)")
"""Figures that must not be broken at the end of a line: intervals, and a number with its unit."""


def typeset(text: str) -> Any:
    """The text, escaped, with its figures kept together."""
    from markupsafe import Markup, escape

    found = Markup()
    at = 0
    for each in KEPT_TOGETHER.finditer(text):
        found += escape(text[at : each.start()]) + Markup('<span class="whole">{}</span>').format(each[0])
        at = each.end()
    return found + escape(text[at:])


COMPARED = ("requests", "cpu", "cpu_server", "cpu_front", "p50", "p99")
TILES: dict[str, tuple[str, Callable[[float], str]]] = {
    "requests": ("requests/s", lambda value: f"{value:,.0f}"),
    "cpu": ("CPU a request", times_us),
    "p50": ("latency, median", ms),
    "p99": ("latency, 99th percentile", ms),
}


def shown_comparisons(verdict: Verdict) -> list[Comparison]:
    """All of them, the twins last."""
    return verdict.comparisons + ([verdict.noise] if verdict.noise else [])


def main_comparison(verdict: Verdict) -> Comparison | None:
    """The one that the first sentence is about."""
    asked = [each for each in verdict.comparisons if each.factor in ASKED] or verdict.comparisons
    same = [each for each in asked if each.factor == asked[0].factor]
    showing = [each for each in same if each.answer not in (Answer.NEITHER, Answer.UNKNOWN)]
    return next(iter(showing or same), None)


def tiles(results: Results, verdict: Verdict) -> list[dict[str, Any]]:
    """The three figures that the verdict rests on, of the main comparison, told of the better one."""
    main = main_comparison(verdict)
    if (
        main is None
        or main.answer is Answer.UNKNOWN
        or not verdict.headline
        or verdict.headline.startswith("No verdict")
    ):
        return []
    if main.answer is Answer.SECOND:
        main = main.turned()
    names = [
        title_name(main.factor, getattr(results.cells[cell], main.factor))
        for cell in (main.first, main.second)
    ]
    found = []
    for metric in dict.fromkeys([*main.leading, "p99"]):
        judged = main.judged[metric]
        title, figure = TILES[metric]
        if judged.ratio is None:
            continue
        found.append(
            {
                "title": title,
                "times": times(judged.ratio.median) if judged.shown else "",
                "interval": interval(judged.ratio) if judged.shown else "",
                "hidden": per_cent(judged.ratio.detectable),
                "both": [
                    (name, figure(verdict.figures[cell].typical[metric]))
                    for name, cell in zip(names, (main.first, main.second), strict=True)
                ],
            }
        )
    return found


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


LANES = {"requests": "requests/s", "p50": "latency, p50", "cpu": "CPU a request", "p99": "latency, p99"}


def forest(verdict: Verdict, arranged: Arrangement) -> dict[str, Any]:
    """Every comparison's ratios with their intervals on one axis around 1."""
    found = shown_comparisons(verdict)
    ratios = [
        ratio for each in found for metric in (*each.leading, "p99") if (ratio := each.judged[metric].ratio)
    ]
    scale = plots.ratio_scale(end for ratio in ratios for end in (ratio.low, ratio.high))
    rows = []
    for each in found:
        title, around = titled(each, arranged)
        drawn = []
        for metric, label in LANES.items():
            if metric not in (*each.leading, "p99"):
                continue
            judged = each.judged[metric]
            if judged.ratio is None:
                continue
            tone = "none"
            if judged.shown and each.factor != "twin":
                better = each.first if judged.shown == (1 if metric == "requests" else -1) else each.second
                tone = _tone_of(better, each, arranged)
            drawn.append(
                {
                    "label": label,
                    "at": scale.at(judged.ratio.median),
                    "low": scale.at(judged.ratio.low),
                    "high": scale.at(judged.ratio.high),
                    "words": judged_words(judged),
                    "tone": tone,
                    "shown": bool(judged.shown),
                }
            )
        rows.append({"title": title, "around": around, "lanes": drawn})
    return {"rows": rows, "ticks": plots.ratio_ticks(scale)}


def _tone_of(cell: str, comparison: Comparison, arranged: Arrangement) -> str:
    """The better one's colour; where colours tell something else, the ink's."""
    if comparison.factor != arranged.contrast:
        return "ink"
    return next(row.tone for group in arranged.groups for row in group.rows if row.name == cell)


def throughput(results: Results, verdict: Verdict, arranged: Arrangement) -> dict[str, Any]:
    """Requests/s: every round, the median and its interval."""
    rates = {
        name: [(number, each.requests_per_second) for number, each in results.by_round(name)]
        for name in verdict.figures
    }
    scale, ticks = plots.from_zero(max((rate for each in rates.values() for _, rate in each), default=0.0))

    def row(of: Row) -> dict[str, Any]:
        median, low, high = middle([rate for _, rate in rates[of.name]], INTERVAL)
        return {
            "at": scale.at(median),
            "low": scale.at(low),
            "high": scale.at(high),
            "words": f"{median:,.0f}",
            "range": f"{low:,.0f} to {high:,.0f}",
            "dots": [(scale.at(rate), f"round {number}: {rate:,.0f}") for number, rate in rates[of.name]],
        }

    return {
        "ticks": ticks,
        "groups": [(group, [(of, row(of)) for of in group.rows]) for group in arranged.groups],
    }


def _parts(cost: Cost, who: str) -> list[tuple[str, float]]:
    if cost.kernel_us is None:
        return [(f"{who}-all", cost.cpu_us)]
    return [(f"{who}-user", cost.cpu_us - cost.kernel_us), (f"{who}-kernel", cost.kernel_us)]


PARTS = {
    "server-user": "server, its own code and the application",
    "server-kernel": "server, in the kernel",
    "server-all": "server",
    "front-user": "front, its own code",
    "front-kernel": "front, in the kernel",
    "front-all": "front",
}


def costs(verdict: Verdict, arranged: Arrangement) -> dict[str, Any]:
    """CPU a request: server and front, each split into its own code and the kernel."""
    scale, ticks = plots.from_zero(max((each.cpu_us for each in verdict.figures.values()), default=0.0))

    def row(of: Row) -> dict[str, Any]:
        each = verdict.figures[of.name]
        parts = _parts(each.server, "server") + (_parts(each.front, "front") if each.front else [])
        at = 0.0
        drawn = []
        for kind, us in parts:
            drawn.append(
                {
                    "kind": kind,
                    "at": scale.at(at),
                    "width": scale.at(us),
                    "title": f"{PARTS[kind]}: {times_us(us)}",
                }
            )
            at += us
        return {
            "parts": drawn,
            "words": times_us(each.cpu_us),
            "figures": {kind: times_us(us) for kind, us in parts},
        }

    groups = [(group, [(of, row(of)) for of in group.rows]) for group in arranged.groups]
    used = {part["kind"] for _, rows in groups for _, each in rows for part in each["parts"]}
    return {
        "ticks": ticks,
        "groups": groups,
        "legend": {kind: text for kind, text in PARTS.items() if kind in used},
    }


PERCENTILES = (0.5, 0.9, 0.99, 0.999)


def latency(verdict: Verdict, arranged: Arrangement) -> dict[str, Any]:
    """The distributions, on an axis of percentiles; one panel a group, all panels on the same axes."""
    known = {name: each.latency for name, each in verdict.figures.items() if each.latency}
    if not known:
        return {"panels": []}
    most = min(5.0, max(plots.reach(counts) for counts in known.values()))
    lines = {
        name: plots.percentile_line(counts, min(most, plots.reach(counts))) for name, counts in known.items()
    }
    values = [value for points in lines.values() for _, value in points if value > 0] or [1.0]
    across = plots.nines_scale(most)
    up = plots.Scale(min(values) / 1.15, max(values) * 1.15, is_log=True)
    panels = []
    for group in arranged.groups:
        rows = [row for row in group.rows if row.name in lines]
        drawn = [(row, plots.path([(x, y) for x, y in lines[row.name] if y > 0], across, up)) for row in rows]
        figures = [
            (
                row,
                [ms(latency_ms(known[row.name], share)) for share in PERCENTILES],
                ms(verdict.figures[row.name].latency_max_ms),
            )
            for row in rows
        ]
        panels.append({"group": group, "lines": drawn, "figures": figures})
    return {"panels": panels, "across": plots.nines_ticks(across), "up": plots.log_ticks(up)}


def bursts(results: Results) -> list[dict[str, Any]]:
    """What became of connections that began at the same moment."""
    found = []
    most = max((max(each.asked, each.queue) for each in results.bursts), default=1) or 1
    scale = plots.Scale(0.0, most * 1.02)
    for each in results.bursts:
        if each.cell not in results.cells:
            continue
        at = 0.0
        parts = []
        for kind, count in burst_parts(each).items():
            if count:
                parts.append(
                    {
                        "kind": kind,
                        "at": scale.at(at),
                        "width": scale.at(count),
                        "title": f"{kind}: {count:,}",
                    }
                )
                at += count
        cell = results.cells[each.cell]
        found.append(
            {
                "label": title_name("link", cell.link)
                + (f", {cell.server}" if len({other.server for other in results.cells.values()}) > 1 else ""),
                "parts": parts,
                "counts": burst_parts(each),
                "burst": each,
                "queue": scale.at(each.queue) if each.queue and each.queue <= most else None,
                "slowest": seconds(each.slowest_reply_us),
                "slowest_connect": seconds(each.slowest_connect_us),
            }
        )
    return found


def burst_parts(each: Burst) -> dict[str, int]:
    """Every connection once."""
    lost = max(0, each.asked - each.replied - each.refused)
    return {"answered": each.replied, "refused": each.refused, "no reply": lost}


def _figure(value: float | None, form: str = ".3g") -> str:
    return NONE if value is None else f"{value:{form}}"


def raw(name: str, cell: Cell, each: Figures) -> dict[str, str]:
    """Everything about a cell in one row."""
    front = each.front
    row = {
        "cell": name,
        "rounds": f"{each.rounds}",
        "requests": f"{each.requests:,}",
        "requests/s": f"{each.requests_per_second:,.0f}",
        "p50, a round": ms(each.typical["p50"]),
        "p99, a round": ms(each.typical["p99"]),
        **{f"p{share * 100:g}, all": ms(latency_ms(each.latency, share)) for share in PERCENTILES},
        "max": ms(each.latency_max_ms),
        "server CPU": times_us(each.server.cpu_us),
        "of it kernel": _figure(each.server.kernel_us, ".3g"),
        "switches": _figure(each.server.switches),
        "system calls": _figure(each.server.calls),
        "front CPU": times_us(front.cpu_us) if front else NONE,
        "of that kernel": _figure(front.kernel_us) if front else NONE,
        "front switches": _figure(front.switches) if front else NONE,
        "front calls": _figure(front.calls) if front else NONE,
        "bytes a reply": f"{each.reply_bytes:,.0f}",
        "load busy": f"{each.load_busy:.0%}",
        "others": f"{each.disturbed:.0%}",
        "failed": f"{each.failed:,}",
        "statuses": ", ".join(f"{status}: {count:,}" for status, count in sorted(each.statuses.items())),
        "errors": ", ".join(f"{kind}: {count:,}" for kind, count in sorted(each.errors.items())) or NONE,
    }
    if cell.rate:
        row["planned"] = f"{each.planned:,}"
    return row


def rounds(results: Results) -> dict[str, Any]:
    """Every round's requests/s and CPU a request."""
    names = list(results.cells)

    def words(each: Any) -> str:
        cpu = each.server.cpu_us + (each.front.cpu_us if each.front else 0.0)
        return f"{each.requests_per_second:,.0f} · {cpu:.3g}"

    return {
        "names": names,
        "rows": [
            (each.number, [words(each.cells[name]) if name in each.cells else NONE for name in names])
            for each in results.rounds
        ],
    }


def facts(results: Results, verdict: Verdict) -> dict[str, Any]:
    """What the method's text mentions."""
    levels = [
        judged.ratio.level
        for each in verdict.comparisons
        for judged in each.judged.values()
        if judged.ratio is not None
    ]
    return {
        "targets": list(dict.fromkeys(cell.target for cell in results.cells.values())),
        "begun": str(results.environment.get("begun", "")).replace("T", " ")[:16],
        "where": " · ".join(
            str(results.environment[key]) for key in ("processor", "kernel") if key in results.environment
        ),
        "rounds": len(results.rounds),
        "level": f"{min(levels) * 100:.2f} % to {max(levels) * 100:.2f} %"
        if len(set(levels)) > 1
        else f"{levels[0] * 100:.2f} %"
        if levels
        else "",
        "disturbed": max(
            (
                judged.ratio.disturbed
                for each in verdict.comparisons
                for judged in each.judged.values()
                if judged.ratio
            ),
            default=0,
        ),
        "family": per_cent(FAMILY).replace(".0", ""),
        "power": per_cent(POWER),
    }


def flat(mapping: Mapping[str, Any], of: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as lines."""
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{of}{name} ")
        elif value not in ("", [], None):
            yield f"{of}{name}".replace("_", " "), str(value)
