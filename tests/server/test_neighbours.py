"""Which fronts run here, and as whom: a real nginx."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lasthop.server import neighbours
from lasthop.server.neighbours import Neighbour
from tests.live.fronts import Front

from .beside import USER, need_front_of_another_user, workers_of


@pytest.fixture
def nginx(short_directory: Path) -> Iterator[Front]:
    need_front_of_another_user()
    short_directory.chmod(0o755)
    with Front("nginx", f"unix:{short_directory}/s", short_directory, user=USER) as front:
        yield front


def test_a_worker_is_found_with_its_user_and_groups(nginx: Front) -> None:
    (worker,) = workers_of(nginx)
    entry = pwd.getpwnam(USER)
    (found,) = [each for each in neighbours.running() if each.pid == worker]
    assert ("nginx", entry.pw_uid, entry.pw_gid) == (found.title, found.user.uid, found.gid)
    assert set(os.getgrouplist(USER, entry.pw_gid)) == found.user.gids
    assert (False, False, False) == (found.user.overrides, found.user.passes, found.contained)
    assert ("/", neighbours.own_namespace()) == (found.root, found.namespace)


def test_a_master_does_not_count(nginx: Front) -> None:
    assert workers_of(nginx)  # before it has any, it may be one that works alone
    assert nginx.process.pid not in {each.pid for each in neighbours.running()}


def test_root_passes_everywhere(short_directory: Path) -> None:
    need_front_of_another_user()
    with Front("nginx", f"unix:{short_directory}/s", short_directory) as front:
        pids = workers_of(front)
        found = [each for each in neighbours.running() if each.pid in pids]
    # Another nginx of root may stand for it, when one runs here: one of each kind is told.
    assert all(each.user.overrides and each.user.passes for each in found)


def test_what_is_no_front_is_not_found() -> None:
    with subprocess.Popen(["sleep", "100"]) as other:
        try:
            assert other.pid not in {each.pid for each in neighbours.running()}
        finally:
            other.kill()


def test_a_front_that_has_ended_and_that_nobody_buried_is_none(short_directory: Path) -> None:
    program = short_directory / "nginx"
    program.symlink_to("/bin/true")
    process = subprocess.Popen([str(program)])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert process.pid not in {each.pid for each in neighbours.running()}
    finally:
        process.wait()


def test_the_look_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    whole = neighbours._read

    def counted(path: Path) -> str:
        read.append(path)
        return whole(path)

    monkeypatch.setattr(neighbours, "_read", counted)
    monkeypatch.setattr(neighbours, "MOST_PROCESSES", 5)
    found: list[Neighbour] = neighbours.running()
    assert 5 >= sum(path.name == "comm" for path in read)
    assert 5 >= len(found)
