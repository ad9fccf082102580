"""What stands between a real nginx, as another user, and a socket file, and with which words it is told."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lasthop.server import neighbours
from lasthop.server.hindrance import warning
from lasthop.server.neighbours import Neighbour
from tests.live.fronts import Front

from .beside import USER, need_a_world_of_our_own, need_front_of_another_user, workers_of


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may pass through."""
    with tempfile.TemporaryDirectory(prefix="lasthop-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def listening(place: Path) -> Iterator[Path]:
    """A socket's file that only its user may write to."""
    (place / "in").mkdir()
    path = place / "in/shop.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        yield path


@pytest.fixture
def nginx(place: Path, listening: Path) -> Iterator[Neighbour]:
    """A worker of an nginx before that file."""
    need_front_of_another_user()
    with Front("nginx", f"unix:{listening}", place, user=USER) as front:
        yield worker_of(front)


def worker_of(front: Front) -> Neighbour:
    children = workers_of(front)
    return next(each for each in neighbours.running() if each.pid in children)


def who(front: Neighbour, path: Path) -> str:
    return f"nginx (pid {front.pid}, user {USER}) cannot connect to unix:{path}: "


def test_no_front_no_word(listening: Path) -> None:
    assert None is warning(listening, True, [])


def test_the_files_mode_is_mended_by_the_fronts_group(listening: Path, nginx: Neighbour) -> None:
    said = warning(listening, True, [nginx])
    assert said == (
        f"{who(nginx, listening)}that user may not write to the file (mode 0600, root:root)\n"
        f"  hint: --socket-group {USER} --socket-mode 0660"
    )
    shutil.chown(listening, group=USER)
    listening.chmod(0o660)
    assert None is warning(listening, True, [nginx])


def test_a_front_that_has_the_group_needs_the_mode_alone(listening: Path, nginx: Neighbour) -> None:
    shutil.chown(listening, group=USER)
    said = warning(listening, True, [nginx])
    assert str(said).endswith("\n  hint: --socket-mode 0660")


def test_sockets_of_systemd_are_mended_in_their_unit(listening: Path, nginx: Neighbour) -> None:
    said = warning(listening, False, [nginx])
    assert str(said).endswith(f"\n  hint: SocketGroup={USER} and SocketMode=0660 in the .socket unit")


def test_a_closed_directory_is_opened_for_passing(listening: Path, nginx: Neighbour) -> None:
    listening.parent.chmod(0o700)
    shutil.chown(listening, group=USER)
    listening.chmod(0o660)
    said = warning(listening, True, [nginx])
    assert said == (
        f"{who(nginx, listening)}that user may not pass through {listening.parent} (mode 0700, root:root)\n"
        f"  hint: chmod a+x {listening.parent}"
    )
    listening.parent.chmod(0o711)
    assert None is warning(listening, True, [nginx])


def test_a_directory_that_keeps_others_from_an_open_file_stays_closed_to_them(
    listening: Path, nginx: Neighbour
) -> None:
    listening.chmod(0o666)
    listening.parent.chmod(0o700)
    said = warning(listening, True, [nginx])
    assert f"setfacl -m u:{USER}:x {listening.parent} " in str(said)


def test_a_directory_of_the_fronts_group_is_opened_for_it(listening: Path, nginx: Neighbour) -> None:
    listening.chmod(0o666)
    shutil.chown(listening.parent, group=USER)
    listening.parent.chmod(0o700)
    said = warning(listening, True, [nginx])
    assert str(said).endswith(f"\n  hint: chmod g+x {listening.parent}")


def test_all_that_is_in_the_way_is_mended_at_once(listening: Path, nginx: Neighbour) -> None:
    listening.parent.chmod(0o700)
    said = warning(listening, True, [nginx])
    assert str(said).endswith(
        f"\n  hint: chmod a+x {listening.parent}; then --socket-group {USER} --socket-mode 0660"
    )


def test_nothing_is_said_when_another_front_can_connect(listening: Path, nginx: Neighbour) -> None:
    able = nginx._replace(user=nginx.user._replace(uid=os.geteuid()))
    assert None is warning(listening, True, [nginx, able])


def test_a_file_that_has_gone_is_no_reason_for_advice(listening: Path, nginx: Neighbour) -> None:
    assert None is warning(listening.with_name("gone"), True, [nginx])


def test_a_server_without_the_right_to_give_the_group_is_told_how_to_get_it(
    listening: Path, nginx: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    monkeypatch.setattr(os, "getegid", lambda: 65534)
    monkeypatch.setattr(os, "getgroups", lambda: [65534])
    said = warning(listening, True, [nginx])
    assert f"usermod -aG {USER} nobody (or SupplementaryGroups={USER} in our unit)" in str(said)


def test_a_front_with_a_view_of_its_own_is_sent_to_run(place: Path, listening: Path) -> None:
    need_a_world_of_our_own()
    listening.chmod(0o666)
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"', str(listening.parent)]
    with Front("nginx", f"unix:{listening}", place, user=USER, within=hide) as front:
        nginx = worker_of(front)
        said = warning(listening, True, [nginx])
        # Without the right to see its namespace, its table of mounts tells the same.
        again = warning(listening, True, [nginx._replace(root=None, namespace=None)])
    assert said == (
        f"{who(nginx, listening)}it sees another /tmp than we do (PrivateTmp= in its unit or in ours)\n"
        "  hint: --bind unix:/run/shop/shop.sock (RuntimeDirectory=shop in our unit makes the directory)"
    )
    assert said == again


def test_a_front_in_another_namespace_that_sees_the_file_is_judged_as_any_other(
    place: Path, listening: Path
) -> None:
    need_a_world_of_our_own()
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /mnt && exec "$@"', "sh"]
    with Front("nginx", f"unix:{listening}", place, user=USER, within=hide) as front:
        nginx = worker_of(front)
        closed = warning(listening, True, [nginx])
        listening.chmod(0o666)
        opened = warning(listening, True, [nginx])
    assert str(closed).endswith(f"\n  hint: --socket-group {USER} --socket-mode 0660")
    assert None is opened


def test_a_front_in_a_chroot_is_shown_a_place_inside(listening: Path, nginx: Neighbour, place: Path) -> None:
    listening.chmod(0o666)
    locked = nginx._replace(title="HAProxy", root="/var/lib/haproxy")
    said = warning(listening, True, [locked])
    assert "it is locked into /var/lib/haproxy (chroot), and the file lies outside" in str(said)
    assert "--bind unix:/var/lib/haproxy/shop.sock" in str(said)
    assert None is warning(listening, True, [nginx._replace(root=str(place))])
    assert None is warning(listening, True, [nginx._replace(root="/var/lib/haproxy", namespace=None)])


def test_a_container_that_shares_nothing_is_none_of_our_business(place: Path, listening: Path) -> None:
    need_a_world_of_our_own()
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"', str(listening.parent)]
    with Front("nginx", f"unix:{listening}", place, user=USER, within=hide) as front:
        nginx = worker_of(front)._replace(contained=True)
        assert None is warning(listening, True, [nginx])


def test_a_container_that_has_the_directory_under_another_name_is_judged_by_what_is_shared(
    place: Path, listening: Path
) -> None:
    need_a_world_of_our_own()
    other = place / "other"
    other.mkdir()
    script = 'mount --bind "$0" "$1" && mount -t tmpfs tmpfs "$0" && shift && exec "$@"'
    share = ["unshare", "--mount", "sh", "-c", script, str(listening.parent), str(other)]
    with Front("nginx", f"unix:{other}/shop.sock", place, user=USER, within=share) as front:
        nginx = worker_of(front)._replace(contained=True)
        closed = warning(listening, True, [nginx])
        listening.chmod(0o666)
        opened = warning(listening, True, [nginx])
        listening.parent.chmod(0o700)
        shut = warning(listening, True, [nginx])
    assert str(closed).endswith(f"\n  hint: --socket-group {USER} --socket-mode 0660")
    assert None is opened
    assert f"may not pass through {listening.parent} " in str(shut)
