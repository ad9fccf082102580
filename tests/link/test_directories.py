"""The missing directories of a path: all or none, never through a link, given away only when all are there."""

import os
import stat
from pathlib import Path

import pytest

from lasthop.link.directories import make_missing


def test_nobody_else_owns_one_before_all_are_there(tmp_path: Path) -> None:
    seen: list[list[int]] = []
    directories = [tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/c"]

    def give(descriptor: int) -> None:
        seen.append([stat.S_IMODE(each.stat().st_mode) for each in directories])
        os.fchmod(descriptor, 0o755)

    assert directories == make_missing(directories[-1], give)
    assert [[0o700, 0o700, 0o700], [0o700, 0o700, 0o755], [0o700, 0o755, 0o755]] == seen


def test_when_one_cannot_be_given_away_none_is_left(tmp_path: Path) -> None:
    def give(descriptor: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    with pytest.raises(PermissionError):
        make_missing(tmp_path / "a/b", give)
    assert [] == list(tmp_path.iterdir())


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link"):
        make_missing(tmp_path / "link/a", lambda _: None)
    assert ["link"] == [each.name for each in tmp_path.iterdir()]


def test_a_link_to_a_directory_that_is_there_is_what_was_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    make_missing(tmp_path / "link/a", lambda _: None)
    assert (tmp_path / "real/a").is_dir()


def test_what_is_there_is_not_given_away(tmp_path: Path) -> None:
    given: list[int] = []
    assert [] == make_missing(tmp_path, given.append)
    assert [] == given
