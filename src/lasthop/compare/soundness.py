"""Which cells a verdict may rest on, and what makes figures mean little. Knows the data; what a sound cell's figures mean is `verdict`'s."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median, quantiles

from lasthop.compare.figures import Figures, figures
from lasthop.compare.results import Cell, Results

MOST_FAILED = 0.001
"""The share of failed requests above which a cell's figures are of something else than serving."""
LEAST_PART = 0.5
"""The share of the rounds that a cell must have been measured in."""
BUSY_LOAD = 0.95
DISTURBED = 0.10
"""Of one core, that others had."""
MOVED = 0.25
"""By how much the middle half of a cell's rounds may differ before the machine is called unsteady."""
REACHED = 0.98
"""The share of planned requests of which less is not the plan any more."""
OTHER_LENGTH = 0.10
"""By how much the replies of two cells with the same application may differ in length."""


def broken(results: Results) -> dict[str, str]:
    """The cells that no verdict may rest on, and why."""
    found = {}
    for name in results.cells:
        why = _why_broken(results, name, figures(results, name))
        if why:
            found[name] = why
    return found


def _why_broken(results: Results, name: str, measured: Figures | None) -> str:
    told = [each.failures[name] for each in results.rounds if name in each.failures]
    reason = told[-1].strip() if told else "it was not measured"
    if measured is None:
        return reason
    if measured.rounds < LEAST_PART * len(results.rounds):
        return f"measured in {measured.rounds} of {len(results.rounds)} rounds only: {reason}"
    tried = measured.requests + sum(measured.errors.values())
    if not measured.requests:
        return f"no reply at all{_kinds(measured)}"
    if measured.failed > MOST_FAILED * tried:
        return f"{_share(measured.failed / tried)} of its requests failed{_kinds(measured)}"
    return ""


def _kinds(measured: Figures) -> str:
    statuses = {f"status {status}": count for status, count in measured.statuses.items()}
    bad = {
        **{name: count for name, count in statuses.items() if name[7:8] not in ("2", "3")},
        **{kind.replace("_", " "): count for kind, count in measured.errors.items() if count},
    }
    return f" ({', '.join(f'{name}: {count:,}' for name, count in sorted(bad.items()))})" if bad else ""


def _share(share: float) -> str:
    return f"{share * 100:.2g} %" if share < 0.995 else "all"


def other_reply(first: Figures, second: Figures, same_server: bool) -> str:
    """Why two cells' replies cannot be the same, or nothing."""
    if set(first.statuses) != set(second.statuses):
        return f"one replies {_list(first.statuses)}, the other {_list(second.statuses)}"
    shorter, longer = sorted([first.reply_bytes, second.reply_bytes])
    # Heads differ by some bytes from server to server and with the connection's fate; bodies of the same application must not.
    if longer - shorter > max(OTHER_LENGTH * longer, 64 if same_server else 256):
        return f"a reply has {first.reply_bytes:,.0f} bytes on one and {second.reply_bytes:,.0f} on the other"
    return ""


def _list(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))


def warnings(results: Results, sound: dict[str, Cell]) -> list[str]:
    """What makes the figures mean less than they seem to, in words."""
    found = []
    cores = results.environment.get("cores")
    if isinstance(cores, dict) and cores.get("shared"):
        found.append(
            "The load and the server shared a core: requests/s are those of both together. "
            "CPU a request is still told apart; for the rest use a machine with two cores."
        )
    measured = {name: figures(results, name) for name in sound}
    limited = [
        name
        for name, each in measured.items()
        if each and each.load_busy >= BUSY_LOAD and not sound[name].rate
    ]
    if limited:
        found.append(
            f"The load was at its limit for {_names(limited, results)}: the true requests/s are higher, and differ more than it seems. "
            "CPU a request holds."
        )
    disturbed = [each.disturbed for each in measured.values() if each]
    if disturbed and median(disturbed) > DISTURBED:
        found.append(
            f"Others had {median(disturbed):.0%} of a core while it was measured. Compare again when the machine is quiet; "
            "until then small differences stay hidden."
        )
    moved = max((_moved(results, name) for name in sound), default=0.0)
    if moved > MOVED:
        found.append(
            f"The machine's speed moved: half of the rounds of one and the same thing lie {moved:.0%} apart or more "
            "(neighbours on the host, or the processor's frequency). Ratios are taken within rounds and hold; requests/s by themselves do not."
        )
    for name, each in measured.items():
        failures = [round_.failures[name] for round_ in results.rounds if name in round_.failures]
        if failures:
            found.append(
                f"{name}: failed in {len(failures)} of {len(results.rounds)} rounds: {failures[-1].strip()}"
            )
        if each and each.failed:
            found.append(f"{name}: {each.failed:,} of {each.requests:,} requests failed{_kinds(each)}.")
        cell = sound[name]
        if each and cell.rate and each.planned and each.requests < REACHED * each.planned:
            found.append(
                f"{name}: only {each.requests_per_second:,.0f} of {cell.rate:,.0f} planned requests/s were reached; "
                "latencies grow as long as it lasts, and say little."
            )
    return found


def _moved(results: Results, name: str) -> float:
    rates = [each.requests_per_second for _, each in results.by_round(name)]
    if len(rates) < 4:
        return 0.0
    low, _, high = quantiles(rates, n=4)
    return (high - low) / median(rates) if median(rates) else 0.0


def _names(names: list[str], results: Results) -> str:
    return "all" if len(names) == len(results.cells) else "; ".join(names)
