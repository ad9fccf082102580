"""Statistics over rounds."""

from pathlib import Path

from bench.results import Record, Results, Spread


def results(*rows: tuple[str, str, int, float]) -> Results:
    return Results(
        {}, [Record(case, server, number, {"cpu_us": value}) for case, server, number, value in rows]
    )


def test_spread_is_median_smallest_and_largest() -> None:
    assert Spread(3.0, 1.0, 9.0, 3) == Spread.over([9.0, 1.0, 3.0])


def test_no_rounds_have_no_spread() -> None:
    assert Spread.over([]) is None


def test_a_ratio_is_taken_within_each_round_so_that_a_slower_round_does_no_harm() -> None:
    found = results(
        ("hello", "floor", 1, 2.0),
        ("hello", "ours", 1, 3.0),
        ("hello", "floor", 2, 8.0),
        ("hello", "ours", 2, 12.0),
    )
    assert Spread(1.5, 1.5, 1.5, 2) == found.ratio("hello", "ours", "cpu_us", "floor")


def test_a_round_in_which_the_base_failed_is_no_part_of_the_ratio() -> None:
    found = results(("hello", "floor", 1, 2.0), ("hello", "ours", 1, 4.0), ("hello", "ours", 2, 100.0))
    assert Spread(2.0, 2.0, 2.0, 1) == found.ratio("hello", "ours", "cpu_us", "floor")


def test_a_figure_can_be_compared_with_another_of_the_same_server() -> None:
    found = Results({}, [Record("idle", "ours", 1, {"cpu_us": 3.0, "cpu_us_without": 2.0})])
    assert Spread(1.5, 1.5, 1.5, 1) == found.ratio("idle", "ours", "cpu_us", "ours", "cpu_us_without")


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    kept = results(("hello", "floor", 1, 2.0))
    kept.records.append(Record("hello", "ours", 1, failure="it did not start"))
    kept.left_out["bjoern"] = "not installed"
    kept.save(tmp_path / "results.json")
    assert kept == Results.load(tmp_path / "results.json")
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]
