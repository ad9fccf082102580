"""The tables."""

from bench import report
from bench.cases import CASES
from bench.peers import SERVERS
from bench.results import Record, Results, left_out_as

ENVIRONMENT = {
    "begun": "2026-01-01T00:00:00+00:00",
    "command": "python -m bench",
    "commit": "0000000",
    "kernel": "Linux 6.1",
    "processor": "a processor",
    "virtual": False,
    "processors": 2,
    "cores": {"server": 0, "load": 1, "front": 0},
    "python": "3.11.0",
    "compiler": "cc 12",
    "versions": {"bjoern": "3.2.2", "granian": "not installed"},
    "sysctls": {"net.core.somaxconn": "4096"},
    "settings": {"rounds": 2, "seconds": 1.0, "seed": 1},
}


def test_every_server_and_column_of_a_case_is_known() -> None:
    assert set() == {server for case in CASES.values() for server in case.servers} - set(SERVERS)
    assert set() == {column for case in CASES.values() for column in case.columns} - set(report.COLUMNS)


def test_a_table_is_markdown_with_even_columns() -> None:
    expected = "| server |   µs |\n|--------|-----:|\n| floor  | 2.60 |\n| ours   |  3.1 |"
    assert expected == report.table(["server", "µs"], [["floor", "2.60"], ["ours", "3.1"]])


def test_a_case_shows_medians_with_their_spread_and_the_ratio_to_the_floor() -> None:
    figures = {"floor": [2.0, 4.0, 3.0], "lasthop-1": [3.0, 6.0, 4.5]}
    found = Results(
        ENVIRONMENT,
        [
            Record("hello-unix", name, n, {"cpu_us": us})
            for name, all_us in figures.items()
            for n, us in enumerate(all_us)
        ],
    )
    lines = report.case_section(found, "hello-unix").splitlines()
    assert cells(lines[4]) == ["floor", "3.00 (2.00 - 4.00)", "-", "-", "-", "-", "1.00"]
    assert cells(lines[5]) == ["lasthop-1", "4.50 (3.00 - 6.00)", "-", "-", "-", "-", "1.50"]


def test_requests_a_second_that_the_load_bounds_are_called_so() -> None:
    found = Results(ENVIRONMENT, [Record("hello-unix", "floor", 1, {"cpu_us": 2.0, "load_busy": 0.99})])
    assert "The load was at its limit with floor" in report.case_section(found, "hello-unix")


def test_the_whole_report_says_what_failed_and_what_was_left_out() -> None:
    found = Results(
        ENVIRONMENT,
        [Record("hello-unix", "bjoern", 2, failure="ServerError: it ended")],
        {"uwsgi": "not there"},
    )
    text = report.whole(found)
    assert "- hello-unix, bjoern, round 2: ServerError: it ended\n" in text
    assert "- uwsgi: not there\n" in text
    assert "granian not installed" not in text


def test_a_table_says_who_is_not_in_it() -> None:
    found = Results(
        ENVIRONMENT,
        [Record("asgi-websocket-py311", "uvicorn", 1, {"message_cpu_us": 2.0})],
        {left_out_as("lasthop-uvloop", "py311"): "no uvloop", "lasthop-uvloop": "for another Python"},
    )
    text = report.case_section(found, "asgi-websocket-py311")
    assert ["fastpysgi-asgi: it has no WebSockets.", "lasthop-uvloop: no uvloop."] == [
        line.removeprefix("Without ") for line in text.splitlines() if line.startswith("Without ")
    ]


def test_a_machine_that_was_not_quiet_is_called_so() -> None:
    busy = Results(ENVIRONMENT, [Record("start", "floor", 1, {"foreign": 0.5, "first_reply_ms": 1.0})])
    quiet = Results(ENVIRONMENT, [Record("start", "floor", 1, {"foreign": 0.01, "first_reply_ms": 1.0})])
    assert "this machine was not quiet" in report.whole(busy)
    assert "this machine was not quiet" not in report.whole(quiet)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
