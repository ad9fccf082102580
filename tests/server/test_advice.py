"""When it is said at the start that no front can connect: the whole program, beside a real nginx of another user and no other process."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lasthop.link.listener import Listener
from lasthop.server import advice, neighbours
from lasthop.server.neighbours import Neighbour
from lasthop.settings import NAMES

from .beside import USER, alone, as_user, need_a_world_of_our_own


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may pass through."""
    with tempfile.TemporaryDirectory(prefix="lasthop-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_advice_never_fails_the_server(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> list[Neighbour]:
        raise ValueError("whatever")

    monkeypatch.setattr(neighbours, "running", fails)
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(place / "s"))
    bound.listen()
    listener = Listener(bound)
    with caplog.at_level("WARNING", "lasthop"):
        advice.give([listener])
    listener.close()
    assert [] == caplog.messages


def test_without_a_socket_file_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked() -> list[Neighbour]:
        raise AssertionError("looked for fronts")

    monkeypatch.setattr(neighbours, "running", looked)
    bound = socket.create_server(("127.0.0.1", 0))
    listener = Listener(bound)
    advice.give([listener])
    listener.close()


def test_a_start_beside_nginx_warns_once_and_serves(place: Path) -> None:
    need_a_world_of_our_own()
    told = alone(place / "s", umask="077")
    assert (1, 502) == (len(told.warnings), told.status)
    assert f"user {USER}) cannot connect to unix:{place}/s: that user may not write" in told.warnings[0]
    assert f"hint: --socket-group {USER} --socket-mode 0660" in told.warnings[0]


def test_a_start_beside_nginx_that_can_connect_says_nothing(place: Path) -> None:
    need_a_world_of_our_own()
    assert ([], 200) == alone(place / "s")


def test_the_hint_that_was_given_helps(place: Path) -> None:
    need_a_world_of_our_own()
    if "socket_group" not in NAMES:
        pytest.skip("there is no setting socket_group yet")
    assert ([], 200) == alone(place / "s", "--socket-group", USER, "--socket-mode", "0660", umask="077")


def test_a_start_with_no_front_says_nothing(place: Path) -> None:
    need_a_world_of_our_own()
    assert ([], 0) == alone(place / "s", umask="077", fronts="")


def test_a_server_that_is_not_root_sees_as_much(place: Path) -> None:
    need_a_world_of_our_own()
    as_user("nobody")
    shutil.chown(place, "nobody")
    told = alone(place / "s", umask="077", user="nobody")
    assert (1, 502) == (len(told.warnings), told.status)
    assert f"hint: usermod -aG {USER} nobody" in told.warnings[0]
