"""The demonstration: what it prints, and that it fails where it must."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lasthop.demo.__main__ import ROUNDS, Cost, ask, report
from lasthop.errors import DemoFailed
from tests.conftest import Serve


def test_shows_both_links_and_ends_with_0() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lasthop.demo", "--requests", "200"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "GET / -> 200, Hello! This request came over a UNIX socket." in done.stdout
    assert "GET / -> 200, Hello! This request came over TCP from 127.0.0.1." in done.stdout
    assert 2 == done.stdout.count("µs of the server's CPU a request")


def test_a_server_that_answers_otherwise_makes_it_fail(serve: Serve) -> None:
    server = serve("lasthop.demo:LINES.__class__")  # int(environ, start_response) raises: a 500
    with pytest.raises(DemoFailed, match=r"GET / over unix:.* gave 500"):
        ask(server.unix)


@pytest.mark.parametrize(
    ("tcp", "words"),
    [
        (15.0, "Over TCP a request cost 1.50 times the CPU (dearer in 20 of 20"),
        (5.0, "That is not what we expect"),
        (None, "No difference"),
    ],
)
def test_claims_a_difference_only_when_the_rounds_show_one(tcp: float | None, words: str) -> None:
    unix = [Cost(10.0, 20.0)] * ROUNDS
    noisy = [Cost(10.0 + (-1) ** turn, 20.0) for turn in range(ROUNDS)]
    assert words in report({"unix": unix, "tcp": noisy if tcp is None else [Cost(tcp, 20.0)] * ROUNDS}, 100)
