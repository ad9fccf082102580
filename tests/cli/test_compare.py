"""`lasthop compare`: options, errors, and what it shows."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lasthop.cli import main
from lasthop.cli.compare import parser, plan_of
from lasthop.compare.plan import Plan
from lasthop.compare.results import Results
from lasthop.errors import HopFailed, UsageError
from tests.compare.made import CELLS, WIN, made

HERE = Path(__file__).parent.parent / "compare"


def plan(*arguments: str) -> Plan:
    return plan_of(parser().read(["shop:app", "--front", "direct", *arguments]))


def test_by_default_both_links_are_compared_kept_alive_and_not() -> None:
    found = plan()
    assert 5 == len(found.cells)
    assert {"lasthop"} == {cell.server for cell in found.cells.values()}
    assert ("GET", "/", b"") == (found.request.method, found.request.path, found.request.body)
    assert 60.0 == found.seconds


def test_thorough_takes_ten_minutes() -> None:
    assert 600.0 == plan("--thorough").seconds


def test_a_body_makes_it_a_post() -> None:
    assert ("POST", b"a=1") == (plan("--data", "a=1").request.method, plan("--data", "a=1").request.body)
    assert "POST" == plan("--body-bytes", "1000").request.method


def test_what_may_change_something_is_not_asked_in_a_burst_unless_that_is_said() -> None:
    assert plan().burst > 0
    assert 0 == plan("--data", "a=1").burst == plan("--method", "DELETE").burst
    assert 70 == plan("--data", "a=1", "--burst", "70").burst


def test_a_body_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"\0\1")
    assert b"\0\1" == plan("--data", f"@{tmp_path}/body").request.body


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--link", "unxi"], "did you mean unix"),
        (["--front", "ngnix"], "did you mean nginx"),
        (["--server", "unicorn"], "did you mean"),
        (["--keep-alive", "maybe"], "one of on, off"),
        (["--link", "unix,unix"], "twice"),
        (["--link", ""], "nothing"),
        (["--connections", "0"], "from 1 to"),
        (["--connections", "many"], "no number"),
        (["--rate", "-1"], "from 0"),
        (["--seconds", "0.2"], "at least 1"),
        (["--seconds", "0"], "at least 1"),
        (["--seconds", "nan"], "at least 1"),
        (["--rounds", "9" * 400], "at most"),
        (["--threads", "100000"], "at most 1000"),
        (["--burst", "-1"], "at least 0"),
        (["--rate", "0.0000001"], "at least 0.01"),
        (["-H", "A: \u20ac"], "cannot be sent"),
        (["-H", "\u00dc: x"], "cannot be sent"),
        (["-H", "Content-Length: 5"], "made by lasthop itself"),
        (["-H", "Host: a", "-H", "host: b"], "twice"),
        (["--expect-status", "1000"], "at most 599"),
        (["--head=Authorization: Bearer hush"], "there is no option --head"),
        (["--path", "shop"], "must begin with /"),
        (["--path", "/a b"], "%20"),
        (["--header", "X-Y"], "NAME: VALUE"),
        (["--header", "X: y\r\nZ: w"], "NAME: VALUE"),
        (["--method", "GET /"], "no method"),
        (["--data", "@/no/such/file"], "No such file"),
        (["--data", "a", "--body-bytes", "5"], "contradict"),
        (["--sede", "1"], "did you mean --seed"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(*arguments)
    assert says in str(caught.value)


def test_a_page_that_cannot_be_written_is_said_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 2 == main(["compare", "shop:app", "--front", "direct", "--html", "/no/such/dir/page.html"])
    assert "/no/such/dir" in capsys.readouterr().err
    for option in ("--html", "--json"):
        assert 2 == main(["compare", "shop:app", "--front", "direct", option, str(HERE)])
        assert "Is a directory" in capsys.readouterr().err
        assert 2 == main(["compare", "shop:app", "--front", "direct", option, "n" * 300])
        assert "too long" in capsys.readouterr().err


def test_a_comparison_is_shown_saved_and_shown_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    file, page = tmp_path / "results.json", tmp_path / "page.html"
    options = ["--front", "direct", "--seconds", "6", "--threads", "2", "--seed", "7", "--burst", "100"]
    code = main(["compare", "applications:hello", *options, "--json", str(file), "--html", str(page)])
    first = capsys.readouterr()
    assert 1 == code, first.err  # so few rounds are no verdict, and are said to be none
    assert "too few rounds" in first.out
    assert "UNIX" in first.out
    assert "round 1 of about" in first.err
    assert page.read_text().startswith("<!doctype html>") or page.read_text().startswith("<!DOCTYPE html>")
    assert 1 == main(["compare", "show", str(file)])
    assert first.out.strip() == capsys.readouterr().out.strip()
    assert 0 == main(["compare", "diff", str(file), str(file)])
    assert capsys.readouterr().out


def test_an_application_that_cannot_be_imported_is_said_with_its_own_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    assert 1 == main(["compare", "no_such_module:app", "--front", "direct", "--seconds", "2"])
    assert "no_such_module" in capsys.readouterr().err


def test_a_file_that_is_no_comparison_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "odd.json").write_text("{}")
    assert 2 == main(["compare", "show", str(tmp_path / "odd.json")])
    assert "odd.json" in capsys.readouterr().err


def test_the_page_does_not_take_the_place_of_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it.json"
    made(CELLS, WIN).save(file)
    before = file.read_bytes()
    for arguments in (
        ["show", str(file), "--html", str(file)],
        ["a:b", "--json", str(file), "--html", str(file)],
    ):
        assert UsageError.exit_code == main(["compare", *arguments])
        assert "cannot be both the results and the page" in capsys.readouterr().err
    assert before == file.read_bytes()


def test_who_reads_enough_of_it_sees_no_traceback(tmp_path: Path) -> None:
    made(CELLS, WIN).save(tmp_path / "it.json")
    shown = subprocess.run(
        f"{sys.executable} -m lasthop compare show it.json | true",
        shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "" == shown.stderr


def test_two_that_cannot_be_compared_are_told_apart_by_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = made(CELLS, WIN)
    one.save(tmp_path / "a.json")
    one.request["path"] = "/other"
    one.save(tmp_path / "b.json")
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert (0, HopFailed.exit_code) == (main(["compare", "diff", a, a]), main(["compare", "diff", a, b]))
    assert "cannot be compared: another request was made" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["hello", "telling"])
def test_secrets_are_not_written_down(tmp_path: Path, target: str) -> None:
    file = tmp_path / "it.json"
    command = [
        sys.executable, "-m", "lasthop", "compare", f"applications:{target}", "--front", "direct", "--rounds", "1", "--keep-alive", "on",
        "--burst", "0", "--json", str(file), "--html", str(tmp_path / "it.html"),
        "-H", "Authorization: Bearer hush-hush", "--header=Cookie: id=hush-hush", "-qHX-Api-Key: hush-hush", "-H", "Accept: text/plain",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=100, check=False)
    written = "".join(each.read_text() for each in tmp_path.iterdir())
    assert "hush" not in done.stdout + done.stderr + written
    assert "text/plain" in written
    assert ("(not shown)" in done.stderr) == (target == "telling")


def test_what_an_application_says_is_no_command_for_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert HopFailed.exit_code == main(["compare", "applications:coloured", "--front", "direct", "-q"])
    said = capsys.readouterr().err
    assert "red" in said
    assert "\x1b" not in said


def test_what_ends_all_cells_alike_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert HopFailed.exit_code == main(["compare", "nothing:there", "--front", "direct", "-q"])
    said = capsys.readouterr().err
    assert 1 == said.count("before it served nothing:there")
    assert "unix, kept alive, tcp, kept alive, " in said


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "lasthop",
        "compare",
        "applications:hello",
        "--front",
        "direct",
        "--seconds",
        "60",
    ]
    with subprocess.Popen(
        command, cwd=HERE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as running:  # fmt: skip
        assert running.stderr is not None
        for line in running.stderr:
            if "round 1" in line:
                break
        running.terminate()
    assert [] == list(tmp_path.glob("lasthop-*"))


def test_a_full_disk_costs_the_files_and_not_the_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    options = ["--front", "direct", "--rounds", "2", "--keep-alive", "on", "--burst", "0", "-q"]
    assert HopFailed.exit_code == main(["compare", "applications:hello", *options, "--json", "/dev/full"])
    out = capsys.readouterr().out
    assert "/dev/full could not be written: No space left on device" in " ".join(out.split())
    assert "/dev/full cannot be written: No space left on device" in _page_error(made(CELLS, WIN), capsys)


def _page_error(results: Results, capsys: pytest.CaptureFixture[str]) -> str:
    with tempfile.TemporaryDirectory() as directory:
        results.save(Path(directory) / "it.json")
        assert UsageError.exit_code == main(
            ["compare", "show", f"{directory}/it.json", "--html", "/dev/full"]
        )
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (["compare", "shop:app", "--front", "nginx"], "jinja2"),
        (["compare", "shop:app", "--front", "direct", "--html", "page.html"], "jinja2"),
        (["compare", "show", "results.json", "--html", "page.html"], "jinja2"),
        (["trace", "--html", "page.html"], "jinja2"),
        (["trace", "--front", "nginx"], "jinja2"),
        (["trace"], "dpkt"),
    ],
)
def test_what_will_be_needed_is_looked_for_before_it_begins(
    tmp_path: Path, arguments: list[str], package: str
) -> None:
    (tmp_path / f"{package}.py").write_text("raise ImportError")
    done = subprocess.run(
        [sys.executable, "-m", "lasthop", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    extra = arguments[0]
    assert (
        f"lasthop: lasthop {extra} needs the package {package}, which is not installed\n  hint: pip install 'lasthop[{extra}]'\n"
        == done.stderr
    )
    assert (1, "") == (done.returncode, done.stdout)
