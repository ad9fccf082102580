"""The Pythons: which are found, which stand for a role, what a server lacks in one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import interpreters
from bench.asgipeers import ASGI_SERVERS
from bench.interpreters import NEWEST, OLDEST, OWN, Interpreter, Missing, chosen, own, wanted
from bench.peers import SERVERS


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is all of PATH, and no pyenv."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(interpreters, "ENVIRONMENTS", tmp_path / "environments")
    return tmp_path


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    interpreters.found.cache_clear()
    yield
    interpreters.found.cache_clear()


def told(file: Path, version: str, *, usable: bool = True) -> None:
    """A program that answers as such a Python would."""
    answer = f'{{"version": {version}, "executable": "{file}", "usable": {str(usable).lower()}}}'
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{answer}'\n")
    file.chmod(0o755)


def test_the_newest_of_each_version_is_found_on_path_and_under_pyenv(only: Path) -> None:
    told(only / "python3.11", "[3, 11, 2]")
    told(only / "pyenv/versions/3.11.9/bin/python3.11", "[3, 11, 9]")
    told(only / "python3.98", "[3, 98, 0]")
    told(only / "python3.10", "[3, 10, 1]")
    told(only / "python3.99", "[3, 99, 0]", usable=False)
    assert {(3, 11), (3, 98)} == set(interpreters.found())
    assert (3, 11, 9) == interpreters.found()[3, 11][0]
    assert (3, 98) == wanted(NEWEST)


def test_a_shim_of_a_version_that_is_not_chosen_is_passed_over(only: Path) -> None:
    (only / "python3.97").write_text("#!/bin/sh\necho 'command not found' >&2; exit 127\n")
    (only / "python3.97").chmod(0o755)
    assert {} == interpreters.found()


def test_a_python_without_an_environment_is_missing_with_the_command_that_makes_it(only: Path) -> None:
    told(only / "python3.98", "[3, 98, 0]")
    found = chosen(NEWEST)
    assert isinstance(found, Missing)
    assert "Python 3.98 has no environment for the bench yet (python -m bench.install)" == found.why
    told(only / "environments/python3.98/bin/python", "[3, 98, 0]")
    assert Interpreter((3, 98, 0), only / "environments/python3.98/bin/python") == chosen(NEWEST)


def test_the_own_environment_serves_for_its_own_python(only: Path) -> None:
    assert own() == chosen(OWN)
    assert Path(sys.executable) == own().executable
    role = OLDEST if sys.version_info[:2] == (3, 11) else NEWEST
    assert own() == chosen(role)


@pytest.mark.skipif(sys.version_info[:2] == (3, 11), reason="this is Python 3.11")
def test_no_python_311_is_said(only: Path) -> None:
    assert isinstance(wanted(OLDEST), Missing)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="this is newer than Python 3.11")
def test_no_newer_python_is_said(only: Path) -> None:
    assert isinstance(wanted(NEWEST), Missing)


def test_packages_are_looked_up_where_the_python_has_them(tmp_path: Path) -> None:
    info = tmp_path / "lib/python3.98/site-packages/uvloop-7.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: uvloop\nVersion: 7.0\n")
    other = Interpreter((3, 98, 0), tmp_path / "bin/python")
    assert "7.0" == other.installed("uvloop")
    assert other.installed("pytest") is None
    assert own().installed("pytest") is not None
    assert "uvicorn is not installed (python -m bench.install)" == SERVERS["uvicorn"].missing(other)


def test_a_lasthop_without_asgi_is_said_to_be_so(tmp_path: Path) -> None:
    python = Interpreter((3, 98, 0), tmp_path / "python")
    script = tmp_path / "lasthop"
    script.write_text("#!/bin/sh\necho 'usage: lasthop serve MODULE:ATTRIBUTE'\n")
    script.chmod(0o755)
    ours = next(server for server in ASGI_SERVERS if server.name == "lasthop-asyncio")
    assert "this lasthop serves WSGI only" in (ours.cannot(python) or "")
