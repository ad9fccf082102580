from __future__ import annotations

import io

import pytest

from lasthop.compare import table
from lasthop.compare.results import Results
from lasthop.compare.verdict import judge
from tests.compare.made import AGAIN, BURSTS, CELLS, TCP, UNIX, WIN, made


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(results: Results, file: io.StringIO) -> str:
    table.show(results, judge(results), file)
    return file.getvalue()


def test_the_answer_comes_first() -> None:
    first = shown(made(CELLS, WIN), io.StringIO()).splitlines()[0]
    assert first.startswith("Use the UNIX socket: behind nginx with keep-alive, it serves 1.2")


def test_every_cell_and_every_comparison_has_its_line_of_figures() -> None:
    lines = shown(made(CELLS, WIN, bursts=BURSTS), io.StringIO()).splitlines()
    for name in CELLS:
        (line,) = [line for line in lines if line.startswith(f"{name}  ")]
        assert " ms" in line
        assert " µs" in line
    (link,) = [line for line in lines if line.startswith("nginx, unix : tcp, kept alive")]
    assert "1.2" in link
    (noise,) = [line for line in lines if line.startswith(f"{UNIX} : the same again")]
    assert 4 == noise.count("not shown (±")


def test_columns_stand_below_each_other() -> None:
    lines = shown(made(CELLS, WIN), io.StringIO()).splitlines()
    start = lines.index(next(line for line in lines if line.startswith("cell ")))
    assert 1 == len({len(line) for line in lines[start : start + 1 + len(CELLS)]})


def test_without_a_terminal_there_is_no_control_character() -> None:
    text = shown(made(CELLS, WIN), io.StringIO())
    assert [] == [c for c in text if not c.isprintable() and c != "\n"]


def test_on_a_terminal_the_answer_is_bold_and_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown(made(CELLS, WIN, missing={TCP: "it hangs"}), Terminal())
    assert "\x1b[1mUse the UNIX socket" in text
    assert f"missing: {TCP}: it hangs" in text
    assert AGAIN in text


def test_what_comes_from_outside_cannot_command_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    evil = "\x1b]0;owned\x07\x1b[31m[bold]"
    results = made(CELLS, WIN, missing={TCP: evil})
    for file in (io.StringIO(), Terminal()):
        text = shown(results, file)
        assert "\x1b]0" not in text
        assert "\x07" not in text
        assert "[bold]" in text


def test_nothing_measured_is_one_line() -> None:
    assert "No verdict: nothing was measured." == shown(made({}, {}), io.StringIO()).strip()
