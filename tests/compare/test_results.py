from __future__ import annotations

import json
from pathlib import Path

import pytest

from lasthop.compare.results import load, merge
from lasthop.errors import ResultsUnreadable
from tests.compare.made import BURSTS, CELLS, TCP, TCP_CLOSE, UNIX, WIN, made


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
