"""The report: results as Markdown tables, padded so that a terminal shows them well too. Knows results, measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.case import Case
from bench.cases import CASES
from bench.goals import GOALS
from bench.peers import SERVERS
from bench.results import DISTURBED, Results, Spread, left_out_as

LOAD_BOUND = 0.97
"""Above this share of its core the load, not the server, bounds the requests/s."""

Show = Callable[[float], str]


def _micro(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _milli(value: float) -> str:
    return f"{value / 1000:.2f}" if value < 10_000 else f"{value / 1000:,.0f}"


COLUMNS: dict[str, tuple[str, Show]] = {
    "cpu_us": ("CPU µs a request", _micro),
    "cpu_us_without": ("CPU µs without them", _micro),
    "front_cpu_us": ("nginx CPU µs", _micro),
    "requests_per_second": ("requests/s", _whole),
    "p50_us": ("p50 ms", _milli),
    "p99_us": ("p99 ms", _milli),
    "worst_us": ("worst ms", _milli),
    "message_cpu_us": ("CPU µs a message", _micro),
    "messages_per_second": ("messages/s", _whole),
    "second_p99_us": ("p99 ms of the computing", _milli),
    "gib_per_second": ("GiB/s", _micro),
    "idle_bytes": ("bytes a connection", _whole),
    "websocket_bytes": ("bytes a WebSocket", _whole),
    "first_reply_ms": ("first reply ms", _whole),
    "memory_mib": ("memory MiB", _micro),
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with even columns; the first is words, the others are figures."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = (
        "|"
        + "|".join("-" * (width + 1) + ("-" if column == 0 else ":") for column, width in enumerate(widths))
        + "|"
    )
    return "\n".join([line(head), rule, *map(line, rows)])


def _cell(spread: Spread | None, show: Show) -> str:
    if spread is None:
        return "-"
    middle, low, high = show(spread.median), show(spread.low), show(spread.high)
    return middle if low == high else f"{middle} ({low} - {high})"


def case_section(results: Results, name: str) -> str:
    """A case's table, with each server's CPU time over the floor's where the floor took part."""
    case = CASES[name]
    servers = sorted(results.servers(name), key=case.servers.index)
    with_floor = (
        "floor" in servers
        and "cpu_us" in case.columns
        and results.spread(name, "floor", "cpu_us") is not None
    )
    head = [
        "server",
        *(COLUMNS[column][0] for column in case.columns),
        *(["over floor"] if with_floor else []),
    ]
    rows = []
    for server in servers:
        row = [server]
        row += [_cell(results.spread(name, server, column), COLUMNS[column][1]) for column in case.columns]
        if with_floor:
            row.append(_cell(results.ratio(name, server, "cpu_us", "floor"), "{:.2f}".format))
        rows.append(row)
    text = f"### {name}: {case.asks}\n\n{table(head, rows)}\n"
    for server, why in _absent(results, case).items():
        text += f"\nWithout {server}: {why}.\n"
    bound = [server for server in servers if _bounded_by_load(results, name, server)]
    if bound and {"requests_per_second", "messages_per_second"} & set(case.columns):
        text += f"\nThe load was at its limit with {', '.join(bound)}: their requests/s are a lower bound.\n"
    return text


def _absent(results: Results, case: Case) -> dict[str, str]:
    """Who is not in a case's table, and why."""
    left_out = {name: results.left_out.get(left_out_as(name, case.work.python)) for name in case.servers}
    missing = {name: why for name, why in left_out.items() if why and case.work.link in SERVERS[name].links}
    return {**case.without, **missing}


def _bounded_by_load(results: Results, case: str, server: str) -> bool:
    busy = results.spread(case, server, "load_busy")
    return busy is not None and busy.median >= LOAD_BOUND


def goals_section(results: Results) -> str:
    """The goals, each with what was measured and whether it is met."""
    rows = []
    for goal in GOALS:
        found = goal.measured(results)
        limit = f"{'≤' if goal.at_most else '≥'} {goal.limit:g}"
        rows.append([goal.words, limit, _cell(found, f"{{:,.{goal.digits}f}}".format), goal.verdict(found)])
    met = sum(row[3].startswith("met") for row in rows)
    missed = sum(row[3].startswith("missed") for row in rows)
    head = f"### Goals: {met} met, {missed} missed, {len(rows) - met - missed} not measured\n"
    text = f"{head}\n{table(['goal', 'must be', 'measured (rounds)', 'verdict'], rows)}\n"
    worst = results.spread("hello-unix", "floor", "worst_us")
    if worst is not None:
        text += f"\nThe floor's own worst reply in hello-unix took {_milli(worst.high)} ms: so much is the machine's.\n"
    return text


def environment_section(results: Results) -> str:
    """Where and with what it was measured."""
    of = results.environment
    cores, settings = of["cores"], of["settings"]
    machine = (
        f"{of['processor']}, {of['processors']} processors{', a virtual machine' if of['virtual'] else ''}"
    )
    lines = [
        f"- {of['begun']}, `{of['command']}`, commit {of['commit']}",
        f"- {machine}; {of['kernel']}; Python {of['python']}; {of['compiler']}",
        f"- server on core {cores['server']}, load on core {cores['load']}, nginx on core {cores['front']}",
        f"- {settings['rounds']} rounds of {settings['seconds']} s (or the case's multiple), 32 connections where a case names no number",
        f"- servers in an order of each round's own (seed {settings['seed']})",
        f"- {_installed(of['versions'])}",
        *(
            f"- {role}: Python {it['version']} with {_installed(it['versions'])}"
            for role, it in of.get("pythons", {}).items()
        ),
        "- sysctls: " + ", ".join(f"{name} = {value}" for name, value in of["sysctls"].items()),
    ]
    return "### Measured on\n\n" + "\n".join(lines) + "\n"


def _installed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version != "not installed")


def whole(results: Results) -> str:
    """The report."""
    parts = [
        environment_section(results),
        *(case_section(results, name) for name in results.cases()),
        goals_section(results),
    ]
    if results.left_out:
        parts.append(
            "### Left out\n\n"
            + "\n".join(f"- {name}: {why}" for name, why in results.left_out.items())
            + "\n"
        )
    if failures := results.failures():
        lines = [f"- {it.case}, {it.server}, round {it.round}: {_indented(it.failure)}" for it in failures]
        parts.append("### Failed\n\n" + "\n".join(lines) + "\n")
    parts.append(_calm(results))
    parts.append(
        "Figures are medians over the rounds (smallest - largest); ratios are the median of the rounds' own ratios.\n"
    )
    return "\n".join(parts)


def _calm(results: Results) -> str:
    """Whether other processes used the cores meanwhile."""
    told = [record for record in results.records if "foreign" in record.figures]
    disturbed = [record for record in told if record.figures["foreign"] > DISTURBED]
    text = f"Other processes used more than {DISTURBED:.0%} of a core in {len(disturbed)} of {len(told)} measurements"
    if len(disturbed) > len(told) / 20:
        text += ": this machine was not quiet, and single figures may be off; run it again when it is"
    return text + ".\n"


def _indented(text: str) -> str:
    return text.replace("\n", "\n      ")
