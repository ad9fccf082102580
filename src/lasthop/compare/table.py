"""The verdict and the figures on a terminal: the answer first, then what each cell measured and what is set against what.

With colour and lines where there is a terminal (rich); plain text in columns where there is none. What came from outside (names, errors) is
shown without control characters.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from lasthop.compare.figures import Figures
from lasthop.compare.pairs import Comparison, Judged
from lasthop.compare.results import Results
from lasthop.compare.verdict import Verdict
from lasthop.compare.wording import interval, per_cent, times, times_us

WIDTH = 100
NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first column is text, the others figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def printable(text: str) -> str:
    """The text on one line, without what a terminal would take as a command."""
    return "".join(c if c.isprintable() else " " for c in text)


def ms(value: float) -> str:
    """A latency, in digits that mean something."""
    return NONE if not value else f"{value:,.0f} ms" if value >= 99.5 else f"{value:#.3g} ms"


def _row(name: str, each: Figures) -> list[str]:
    return [
        printable(name),
        f"{each.requests_per_second:,.0f}",
        ms(each.typical["p50"]),
        ms(each.typical["p99"]),
        times_us(each.server.cpu_us),
        times_us(each.front.cpu_us) if each.front else NONE,
        f"{each.failed:,}",
    ]


def cells(results: Results, verdict: Verdict) -> Table:
    """What each cell measured."""
    return Table(
        "measured",
        ["cell", "requests/s", "p50", "p99", "CPU server", "CPU front", "failed"],
        [_row(name, verdict.figures[name]) for name in results.cells if name in verdict.figures],
    )


def judged_words(judged: Judged) -> str:
    """`1.21 [1.18-1.24]`, or how small a difference would have shown."""
    if judged.ratio is None:
        return NONE
    if not judged.known:
        return judged.word
    if not judged.shown:
        return f"not shown (±{per_cent(judged.ratio.detectable)})"
    return f"{times(judged.ratio.median)} {interval(judged.ratio)}"


SHOWN = ("requests", "cpu", "p50", "p99")


def comparisons(verdict: Verdict) -> Table:
    """What is how many times as much as what."""
    return Table(
        "first : second",
        ["", "requests/s", "CPU a request", "p50", "p99"],
        [[against(each), *(judged_words(each.judged[metric]) for metric in SHOWN)] for each in _all(verdict)],
    )


def _all(verdict: Verdict) -> list[Comparison]:
    return verdict.comparisons + ([verdict.noise] if verdict.noise else [])


def against(comparison: Comparison) -> str:
    """The two cells: what they have in common once, then what they differ in."""
    first, second = printable(comparison.first).split(", "), printable(comparison.second).split(", ")
    if comparison.factor == "twin":
        return f"{', '.join(first)} : the same again"
    if len(first) != len(second):
        return f"{', '.join(first)} : {', '.join(second)}"
    return ", ".join(a if a == b else f"{a} : {b}" for a, b in zip(first, second, strict=True))


def show(results: Results, verdict: Verdict, file: TextIO) -> None:
    """Write everything to a terminal or a file."""
    if file.isatty():
        _show_on_terminal(results, verdict, file)
    else:
        _show_plain(results, verdict, file)


def _paragraphs(verdict: Verdict) -> list[tuple[str, str]]:
    """Each with its kind."""
    said = [("sentence", sentence) for sentence in (*verdict.sentences, *verdict.bursts)]
    said[:1] = [("answer", said[0][1])]
    said += [("missing", f"missing: {text}") for text in verdict.missing]
    return said + [("warning", f"warning: {text}") for text in verdict.warnings]


def _tables(results: Results, verdict: Verdict) -> list[Table]:
    return [table for table in (cells(results, verdict), comparisons(verdict)) if table.rows]


def _show_plain(results: Results, verdict: Verdict, file: TextIO) -> None:
    for _, text in _paragraphs(verdict):
        wrapped = textwrap.wrap(printable(text), WIDTH, subsequent_indent="  ", break_long_words=False)
        file.write("\n".join(wrapped) + "\n")
    for table in _tables(results, verdict):
        file.write("\n")
        lines: list[Sequence[str]] = [[table.head[0] or table.title, *table.head[1:]], *table.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(table.head))]
        for line in lines:
            figures = [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
            file.write("  ".join([line[0].ljust(widths[0]), *figures]).rstrip() + "\n")


STYLES = {"answer": "bold", "sentence": "", "missing": "red", "warning": "yellow"}


def _show_on_terminal(results: Results, verdict: Verdict, file: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(file=file, highlight=False)
    console.print()
    for kind, text in _paragraphs(verdict):
        console.print(Text(printable(text), STYLES[kind]), width=min(console.width, WIDTH))
    for table in _tables(results, verdict):
        shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", collapse_padding=True)
        shown.add_column(Text(table.head[0] or table.title), overflow="fold")
        for title in table.head[1:]:
            shown.add_column(Text(title), justify="right")
        for row in table.rows:
            texts = [Text(text, "dim" if text.startswith(("not shown", NONE)) else "") for text in row]
            shown.add_row(*texts)
        console.print(shown)
