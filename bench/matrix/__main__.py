"""The command `python -m bench.matrix`: all situations with all servers, as a page in Markdown (docs/reference/socket-file-matrix.md)."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import front
from bench.errors import BenchError
from bench.matrix.cell import lacking, outcome
from bench.matrix.rules import Mark, Outcome
from bench.matrix.servers import SERVERS
from bench.matrix.situations import SITUATIONS

SIGNS = {Mark.RIGHT: "✓", Mark.WRONG: "**✗**", Mark.NONE: "-"}

Outcomes = dict[tuple[str, str], Outcome]

HEAD = """\
<!-- Written by `python -m bench.matrix --markdown docs/reference/socket-file-matrix.md`: run it again rather than change it. -->

# What each server does with the socket file

Each cell was acted out with the real server and a real nginx, whose worker is `www-data`: ✓ what the second column asks for, **✗** something
else, - the server has no such feature. One worker, where the situation does not name two; started by root, where it does not say otherwise.

Default settings, but for one: granian, hypercorn and waitress, whose default mode keeps nginx out, are given the option that lets it in
(`--uds-permissions 666`, `--umask 0`, `--unix-socket-perms=666`), except in the two first rows and where the umask is what is asked.
"""


def page(outcomes: Outcomes, servers: Sequence[str], situations: Sequence[str]) -> str:
    """The page."""
    titles = [f"{name} {SERVERS[name].version}" for name in servers]
    rows = [["situation", "right is", *titles], ["---"] * (len(servers) + 2)]
    for name in situations:
        cells = [_cell(outcomes.get((server, name))) for server in servers]
        rows.append([SITUATIONS[name].asks, SITUATIONS[name].right, *cells])
    counts = [_count(outcomes, server, situations) for server in servers]
    rows.append(["**right**", "", *counts])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    where = (
        f"Run on {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()}, nginx {front.version()}, "
        f"Linux {platform.release()}.\n"
    )
    remarks = [f"- {name}: {SERVERS[name].remark}\n" for name in servers if SERVERS[name].remark]
    return "\n".join([HEAD, table, "", where, *(["".join(remarks)] if remarks else [])])


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    return (
        f"{SIGNS[outcome.mark]} {outcome.says.replace('|', '/').replace('<', '(').replace('>', ')')}".strip()
    )


def _count(outcomes: Outcomes, server: str, situations: Sequence[str]) -> str:
    marks = [outcomes[server, name].mark for name in situations if (server, name) in outcomes]
    return f"**{marks.count(Mark.RIGHT)} of {len(marks)}**"


def main() -> int:
    """Act out what was asked for, print or write the page. Exit code 2: it cannot be run here."""
    parser = argparse.ArgumentParser(prog="python -m bench.matrix", description=__doc__)
    parser.add_argument("--server", action="append", choices=list(SERVERS), help="only these (repeatable)")
    parser.add_argument(
        "--situation", action="append", choices=list(SITUATIONS), help="only these (repeatable)"
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the page there, print it otherwise"
    )
    options = parser.parse_args()
    if lacking():
        print(f"bench.matrix: {lacking()}", file=sys.stderr)
        return 2
    servers = [name for name in options.server or SERVERS if SERVERS[name].version]
    situations = options.situation or list(SITUATIONS)
    outcomes: Outcomes = {}
    for name in situations:
        for server in servers:
            try:
                outcomes[server, name] = outcome(server, name)
            except BenchError as error:
                print(error, file=sys.stderr)
                continue
            print(f"{server}, {name}: {_cell(outcomes[server, name])}", file=sys.stderr)
    text = page(outcomes, servers, situations)
    if options.markdown is None:
        print(text)
    else:
        options.markdown.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
