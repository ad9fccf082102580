"""The page of the matrix, and what its servers are started with."""

from __future__ import annotations

import sys

import pytest

from bench.matrix.__main__ import page
from bench.matrix.rules import Mark, Outcome, how_it_ended, names
from bench.matrix.servers import SERVERS, Wish
from bench.matrix.situations import SITUATIONS
from bench.matrix.stand import Process


def test_a_cell_says_whether_it_is_right_and_what_happened() -> None:
    outcomes = {
        ("lasthop", "stopped"): Outcome(Mark.RIGHT, "leaves nothing"),
        ("waitress", "stopped"): Outcome(Mark.WRONG, "leaves a|b"),
        ("waitress", "reload"): Outcome(Mark.NONE, "no reload"),
    }
    lines = page(outcomes, ["lasthop", "waitress"], ["stopped", "reload"]).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert (
        "| stopped by SIGTERM | nothing is left in the directory | ✓ leaves nothing | **✗** leaves a/b |"
        == rows[2]
    )
    assert rows[3].endswith("|  | - no reload |")
    assert "| **right** |  | **1 of 1** | **0 of 2** |" == rows[4]


@pytest.mark.parametrize("name", list(SERVERS))
def test_a_server_is_started_with_our_python(name: str) -> None:
    command = SERVERS[name].command(Wish("/run/app.sock"))
    assert command is not None
    assert sys.executable == command[0]


@pytest.mark.parametrize("wish", [Wish("/s", replace=True), Wish("/s", group="www-data")])
def test_what_a_server_cannot_is_known_beforehand(wish: Wish) -> None:
    assert {"lasthop"} == {name for name, server in SERVERS.items() if server.command(wish) is not None}


def test_every_situation_says_what_is_right() -> None:
    assert [] == [each.name for each in SITUATIONS.values() if not (each.asks and each.right)]


def test_a_pid_is_named_only_as_one() -> None:
    assert names(5, "cannot listen: pid 5 (nc) is listening there")
    assert not names(5, "[2026-11-25 15:05:55] [5] port 5")
    assert not names(5, "pid 55 is listening there")


class Words(Process):
    """A server that has ended with these words."""

    def __init__(self, words: str) -> None:
        self._words = words

    def said(self) -> str:
        return self._words


def test_the_reason_of_a_traceback_is_its_last_error() -> None:
    words = 'Traceback (most recent call last):\n  File "x"\nOSError: in use\nStack backtrace:\n   0: main\n'
    assert "a traceback: OSError: in use" == how_it_ended(Words(words))
    assert "cannot listen" == how_it_ended(Words("cannot listen\n  hint: elsewhere\n"))
