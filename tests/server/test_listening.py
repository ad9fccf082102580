"""The listeners of a server, and what a change of settings does to them."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lasthop.errors import AddressError, ListenError
from lasthop.link.address import parse
from lasthop.link.permissions import Asked
from lasthop.server.listening import Listening, described


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening(16)
    yield made
    made.close()


def test_an_address_that_is_named_twice_is_opened_once(listening: Listening, tmp_path: Path) -> None:
    assert 1 == len(listening.open((f"unix:{tmp_path}/s", f"unix://{tmp_path}/s")))


def test_what_is_open_stays_as_it_is(listening: Listening, tmp_path: Path) -> None:
    (first,) = listening.open((f"unix:{tmp_path}/a",))
    again, second = listening.open((f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"))
    assert first is again
    assert f"unix:{tmp_path}/b" == second.address


def test_what_is_no_longer_named_is_closed(listening: Listening, tmp_path: Path) -> None:
    _, second = listening.open((f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"))
    listening.keep([second])
    assert ["b"] == [each.name for each in tmp_path.iterdir()]


def test_all_are_opened_or_none(listening: Listening, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("not a socket")
    with pytest.raises(ListenError):
        listening.open((f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"))
    assert ["b"] == [each.name for each in tmp_path.iterdir()]


def test_nothing_is_opened_when_one_address_is_wrong(listening: Listening, tmp_path: Path) -> None:
    with pytest.raises(AddressError):
        listening.open((f"unix:{tmp_path}/a", "nonsense"))
    assert [] == list(tmp_path.iterdir())


def test_a_fork_closes_what_it_does_not_need_and_removes_nothing(
    listening: Listening, tmp_path: Path
) -> None:
    first, second = listening.open((f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"))
    listening.let_go([second])
    assert (True, False) == (first.socket.fileno() < 0, second.socket.fileno() < 0)
    assert ["a", "b"] == sorted(each.name for each in tmp_path.iterdir())


def test_the_log_tells_a_files_mode(listening: Listening, tmp_path: Path) -> None:
    unix, tcp = listening.open((f"unix:{tmp_path}/s", "127.0.0.1:0"))
    assert unix.file is not None
    assert [f"unix:{tmp_path}/s (mode {unix.file.mode:04o})", tcp.address] == [
        described(unix),
        described(tcp),
    ]
    assert isinstance(parse(tcp.address), tuple)


def test_a_path_that_is_named_twice_has_one_set_of_permissions(listening: Listening, tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="stands there twice, with different permissions"):
        listening.open((f"unix:{tmp_path}/s?mode=0600", f"unix:{tmp_path}/s?mode=0660"))
    assert not (tmp_path / "s").exists()


def test_a_file_that_is_open_gets_the_permissions_that_are_asked_for_now(
    listening: Listening, tmp_path: Path
) -> None:
    (first,) = listening.open((f"unix:{tmp_path}/s?mode=0600",))
    (again,) = listening.open((f"unix:{tmp_path}/s",), Asked(mode=0o640))
    assert first is again
    assert f"unix:{tmp_path}/s (mode 0640)" == described(again)
    assert 0o640 == stat.S_IMODE((tmp_path / "s").stat().st_mode)
