from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lasthop.compare.results import load, merge, write_whole
from lasthop.errors import ResultsUnreadable
from tests.compare.made import BURSTS, CELLS, SAME, TCP, TCP_CLOSE, UNIX, WIN, made


def test_a_saved_comparison_is_read_as_it_was(tmp_path: Path) -> None:
    results = made(CELLS, WIN, bursts=BURSTS, missing={TCP_CLOSE: "“nginx”\n\x1b[31m"})
    results.save(tmp_path / "a.json")
    assert results == load(tmp_path / "a.json")
    assert ["a.json"] == [path.name for path in tmp_path.iterdir()]


def test_the_file_says_its_format_and_has_a_line_for_each_round(tmp_path: Path) -> None:
    results = made(CELLS, WIN, rounds=3)
    text = results.as_json()
    assert "lasthop-compare 1" == json.loads(text)["format"]
    assert 3 == sum(line.startswith('{"number":') for line in text.splitlines())


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"format": "lasthop-compare 99"}', '{"format": "lasthop-compare 1"}', "\x00", "7"],
)
def test_another_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ResultsUnreadable, match=r"other\.json"):
        load(path)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (
            ("rounds", 0, "cells", UNIX, "latency_max_ns"),
            "much",
            r"latency_max_ns is 'much', not a whole number",
        ),
        (("rounds", 0, "cells", UNIX, "seconds"), float("nan"), r"seconds is nan, not a number"),
        (("rounds", 0, "cells", UNIX, "bytes_in"), -1, r"bytes_in is -1, not a whole number"),
        (("rounds", 0, "cells", UNIX, "server", "cpu_us"), 1e300, r"server\.cpu_us is 1e\+300"),
        (("rounds", 0, "cells", UNIX, "latency", 0), [1], r"latency\[0\] has 1 elements, not 2"),
        (("rounds", 0, "cells", "another"), {}, r"has no 'seconds'"),
        (("rounds", 1, "order"), {}, r"order is \{\}, not a list"),
        (("cells", UNIX, "link"), [], r"link is \[\], not a text"),
        (("problems",), 7, r"problems is 7, not a list"),
        (("more",), 7, r"has 'more', which nobody knows"),
    ],
)
def test_a_file_that_somebody_altered_is_refused_with_the_place(
    tmp_path: Path, place: tuple[Any, ...], value: object, says: str
) -> None:
    whole = json.loads(made(CELLS, SAME, rounds=2).as_json())
    inner = whole
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path = tmp_path / "altered.json"
    path.write_text(json.dumps(whole))
    with pytest.raises(ResultsUnreadable, match=says):
        load(path)


def test_a_cell_that_only_a_round_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "altered.json"
    path.write_text(made(CELLS, SAME, rounds=2).as_json().replace(f'"{UNIX}":', '"nobody":', 1))
    with pytest.raises(ResultsUnreadable, match="stands nowhere else"):
        load(path)


def test_a_file_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(ResultsUnreadable, match="MiB"):
        load(Path("/dev/zero"))


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "bytes", "."):
        with pytest.raises(ResultsUnreadable):
            load(tmp_path / name)


def test_rounds_of_a_cell_leave_out_where_it_is_missing() -> None:
    results = made(CELLS, WIN, rounds=4)
    del results.rounds[1].cells[TCP]
    assert [1, 3, 4] == [number for number, _ in results.by_round(TCP)]
    assert 4 == len(results.by_round(UNIX))


def test_distributions_are_merged() -> None:
    assert [(1, 3), (2, 1), (5, 4)] == merge([[(1, 1), (5, 4)], [(1, 2), (2, 1)], []])


def test_a_name_that_leads_to_a_file_goes_on_leading_there(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "file.json")
    made(CELLS, SAME, rounds=2).save(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert load(tmp_path / "file.json") == load(tmp_path / "link.json")


def test_what_is_no_regular_file_stays_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(tmp_path / "pipe", "text")
        assert b"text" == os.read(reader, 100)
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
