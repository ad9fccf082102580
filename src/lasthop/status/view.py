"""The status of a server for people: a line that says how it is, and two tables.

What is shown may come from anybody: each field is taken only as the kind of value that it should be, and no character reaches a
terminal that is not a printable one.
"""

import grp
import pwd
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Table(NamedTuple):
    """Cells, the first row the heads."""

    rows: list[list[str]]


class View(NamedTuple):
    """What is shown of one server."""

    title: str
    line: str
    tables: list[Table]


def view(document: dict[str, Any]) -> View:
    """The status in words."""
    settings, totals = _part(document, "settings"), _part(document, "totals")
    threads, workers = _count(settings, "threads"), _count(settings, "workers")
    listeners = _parts(document, "listeners")
    # Whether its workers have threads or an event loop shows once one of them serves.
    serves = bool(_count(totals, "workers_serving"))
    is_looped = serves and not _count(totals, "threads")
    room = "an event loop" if is_looped else f"{threads:,} thread{'s' * (threads != 1)}"
    parts = [
        f"{_text(document, 'state')}: {workers:,} worker{'s' * (workers != 1)}"
        + (f", {room}{' each' * (workers != 1)}" if serves else ", of which none serves"),
        *(_queue(each) for each in listeners),
        *([_busy(totals, is_looped)] if serves else []),
        f"{(requests := _count(totals, 'requests')):,} request{'s' * (requests != 1)}",
    ]
    for name, words in (
        ("failed", "failed"),
        ("strangers", "strangers refused"),
        ("workers_died", "worker deaths"),
    ):
        if count := _count(totals, name):
            parts.append(f"{count:,} {words}")
    title = f"pid {_count(document, 'pid')} serves {_text(document, 'target')}, up {_age(document.get('uptime_seconds'))}"
    if reloads := _count(document, "reloads"):
        title += f", reloaded {reloads:,} time{'s' * (reloads != 1)}"
    return View(title, "; ".join(parts), [_listeners(listeners), _workers(_parts(document, "workers"))])


def _queue(listener: dict[str, Any]) -> str:
    address, queue = _text(listener, "address"), _part(listener, "queue")
    if not queue:
        return f"{address} queue unknown"
    full = _count(queue, "waiting") >= _count(queue, "holds")
    return (
        f"{address} queue {_count(queue, 'waiting'):,} of {_count(queue, 'holds'):,}"
        f"{' FULL' if full else ''} (deepest {_count(queue, 'deepest'):,})"
    )


def _listeners(listeners: list[dict[str, Any]]) -> Table:
    rows = [["listener", "owner", "group", "mode", "waiting", "holds", "deepest", "seen full"]]
    for each in listeners:
        queue = _part(each, "queue")
        times = _count(queue, "times_full")
        rows.append(
            [
                _text(each, "address"),
                _name(each.get("uid"), lambda uid: pwd.getpwuid(uid).pw_name),
                _name(each.get("gid"), lambda gid: grp.getgrgid(gid).gr_name),
                _text(each, "mode"),
                *(f"{_count(queue, name):,}" if queue else "?" for name in ("waiting", "holds", "deepest")),
                f"{times:,} time{'s' * (times != 1)}, {_age(queue.get('seconds_full'))}"
                if times
                else "never",
            ]
        )
    return Table(rows)


def _workers(workers: list[dict[str, Any]]) -> Table:
    names = ("requests", "connections", "threads_busy", "failed", "refused", "timed_out", "strangers")
    heads = ("requests", "open", "busy", "failed", "refused", "slow", "strangers")
    rows = [["worker", "stage", "age", *heads]]
    rows += [
        [
            str(_count(each, "pid")) if each.get("pid") else "?",
            _text(each, "stage"),
            _age(each.get("age_seconds")),
            *(f"{_count(each, name):,}" for name in names),
        ]
        for each in workers
    ]
    return Table(rows)


def plain(views: Iterable[View]) -> str:
    """For a pipe or a file."""
    blocks = []
    for each in views:
        lines = [each.title, each.line]
        for table in each.tables:
            widths = [max(map(len, column)) for column in zip(*table.rows, strict=True)]
            lines.append("")
            lines += [
                "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                for row in table.rows
            ]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


# Fields of a document that may be anything


def _part(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _parts(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = document.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _busy(totals: dict[str, Any], is_looped: bool) -> str:
    busy = _count(totals, "threads_busy")
    if is_looped:
        return f"{busy:,} under way"
    return f"{busy:,} of {_count(totals, 'threads'):,} threads busy"


def _count(document: dict[str, Any], name: str) -> int:
    value = document.get(name)
    return value if isinstance(value, int) and 0 <= value < 1 << 64 else 0


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    return printable(value) if isinstance(value, str) else "-"


def _name(number: object, find: Callable[[int], str]) -> str:
    """Of a user or a group, or the number of one that has none here."""
    if not isinstance(number, int) or not 0 <= number < 1 << 32:
        return "-"
    try:
        return printable(find(number))
    except (KeyError, OverflowError):
        return str(number)


def printable(text: str, longest: int = 200) -> str:
    """A text that a terminal shows as it is, and obeys nothing of."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text[:longest]
    )


def _age(seconds: object) -> str:
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e10:
        return "?"
    whole = int(seconds)
    for size, unit, below, under in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // below}{under}"
    return f"{whole}s"
