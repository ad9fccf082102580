"""Whole comparisons, short ones, with real servers, fronts and load."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lasthop.compare import experiment
from lasthop.compare.plan import Factors, Plan, cells_of
from lasthop.compare.processes import tree, until
from lasthop.compare.results import Results, load
from lasthop.errors import HopFailed, ResultsUnreadable
from lasthop.fronts import FRONTS

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)


def compare(target: str = "hello", save_to: Path | None = None, **more: object) -> Results:
    levels = {name: more.pop(name) for name in ("links", "fronts", "servers", "keep_alive") if name in more}
    cells = cells_of(Factors([f"applications:{target}"], **levels))  # type: ignore[arg-type]
    settings = {"seconds": 1.0, "slice_seconds": 0.1, "warm_seconds": 0.02, "threads": 2} | more
    return experiment.run(Plan(cells, **settings), save_to, quiet=True)  # type: ignore[arg-type]


def test_every_cell_is_measured_in_every_round() -> None:
    results = compare(most_rounds=2)
    assert [] == results.problems
    assert [1, 2] == [each.number for each in results.rounds]
    for each in results.rounds:
        assert list(results.cells) == list(each.cells)
        for measured in each.cells.values():
            assert measured.requests > 100
            assert {"200": measured.requests} == measured.statuses
            assert {} == measured.errors
            assert 0.15 < measured.seconds < 0.5
            assert 0 < measured.server.cpu_us < 5000
            # Latency is of the requests that began in the slices, requests are the replies in them.
            under_way = 4 * next(iter(results.cells.values())).connections
            assert abs(measured.requests - sum(count for _, count in measured.latency)) <= under_way
            assert measured.requests == sum(each.requests for each in measured.slices)
            assert measured.seconds == pytest.approx(sum(each.seconds for each in measured.slices))
            assert measured.latency[-1][0] <= measured.latency_max_ns * 1.01
            assert measured.front is None


def test_the_order_is_the_seeds() -> None:
    first, same, other = (
        [each.order for each in compare(seed=seed, most_rounds=2, keep_alive=[True]).rounds]
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


@pytest.mark.parametrize("front", list(FRONTS))
def test_behind_a_front_both_sides_cost_and_the_hop_is_kept_or_not(front: str) -> None:
    if FRONTS[front].executable() is None:
        pytest.skip(f"apt-get install {FRONTS[front].package}")
    results = compare(fronts=[front], most_rounds=1, reply_seconds=20.0)
    assert [] == results.problems
    (only,) = results.rounds
    for measured in only.cells.values():
        assert measured.front is not None
        assert measured.front.cpu_us > 0
        assert {"200"} == set(measured.statuses)
    kept = only.cells[f"{front}, tcp, kept alive"]
    not_kept = only.cells[f"{front}, tcp, a connection a request"]
    if kept.server.calls is not None and not_kept.server.calls is not None:
        assert kept.server.calls < not_kept.server.calls  # accept, close


def test_it_is_saved_after_each_round_and_read_again(tmp_path: Path) -> None:
    results = compare(save_to=tmp_path / "results.json", most_rounds=2)
    assert results == load(tmp_path / "results.json")


def test_bursts_are_counted_once_for_each_link() -> None:
    results = compare(most_rounds=1, burst=300)
    assert ["unix, kept alive", "tcp, kept alive"] == [each.cell for each in results.bursts]
    for each in results.bursts:
        assert 300 == each.asked == each.connected + each.refused + sum(each.other.values())
        assert each.connected == each.replied
        assert each.queue > 0 or not any(Path(at, "ss").exists() for at in ("/bin", "/usr/bin", "/usr/sbin"))


def test_the_environment_says_what_was_measured_with_what() -> None:
    results = compare(most_rounds=1, servers=["lasthop"])
    assert {"lasthop"} == set(results.environment["versions"])
    assert results.environment["processors"] == os.cpu_count()
    assert {
        "method": "GET",
        "path": "/",
        "headers": [],
        "body_bytes": 0,
        "expect_status": 0,
    } == results.request


def test_other_bodies_on_the_links_leave_one_of_them_out() -> None:
    results = compare("by_link", most_rounds=1, keep_alive=[True])
    assert ["unix", "unix (again)"] == list(results.rounds[0].cells)
    assert 1 == len(results.problems)
    assert "another body" in results.problems[0]


@pytest.mark.parametrize(("target", "says"), [("failing", "replies 500"), ("missing", "missing")])
def test_nothing_measured_is_an_error_with_the_reason(target: str, says: str) -> None:
    with pytest.raises(HopFailed) as caught:
        compare(target)
    assert "nothing could be measured" in str(caught.value)
    assert says in str(caught.value)


def test_a_server_that_dies_in_the_middle_is_no_cell() -> None:
    with pytest.raises(HopFailed):
        compare("dying", servers=["waitress"], most_rounds=1, reply_seconds=2.0)


def test_requests_that_are_never_answered_end_their_cell_and_not_the_comparison() -> None:
    with pytest.raises(HopFailed) as caught:
        compare("stalling", most_rounds=1, keep_alive=[True], reply_seconds=0.5)
    assert "requests had no reply within 0.5 s" in str(caught.value)


RUN = """
import sys
from lasthop.cli import main
sys.exit(main(["compare", "applications:hello", "--front", "direct", "--seconds", "60", "--burst", "0", *sys.argv[1:]]))
"""


def heeding_signals() -> None:
    """Whoever started the tests may have had them ignore what ends a command."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def rounds_in(file: Path) -> int:
    """How many rounds a file has; before the first, it is there only for the moment in which it is tried out."""
    try:
        return len(load(file).rounds)
    except ResultsUnreadable:
        return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_what_there_is_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    file, page, places = tmp_path / "results.json", tmp_path / "page.html", tmp_path / "places"
    places.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-c", RUN, "--json", str(file), "--html", str(page)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE, env=os.environ | {"TMPDIR": str(places)},
        preexec_fn=heeding_signals,
    )  # fmt: skip
    try:
        assert until(lambda: rounds_in(file) >= 2, time.monotonic() + 60)
        family = tree(running.pid)[1:]
        running.send_signal(number)
        running.send_signal(number)  # an impatient second one
        out, err = running.communicate(timeout=30)
    finally:
        running.kill()
    assert 128 + number == running.returncode
    assert "it was interrupted" == load(file).ended
    assert "interrupted" in out + err
    assert "interrupted" in page.read_text()
    assert family
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), time.monotonic() + 10)
    assert [] == list(places.iterdir())


def test_a_terminal_that_is_closed_costs_what_is_shown_and_not_what_was_measured(tmp_path: Path) -> None:
    file, page, places = tmp_path / "results.json", tmp_path / "page.html", tmp_path / "places"
    places.mkdir()
    pid, terminal = pty.fork()
    if pid == 0:
        heeding_signals()
        os.chdir(HERE)
        command = [sys.executable, "-c", RUN, "--json", str(file), "--html", str(page)]
        os.execve(sys.executable, command, os.environ | {"TMPDIR": str(places)})
    give_up = time.monotonic() + 60
    while not (file.exists() and load(file).rounds) and time.monotonic() < give_up:
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 65536)
    os.close(terminal)
    assert 128 + signal.SIGHUP == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert "it was interrupted" == load(file).ended
    assert "interrupted" in page.read_text()
    assert [] == list(places.iterdir())
