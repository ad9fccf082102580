"""Owner, group and mode of a socket's file: what was asked for, in force from the first moment, or a refusal that says what to do."""

import grp
import os
import pwd
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lasthop.errors import ListenError
from lasthop.link.address import UnixAddress, parse
from lasthop.link.permissions import NOTHING_ASKED, Asked, default_mode, described
from lasthop.link.socketfile import bind_file

NOBODY = pwd.getpwnam("nobody").pw_uid
SOME_GROUP = grp.getgrnam("daemon")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away and becomes another user")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """One that every user may use; pytest's own let no other user through."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


def bound(text: str, asked: Asked = NOTHING_ASKED) -> tuple[int, int, int]:
    """uid, gid and mode of the file of a socket that listens there."""
    address = parse(text)
    assert isinstance(address, UnixAddress)
    listening, file = bind_file(address, 16, asked)
    with closing(listening):
        found = file.path.lstat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (file.uid, file.gid, file.mode)
        file.remove()
    return file.uid, file.gid, file.mode


def as_nobody(work: Callable[[], object]) -> str:
    """What becomes of it when another user does it: an empty text, or the error."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        os.setgroups([])
        os.setgid(65534)
        os.setuid(NOBODY)
        try:
            work()
        except (ListenError, OSError) as error:
            said = str(error)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as pipe:
        return pipe.read()


@as_root
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_owner_group_and_mode_are_what_was_asked_for(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        made = bound(f"unix:{tmp_path}/s", Asked("nobody", "daemon", 0o640))
    finally:
        os.umask(before)
    assert (NOBODY, SOME_GROUP.gr_gid, 0o640) == made


@as_root
def test_numbers_do_as_well_also_such_as_have_no_name(tmp_path: Path) -> None:
    assert (4711, 4712, 0o660) == bound(f"unix:{tmp_path}/s", Asked("4711", "4712"))


@as_root
def test_an_address_wins_over_the_settings(tmp_path: Path) -> None:
    asked = Asked("nobody", "daemon", 0o600)
    assert (0, SOME_GROUP.gr_gid, 0o606) == bound(f"unix:{tmp_path}/s?mode=606&owner=root", asked)


@as_root
def test_who_names_a_group_means_it_and_nobody_else(open_directory: Path) -> None:
    path = f"{open_directory}/s"
    listening, file = bind_file(UnixAddress(path, group="daemon"), 16)
    with closing(listening):
        assert 0o660 == file.mode

        def connect() -> None:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)

        assert "Permission denied" in as_nobody(connect)
        os.chown(path, 0, 65534)
        assert "" == as_nobody(connect)


@pytest.mark.parametrize(
    ("asked", "what", "hint"),
    [
        (Asked(owner="no-such-user"), "there is no user 'no-such-user' here", "getent passwd"),
        (Asked(group="no-such-group"), "there is no group 'no-such-group' here", "getent group"),
        (Asked(group="4294967295"), "there is no group '4294967295' here", "getent group"),
        (Asked(owner="-1"), "there is no user '-1' here", "getent passwd"),
        (Asked(owner="a\0b"), "there is no user 'a\\x00b' here", "getent passwd"),
    ],
)
def test_a_name_that_nobody_has_is_refused(tmp_path: Path, asked: Asked, what: str, hint: str) -> None:
    with pytest.raises(ListenError) as caught:
        bind_file(UnixAddress(f"{tmp_path}/s"), 16, asked)
    assert caught.value.what.endswith(f": {what}")
    assert hint in caught.value.hint
    assert not (tmp_path / "s").exists()


@as_root
def test_who_may_not_give_files_away_is_told_who_may(open_directory: Path) -> None:
    path = f"{open_directory}/s"
    said = as_nobody(lambda: bind_file(UnixAddress(path), 16, Asked(owner="root")))
    assert "uid 65534 may not give the socket's file to uid 0; only root may (CAP_CHOWN)" in said
    said = as_nobody(lambda: bind_file(UnixAddress(path), 16, Asked(group="daemon")))
    assert f"to group {SOME_GROUP.gr_gid}, since it is in the groups 65534 only" in said
    assert "usermod -aG" in said
    assert not os.path.lexists(path)


@as_root
def test_a_group_that_one_is_in_needs_no_root(open_directory: Path) -> None:
    assert "" == as_nobody(lambda: bind_file(UnixAddress(f"{open_directory}/s", group="nogroup"), 16))


@pytest.mark.parametrize(
    ("mode", "directory"), [(0o600, 0o700), (0o660, 0o750), (0o666, 0o755), (0o644, 0o700), (0o606, 0o705)]
)
def test_a_missing_directory_lets_through_who_may_connect(tmp_path: Path, mode: int, directory: int) -> None:
    before = os.umask(0o077)
    try:
        bound(f"unix:{tmp_path}/a/b/s", Asked(mode=mode, mkdir=True))
    finally:
        os.umask(before)
    made = [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("a", "a/b")]
    assert [directory, directory] == made


@as_root
def test_a_missing_directory_belongs_to_whom_the_socket_belongs(tmp_path: Path) -> None:
    bound(f"unix:{tmp_path}/a/s", Asked("nobody", "daemon", mkdir=True))
    found = (tmp_path / "a").stat()
    assert (NOBODY, SOME_GROUP.gr_gid) == (found.st_uid, found.st_gid)


def test_a_directory_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(0o700)
    bound(f"unix:{tmp_path}/a/s", Asked(mode=0o666, mkdir=True))
    assert 0o700 == stat.S_IMODE((tmp_path / "a").stat().st_mode)


@as_root
def test_a_directory_that_cannot_be_made_is_named(open_directory: Path) -> None:
    open_directory.chmod(0o755)
    said = as_nobody(lambda: bind_file(UnixAddress(f"{open_directory}/a/b/s"), 16, Asked(mkdir=True)))
    assert f"the directory {open_directory}/a cannot be made: Permission denied" in said


@as_root
def test_permissions_change_while_it_is_in_use(tmp_path: Path) -> None:
    address = UnixAddress(f"{tmp_path}/s")
    listening, file = bind_file(address, 16)
    with closing(listening):
        from lasthop.link.permissions import permissions

        file.change(address, permissions(address, Asked("nobody", "daemon", 0o600)))
        found = (tmp_path / "s").lstat()
        assert (NOBODY, SOME_GROUP.gr_gid, 0o600) == (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
        assert (NOBODY, 0o600) == (file.uid, file.mode)
        # Another's file that has taken its place is left alone.
        (tmp_path / "s").unlink()
        (tmp_path / "s").touch(0o644)
        file.change(address, permissions(address, Asked(mode=0o666)))
        assert 0o644 == stat.S_IMODE((tmp_path / "s").lstat().st_mode)


@pytest.mark.parametrize(
    ("umask", "mode"),
    [("0000", 0o666), ("0022", 0o666), ("0002", 0o666), ("0027", 0o660), ("0007", 0o660), ("0077", 0o600)],
)
def test_the_default_mode_lets_everyone_in_unless_the_umask_decides_otherwise(
    tmp_path: Path, umask: str, mode: int
) -> None:
    (tmp_path / "status").write_text(f"Name:\tx\nUmask:\t{umask}\nState:\tR\n")
    assert mode == default_mode(tmp_path / "status")


def test_names_are_told_where_they_are_not_our_own() -> None:
    assert "mode 0660" == described(os.geteuid(), os.getegid(), 0o660)
    assert "mode 0600, owner 4711, group 4712" == described(4711, 4712, 0o600)
