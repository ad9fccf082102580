"""The page: one HTML file that opens offline, the verdict first, then plots, then the method and every figure. `page(results, verdict)`.

It arranges what `verdict`, `figures` and `drawings` know for the template, which draws. The template escapes everything: targets, headers and
errors come from outside. Nothing is fetched, no script runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lasthop.compare.arrangement import Arrangement, shown_comparisons, titled
from lasthop.compare.drawings import PERCENTILES, bursts, costs, forest, latency, throughput
from lasthop.compare.figures import Figures, latency_ms
from lasthop.compare.pairs import ASKED, Answer, Comparison
from lasthop.compare.results import Cell, Results
from lasthop.compare.statistics import FAMILY, POWER
from lasthop.compare.table import NONE, judged_words, ms
from lasthop.compare.verdict import Verdict
from lasthop.compare.wording import interval, per_cent, times, times_us, title_name


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


def _figure(value: float | None, form: str = ".3g") -> str:
    return NONE if value is None else f"{value:{form}}"


def raw(name: str, cell: Cell, each: Figures) -> dict[str, str]:
    """Everything about a cell in one row."""
    front = each.front
    return {
        "cell": name,
        "connections": f"{cell.connections:,}",
        "planned/s": f"{cell.rate:,.0f}" if cell.rate else NONE,
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
            yield of + (name if "." in name else name.replace("_", " ")), str(value)
