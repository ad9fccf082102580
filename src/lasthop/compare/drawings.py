"""What the page's plots show: for each of them its rows, marks and words, as the template draws them.

`plots` knows where a value lies, `arrangement` what stands side by side. Markup is the template's.
"""

from __future__ import annotations

from typing import Any

from lasthop.compare import plots
from lasthop.compare.arrangement import Arrangement, Row, shown_comparisons, titled
from lasthop.compare.figures import latency_ms
from lasthop.compare.pairs import Comparison
from lasthop.compare.results import Burst, Cost, Results
from lasthop.compare.statistics import middle
from lasthop.compare.table import judged_words, ms
from lasthop.compare.verdict import Verdict
from lasthop.compare.wording import seconds, times_us, title_name

INTERVAL = 0.99
"""Of a single cell's median, in the plot of requests/s."""


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
