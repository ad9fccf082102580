"""What another process sees: from tables as they are written, and from a real mount namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lasthop.link.mounts import Mount, Name, covering, mounts_of, names, parsed

HOST = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /run rw,nosuid shared:2 - tmpfs tmpfs rw
23 21 8:2 / /srv rw shared:3 - ext4 /dev/sda2 rw
"""

PRIVATE_TMP = """\
121 101 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
122 121 0:20 / /run rw,nosuid shared:2 - tmpfs tmpfs rw
123 121 8:2 / /srv rw shared:3 - ext4 /dev/sda2 rw
124 121 8:1 /tmp/systemd-private-1-nginx.service-2/tmp /tmp rw shared:4 - ext4 /dev/sda1 rw
"""

CONTAINER = """\
221 201 0:50 / / rw,relatime - overlay overlay rw
222 221 8:2 /shop/sockets /sockets rw - ext4 /dev/sda2 rw
"""


def test_a_service_with_its_own_tmp_sees_the_rest_as_we_do() -> None:
    ours, theirs = parsed(HOST), parsed(PRIVATE_TMP)
    assert [] == list(names("/tmp/app.sock", ours, theirs))
    assert [Name("/run/app.sock", "/run")] == list(names("/run/app.sock", ours, theirs))


def test_our_own_tmp_is_not_theirs_either() -> None:
    ours, theirs = parsed(PRIVATE_TMP), parsed(HOST)
    (name,) = names("/tmp/app.sock", ours, theirs)
    assert Name("/tmp/systemd-private-1-nginx.service-2/tmp/app.sock", "/") == name


def test_a_container_has_another_name_for_a_shared_directory() -> None:
    ours, theirs = parsed(HOST), parsed(CONTAINER)
    assert [Name("/sockets/app.sock", "/sockets")] == list(names("/srv/shop/sockets/app.sock", ours, theirs))
    assert [] == list(names("/srv/shop/sockets2/app.sock", ours, theirs))
    assert [] == list(names("/srv/app.sock", ours, theirs))
    assert [] == list(names("/run/app.sock", ours, theirs))


def test_a_mount_that_was_mounted_over_is_not_seen() -> None:
    hidden = "25 22 0:61 / /run/app rw - tmpfs tmpfs rw\n"
    over = "24 22 0:60 / /run rw - tmpfs tmpfs rw\n"
    table = parsed(HOST + hidden + over)
    assert Mount(24, 22, "0:60", "/", "/run") == covering(table, "/run/app/s")
    assert [] == list(names("/run/app.sock", parsed(HOST), table))


def test_what_is_mounted_on_top_of_the_root_is_seen() -> None:
    table = parsed(HOST + "30 21 0:70 / / rw - tmpfs tmpfs rw\n")
    assert Mount(30, 21, "0:70", "/", "/") == covering(table, "/run/app.sock")


def test_a_table_without_a_root_is_that_of_a_chroot() -> None:
    assert None is covering(parsed("31 21 0:24 / /dev/log rw - tmpfs tmpfs rw\n"), "/run/app.sock")
    assert None is covering({}, "/run/app.sock")


def test_blanks_in_names_are_read() -> None:
    table = parsed(HOST + r"26 21 8:3 /a\040b /my\040files\134x rw - ext4 /dev/sdb rw" + "\n")
    assert Mount(26, 21, "8:3", "/a b", "/my files\\x") == covering(table, "/my files\\x/app.sock")


def test_a_process_that_is_gone_has_no_table() -> None:
    assert None is mounts_of("999999999")


def test_we_see_our_own_files_as_we_do(short_directory: Path) -> None:
    ours = mounts_of()
    assert ours is not None
    path = str(short_directory.resolve() / "s")
    assert path in [name.path for name in names(path, ours, ours)]


@pytest.fixture
def elsewhere(short_directory: Path) -> Iterator[int]:
    """A process that sees another directory in place of ours/private."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a mount namespace takes root and unshare")
    (short_directory / "private").mkdir()
    script = 'mount -t tmpfs tmpfs "$0" && echo there && exec sleep 100'
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, str(short_directory / "private")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        if not process.stdout.readline():
            pytest.skip(f"no mount namespace here: {process.stderr.read().decode().strip()}")
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_a_real_namespace_hides_one_directory_and_no_other(elsewhere: int, short_directory: Path) -> None:
    ours, theirs = mounts_of(), mounts_of(str(elsewhere))
    assert ours is not None
    assert theirs is not None
    (short_directory / "private/s").touch()
    here = str(short_directory.resolve())
    assert [] == list(names(f"{here}/private/s", ours, theirs))
    assert f"{here}/s" in [name.path for name in names(f"{here}/s", ours, theirs)]
