"""The pid file."""

import os
import signal
from pathlib import Path

import pytest

from lasthop.errors import PidFileError
from lasthop.server.pidfile import PidFile

from .conftest import Start


def test_holds_the_pid_and_is_removed(tmp_path: Path) -> None:
    file = PidFile(str(tmp_path / "pid"))
    assert f"{os.getpid()}\n" == (tmp_path / "pid").read_text()
    file.remove()
    assert not (tmp_path / "pid").exists()


def test_a_second_server_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    file = PidFile(str(tmp_path / "pid"))
    with pytest.raises(PidFileError, match=f"its server is running, pid {os.getpid()}"):
        PidFile(str(tmp_path / "pid"))
    file.remove()


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full"])
def test_what_is_no_file_is_refused(path: str) -> None:
    with pytest.raises(PidFileError, match="it is there and is no file"):
        PidFile(path)


def test_a_file_that_was_left_is_taken_over_whatever_it_says(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1\nand more\n")  # pid 1 is always there
    file = PidFile(str(tmp_path / "pid"))
    assert f"{os.getpid()}\n" == (tmp_path / "pid").read_text()
    file.remove()


def test_a_file_that_has_taken_its_place_is_left(tmp_path: Path) -> None:
    file = PidFile(str(tmp_path / "pid"))
    (tmp_path / "pid").unlink()
    (tmp_path / "pid").write_text("another's")
    file.remove()
    assert "another's" == (tmp_path / "pid").read_text()


def test_a_directory_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(PidFileError, match="No such file or directory"):
        PidFile(str(tmp_path / "missing" / "pid"))


def test_a_server_keeps_it_while_it_lives(start: Start, tmp_path: Path) -> None:
    server = start(pid=str(tmp_path / "pid"), workers=2)
    assert f"{server.pid}\n" == (tmp_path / "pid").read_text()
    second = start(pid=str(tmp_path / "pid"), wait=False)
    assert 1 == second.wait()
    server.send(signal.SIGTERM)
    assert 0 == server.wait()
    assert not (tmp_path / "pid").exists()


def test_workers_that_outlive_a_killed_supervisor_do_not_hold_it(start: Start, tmp_path: Path) -> None:
    first = start(pid=str(tmp_path / "pid"))
    connection = first.connect()
    connection.request("GET", "/sleep?1")
    os.kill(first.pid, signal.SIGKILL)
    first.process.wait()
    second = start(pid=str(tmp_path / "pid"))
    assert f"{second.pid}\n" == (tmp_path / "pid").read_text()
