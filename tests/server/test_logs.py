"""Sinks: whole lines, reopened in place."""

import fcntl
import logging
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from lasthop.errors import LogFileError
from lasthop.server.logs import Sink, open_error_log


@pytest.fixture(autouse=True)
def logger_as_it_was() -> Iterator[None]:
    """The logger is the process's: leave it as it was found."""
    logger = logging.getLogger("lasthop")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before[0], before[1], before[2]


def test_appends_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    sink = Sink(str(tmp_path / "log"), 2)
    sink.write("line\n")
    sink.close()
    assert "before\nline\n" == (tmp_path / "log").read_text()


def test_a_dash_is_the_standard_descriptor(capfd: pytest.CaptureFixture[str]) -> None:
    sink = Sink("-", 1)
    sink.write("line\n")
    sink.reopen()
    sink.close()
    Sink("-", 1).write("another\n")
    assert "line\nanother\n" == capfd.readouterr().out


def test_goes_on_in_the_new_file_under_the_same_descriptor(tmp_path: Path) -> None:
    sink = Sink(str(tmp_path / "log"), 2)
    number = sink.descriptor
    sink.write("old\n")
    (tmp_path / "log").rename(tmp_path / "log.1")
    sink.reopen()
    sink.write("new\n")
    assert (number, "old\n", "new\n") == (
        sink.descriptor,
        (tmp_path / "log.1").read_text(),
        (tmp_path / "log").read_text(),
    )
    assert not os.get_inheritable(sink.descriptor)
    sink.close()


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sink = Sink("log", 2)
    monkeypatch.chdir("/")
    sink.reopen()
    sink.write("line\n")
    sink.close()
    assert "line\n" == (tmp_path / "log").read_text()


def test_a_log_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(LogFileError, match="No such file or directory"):
        Sink(str(tmp_path / "missing" / "log"), 2)


def test_a_log_that_cannot_be_written_to_stops_nobody() -> None:
    read, write = os.pipe()
    os.close(read)
    Sink("-", write).write("line\n")
    os.close(write)


def test_lines_that_nobody_takes_are_left_out_and_counted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    pipe = os.open(tmp_path / "log", os.O_RDWR | os.O_NONBLOCK)
    size = fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4 * os.sysconf("SC_PAGESIZE"))
    sink = open_error_log(str(tmp_path / "log"), "info")
    os.write(pipe, bytes(size))
    for number in range(100):
        logging.getLogger("lasthop").info("while it is full: %d", number)
    os.read(pipe, size)
    logging.getLogger("lasthop").info("once it is empty")
    logging.getLogger("lasthop").info("and again")
    sink.close()
    said = [line.partition("] [")[2] for line in os.read(pipe, size).decode().splitlines()]
    os.close(pipe)
    mine = f"{os.getpid()}] "
    assert [
        f"{mine}[WARNING] 100 lines left out here: nobody took this log",
        f"{mine}[INFO] once it is empty",
        f"{mine}[INFO] and again",
    ] == said


def test_a_full_disk_is_told_of_once_and_cuts_no_line_that_comes_after(tmp_path: Path) -> None:
    errors = open_error_log(str(tmp_path / "errors"), "info")
    accesses = Sink(str(tmp_path / "accesses"), 1)
    accesses.write("one\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (7, before[1]))
    try:
        accesses.write("two and more\n")  # three bytes of it have room
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    accesses.write("three\n")
    assert "one\ntwo\nthree\n" == (tmp_path / "accesses").read_text()
    full = Sink("/dev/full", 1)
    full.write("lost\n")
    full.write("lost\n")
    for sink in (errors, accesses, full):
        sink.close()
    assert 1 == (tmp_path / "errors").read_text().count(
        "lines of /dev/full cannot be written, and are lost: No space"
    )


def test_the_error_log_has_time_pid_and_level(tmp_path: Path) -> None:
    sink = open_error_log(str(tmp_path / "log"), "warning")
    logging.getLogger("lasthop.engine").info("too quiet")
    logging.getLogger("lasthop.engine").warning("loud: %s", "ü\udcff")
    sink.close()
    written = (tmp_path / "log").read_text()
    assert f"[{os.getpid()}] [WARNING] loud: ü\\udcff\n" == written.partition("] ")[2]


def test_opening_it_again_replaces_it(tmp_path: Path) -> None:
    first = open_error_log(str(tmp_path / "first"), "info")
    second = open_error_log(str(tmp_path / "second"), "info")
    logging.getLogger("lasthop").info("once")
    first.close()
    second.close()
    assert ("", 1) == ((tmp_path / "first").read_text(), (tmp_path / "second").read_text().count("once"))
