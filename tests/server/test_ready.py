"""Telling others: the ready line, and systemd."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lasthop.server.ready import Systemd, announce

from .conftest import Start


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd would listen at."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(20)
        yield made


def next_message(notified: socket.socket, word: str) -> dict[str, str]:
    """The next message with a word in it."""
    while True:
        lines = dict(line.split("=", 1) for line in notified.recv(4096).decode().splitlines())
        if word in lines:
            return lines


def test_announces_in_one_line_and_closes() -> None:
    read, write = os.pipe()
    announce(write, ["127.0.0.1:8000", "unix:/run/app.sock"])
    with os.fdopen(read) as pipe:
        assert "ready 127.0.0.1:8000 unix:/run/app.sock\n" == pipe.read()


def test_nobody_who_listens_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    announce(write, [])
    announce(write, [])


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd = Systemd()
    systemd.ready("well")
    assert systemd.watchdog_seconds is None


def test_systemd_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "missing"))
    Systemd().ready("well")


def test_an_abstract_notification_socket_works(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"\0notify-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@notify-{os.getpid()}")
        Systemd().watchdog()
        assert b"WATCHDOG=1" == made.recv(4096)


def test_the_watchdog_of_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@somewhere")
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Systemd().watchdog_seconds is None


def test_systemd_hears_of_the_whole_life(start: Start, notified: socket.socket) -> None:
    server = start(
        workers=2,
        environment={"NOTIFY_SOCKET": notified.getsockname(), "WATCHDOG_USEC": "200000"},
    )
    ready = next_message(notified, "READY")
    assert ("1", str(server.pid), "2 workers, 4 threads each") == (
        ready["READY"],
        ready["MAINPID"],
        ready["STATUS"],
    )
    assert {"WATCHDOG": "1"} == next_message(notified, "WATCHDOG")
    server.send(signal.SIGHUP)
    assert next_message(notified, "RELOADING")["MONOTONIC_USEC"].isdecimal()
    assert "1" == next_message(notified, "READY")["READY"]
    assert "None" == server.get("/os?NOTIFY_SOCKET")
    server.send(signal.SIGTERM)
    assert "1" == next_message(notified, "STOPPING")["STOPPING"]
    assert 0 == server.wait()
