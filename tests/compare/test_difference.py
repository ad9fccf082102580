from __future__ import annotations

import dataclasses
import re

from lasthop.compare.difference import words
from lasthop.compare.results import Results
from tests.compare.made import CELLS, TCP, UNIX, WIN, Noise, Truth, cell, made

NOISE = Noise(0.02, 0.05, 0.01)


def slower(truth: Truth, factor: float = 1.3) -> Truth:
    return dataclasses.replace(
        truth,
        requests_per_second=truth.requests_per_second / factor,
        server_us=truth.server_us * factor,
        front_us=(truth.front_us or 12.0) * factor,
    )


def two(changed: dict[str, Truth] | None = None) -> tuple[Results, Results]:
    return made(CELLS, WIN, noise=NOISE), made(CELLS, {**WIN, **(changed or {})}, noise=NOISE, seed=2)


def test_where_nothing_changed_it_says_so_and_what_would_have_shown() -> None:
    said = words(*two())
    assert ["No change shown.", "The answer is the same: Use the UNIX socket."] == said[:2]
    (line,) = [line for line in said if line.startswith(f"{TCP}: ")]
    assert line.startswith(f"{TCP}: no change shown (")
    assert re.search(r"in CPU would have\) \([\d,]+/s, then [\d,]+/s\)\.$", line)
    assert "Nothing that is known of the environment changed." in said


def test_what_changed_is_named_first() -> None:
    said = words(*two({TCP: slower(WIN[TCP])}))
    assert f"Changed: {TCP}." == said[0]
    (line,) = [line for line in said if line.startswith(f"{TCP}: ")]
    assert " times the requests/s [" in line
    assert " times the CPU a request [" in line
    assert said[-1].startswith("These were two runs:")


def test_where_all_is_slower_it_points_to_the_machine() -> None:
    said = words(*two({name: slower(truth) for name, truth in WIN.items()}))
    assert "Everything is slower: look for what changed on the machine first." == said[0]


def test_another_answer_is_told() -> None:
    said = words(*two({UNIX: WIN[TCP], TCP: WIN[UNIX]}))
    assert (
        "The answer was “Use the UNIX socket”, and is “It depends whether the UNIX socket or TCP is better”."
        in said
    )


def test_changes_of_the_environment_are_told_with_both_values() -> None:
    before, after = two()
    after.environment["kernel"] = "Linux 6.19"
    after.environment["versions"]["nginx"] = "1.28.0"
    after.environment["settings"]["backlog"] = 128
    after.environment["begun"] = "another day"
    said = words(before, after)
    assert [
        "changed: kernel from Linux 6.18.5 to Linux 6.19",
        "changed: versions nginx from 1.22.1 to 1.28.0",
        "changed: settings backlog from nothing to 128",
    ] == [line for line in said if line.startswith("changed: ")]


def test_runs_of_different_things_are_not_compared() -> None:
    before, after = two()
    after.request["path"] = "/other"
    assert ["These two cannot be compared: another request was made (path: '/', then '/other')."] == words(
        before, after
    )
    before, after = two()
    after.environment["processor"] = "another"
    assert (
        "These two cannot be compared: they ran on different machines (processor: 'AMD EPYC', then 'another')."
        in words(before, after)
    )
    assert ["These two cannot be compared: they have no cell in common."] == words(
        made({UNIX: CELLS[UNIX]}, WIN), made({TCP: CELLS[TCP]}, WIN)
    )


def test_cells_are_the_same_by_what_they_are_not_by_their_names() -> None:
    before = made({"unix": cell("unix"), "tcp": cell("tcp")}, {})
    after = made({"nginx, unix": cell("unix"), "tcp": cell("tcp6")}, {}, seed=2)
    said = words(before, after)
    assert any(line.startswith("nginx, unix: ") for line in said)
    assert "Only in one of them: tcp." in said


def test_a_broken_cell_is_not_compared() -> None:
    before, after = two({TCP: Truth(failing=0.5)})
    assert f"{TCP}: not compared: after, 50 % of its requests failed (status 500: " in "\n".join(
        words(before, after)
    )
