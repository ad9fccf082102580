"""`lasthop status`: how the servers of this machine are, or one of them, once or again and again."""

import json
import sys
import time
from typing import Any

from lasthop import kinds
from lasthop.cli.words import Parser
from lasthop.errors import LasthopError, NoServer, SettingError

USAGE = "lasthop status [ADDRESS|PID] [option ...]"

DESCRIPTION = """\
How running servers are: workers, threads, requests, and how full the queues of their listeners are. Without an argument all
servers of this machine that this user may ask: its own, and as root all."""


def main(arguments: list[str]) -> int:
    """Ask and show."""
    words = parser().read(arguments)
    if words.watch is None:
        _show(_ask(words.server), words.json)
        return 0
    seconds = _seconds(words.watch)
    try:
        while True:
            try:
                told = _ask(words.server)
            except LasthopError as error:
                _clear()
                print(f"lasthop: {error}", file=sys.stderr)
            else:
                if not words.json:
                    _clear()
                _show(told, words.json)
            time.sleep(seconds)
    except KeyboardInterrupt:
        return 0


def parser() -> Parser:
    """All options."""
    made = Parser("lasthop status", USAGE)
    made.description = DESCRIPTION
    made.add_argument(
        "server", metavar="ADDRESS|PID", nargs="?",
        help="one server: its pid, or the address that its --status-socket has, unix:/PATH or HOST:PORT",
    )  # fmt: skip
    made.add_argument(
        "--json", action="store_true", help="the whole documents, as a list; with --watch a line each time"
    )
    made.add_argument("--watch", metavar="SECONDS", help="again and again, until Ctrl-C")
    return made


def _ask(server: str | None) -> list[dict[str, Any]]:
    # Only now: help is to be quick.
    from lasthop.status import running

    if server is not None:
        return [running.ask(server)]
    told, errors = running.ask_all()
    if not told:
        if errors:
            raise errors[0]
        raise NoServer(
            "no lasthop is running here that could be asked",
            "lasthop serve MODULE:ATTRIBUTE starts one; one with --status-socket is asked at that address; one in a container from inside",
        )
    for error in errors:
        print(f"lasthop: {error}", file=sys.stderr)
    return told


def _show(told: list[dict[str, Any]], as_json: bool) -> None:
    from lasthop.status import view

    if as_json:
        # ASCII alone: nothing in it can command a terminal.
        print(json.dumps(told), flush=True)
        return
    views = [view.view(each) for each in told]
    if not (sys.stdout.isatty() and _show_rich(views)):
        print(view.plain(views), end="", flush=True)


def _show_rich(views: list[Any]) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        return False  # columns will do
    console = Console(highlight=False)
    for at, each in enumerate(views):
        if at:
            console.print()
        console.print(each.title, style="bold", markup=False, soft_wrap=True)
        console.print(each.line, markup=False, soft_wrap=True, style="red" if " FULL " in each.line else None)
        for table in each.tables:
            shown = Table(box=None, pad_edge=False, header_style="dim")
            for head in table.rows[0]:
                shown.add_column(
                    head,
                    justify="left" if head in LEFT else "right",
                    overflow="fold",
                    no_wrap=head != "listener",
                )
            for row in table.rows[1:]:
                shown.add_row(*(_escaped(cell) for cell in row))
            console.print()
            console.print(shown)
    return True


LEFT = ("listener", "owner", "group", "mode", "worker", "stage")


def _escaped(cell: str) -> str:
    from rich.markup import escape

    return escape(cell)


def _clear() -> None:
    if sys.stdout.isatty():
        print("\x1b[H\x1b[2J", end="", flush=True)


def _seconds(text: str) -> float:
    kind: kinds.Kind = kinds.Seconds.__metadata__[0]  # type: ignore[attr-defined]
    try:
        return float(kind.read(text))
    except kinds.Misfit as misfit:
        raise SettingError("--watch", text, "command line", misfit.rule, misfit.hint) from misfit
