"""``--reload``: changed source files."""

import importlib.util
import os
import signal
from pathlib import Path

import pytest

from lasthop.errors import MissingExtra
from lasthop.server.reload import check_available, watched_directories

from .conftest import Start, is_there, until
from .test_supervisor import write_version


def test_says_how_to_get_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    check_available()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'lasthop\[reload\]'"):
        check_available()


def test_watches_where_the_users_code_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib").mkdir()
    assert [str(tmp_path), f"{tmp_path}/lib"] == watched_directories(("lib", "missing", str(tmp_path)))


def test_a_change_is_served(start: Start, tmp_path: Path) -> None:
    write_version(tmp_path, "old")
    server = start("versioned:application", chdir=str(tmp_path), pythonpath=[], reload=True)
    assert "old" == server.get()
    server.wait_log("watching")
    write_version(tmp_path, "new")
    server.wait_log("reloaded")
    assert "new" == server.get()


def test_an_application_that_cannot_be_imported_is_waited_for(start: Start, tmp_path: Path) -> None:
    (tmp_path / "versioned.py").write_text("import a_module_that_is_missing\n")
    server = start("versioned:application", chdir=str(tmp_path), pythonpath=[], reload=True, wait=False)
    server.wait_log("waiting for a source file to change")
    server.wait_log("watching")
    (tmp_path / "versioned.py").write_text("1 / 0\n")
    server.wait_log("ZeroDivisionError")
    write_version(tmp_path, "mended")
    server.wait_ready()
    assert "mended" == server.get()
    server.send(signal.SIGTERM)
    assert 0 == server.wait()


def test_nobody_is_left_behind(start: Start, tmp_path: Path) -> None:
    server = start(chdir=str(tmp_path), reload=True)
    server.wait_log("watching")
    children = server.workers()
    assert 2 == len(children)  # a worker and the watcher
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not any(is_there(pid) for pid in children))
