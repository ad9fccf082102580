"""The command line as a whole: finds commands, and turns errors into texts and exit codes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lasthop.cli import COMMANDS, main


def test_without_a_command_says_what_there_is_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main([])
    output = capsys.readouterr()
    assert "" == output.out
    assert all(name in output.err for name in COMMANDS)


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_goes_to_standard_output(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main([word])
    output = capsys.readouterr().out
    assert all(name in output for name in COMMANDS)


def test_an_unknown_command_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["sevre"])
    assert "lasthop: there is no command 'sevre'\n  hint: did you mean serve?\n" == capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_module_with_main(name: str) -> None:
    assert callable(importlib.import_module(f"lasthop.cli.{name}").main)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert 0 == ended.value.code
    assert capsys.readouterr().out.startswith(f"usage: lasthop {name}")


def test_every_module_of_commands_is_a_command() -> None:
    import lasthop.cli

    found = {path.stem for path in Path(str(lasthop.cli.__file__)).parent.glob("*.py")} - {
        "__init__",
        "extras",
        "foreign",
        "words",
    }
    assert set(COMMANDS) == found


def test_help_does_not_need_the_compiled_modules() -> None:
    code = "import sys; from lasthop.cli import main; sys.exit(main(['serve', '--check-config']) or 'lasthop.http1.head' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LASTHOP_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "lasthop"], [str(Path(sys.executable).with_name("lasthop"))]]
)
def test_both_ways_to_start_it_are_the_same(command: list[str]) -> None:
    done = subprocess.run([*command, "version"], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("lasthop ")


@pytest.mark.parametrize("command", [["version"], ["front", "nginx"], ["--help"]])
def test_an_output_without_room_is_said_in_a_sentence(command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lasthop", *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )  # fmt: skip
    assert (1, True) == (done.returncode, "cannot be written: No space left on device" in done.stderr)
    assert "Traceback" not in done.stderr
