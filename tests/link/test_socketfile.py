"""The file of a socket: taken only from the dead, removed only while it is ours."""

import os
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lasthop.errors import ListenError
from lasthop.link.address import LONGEST_PATH, UnixAddress
from lasthop.link.peer import command_of
from lasthop.link.permissions import Asked
from lasthop.link.socketfile import SocketFile, bind_file


@contextmanager
def bound(path: Path, mode: int | None = None) -> Iterator[tuple[socket.socket, SocketFile]]:
    listening, file = bind_file(UnixAddress(str(path)), 16, Asked(mode=mode))
    with closing(listening):
        yield listening, file


def leave_dead(path: Path) -> None:
    """What a server that was killed leaves."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


def reaches(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def test_listens_at_the_path(tmp_path: Path) -> None:
    with bound(tmp_path / "s") as (listening, file):
        assert reaches(tmp_path / "s")
        assert str(tmp_path / "s") == listening.getsockname()
        assert file.is_ours()


def test_replaces_what_a_dead_server_left(tmp_path: Path) -> None:
    leave_dead(tmp_path / "s")
    with bound(tmp_path / "s"):
        assert reaches(tmp_path / "s")


def test_refuses_the_path_of_a_living_server_and_names_it(tmp_path: Path) -> None:
    with bound(tmp_path / "s"):
        with pytest.raises(ListenError) as caught:
            bind_file(UnixAddress(str(tmp_path / "s")), 16)
        assert f"pid {os.getpid()} ({command_of(os.getpid())}) is listening there" in caught.value.what
        assert f"kill {os.getpid()}" in caught.value.hint
        assert reaches(tmp_path / "s")


def test_refuses_the_path_of_a_living_server_whose_queue_is_full(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(tmp_path / "s"))
        busy.listen(0)
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(tmp_path / "s"))
            with pytest.raises(ListenError, match="a process is listening there"):
                bind_file(UnixAddress(str(tmp_path / "s")), 16)


def test_refuses_a_path_in_use_by_a_datagram_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "s"))
        with pytest.raises(ListenError, match="a process is listening there"):
            bind_file(UnixAddress(str(tmp_path / "s")), 16)


@pytest.mark.parametrize("kind", ["a regular file", "a directory", "a symbolic link", "a special file"])
def test_leaves_what_is_not_a_socket(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    match kind:
        case "a regular file":
            path.write_text("precious")
        case "a directory":
            path.mkdir()
        case "a symbolic link":
            path.symlink_to(tmp_path / "nowhere")
        case _:
            os.mkfifo(path)
    before = path.lstat()
    with pytest.raises(ListenError, match=f"is {kind}, not a socket"):
        bind_file(UnixAddress(str(path)), 16)
    assert before == path.lstat()


def test_says_how_long_a_path_is_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / ("x" * (LONGEST_PATH - len(str(tmp_path))))
    assert LONGEST_PATH + 1 == len(str(path))
    with pytest.raises(ListenError, match="has 108 bytes, the system takes at most 107"):
        bind_file(UnixAddress(str(path)), 16)


def test_a_path_of_107_bytes_works(tmp_path: Path) -> None:
    path = tmp_path / ("x" * (LONGEST_PATH - len(str(tmp_path)) - 1))
    with bound(path):
        assert reaches(path)


def test_says_that_the_directory_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="does not exist") as caught:
        bind_file(UnixAddress(str(tmp_path / "missing" / "s")), 16)
    assert f"mkdir -p {tmp_path}/missing" in caught.value.hint


def test_says_that_the_directory_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ListenError, match="is not a directory"):
        bind_file(UnixAddress(str(tmp_path / "file" / "s")), 16)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize(
    ("modes", "says"),
    [
        ((0o755, 0o755), "uid 65534 may not make files in {inner} (mode 0755, uid 0, gid 0)"),
        ((0o700, 0o755), "uid 65534 may not enter {outer} (mode 0700, uid 0, gid 0)"),
    ],
)
def test_says_which_directory_keeps_a_user_out(modes: tuple[int, int], says: str) -> None:
    with tempfile.TemporaryDirectory() as made:  # pytest's own directories let no other user through
        outer = Path(made)
        inner = outer / "inner"
        inner.mkdir()
        outer.chmod(modes[0])
        inner.chmod(modes[1])
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setuid(65534)
            try:
                bind_file(UnixAddress(str(inner / "s")), 16)
            except ListenError as error:
                os.write(write, error.what.encode())
            os._exit(0)
        os.close(write)
        os.waitpid(pid, 0)
        with os.fdopen(read) as pipe:
            assert pipe.read().endswith(says.format(outer=outer, inner=inner))


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listening, file = bind_file(UnixAddress("s"), 16)
    with closing(listening):
        assert tmp_path / "s" == file.path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_is_exact_whatever_the_umask(tmp_path: Path, mode: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        with bound(tmp_path / "s", mode) as (_, file):
            assert (mode, mode) == (stat.S_IMODE((tmp_path / "s").stat().st_mode), file.mode)
    finally:
        os.umask(before)


def test_removes_its_own_file(tmp_path: Path) -> None:
    with bound(tmp_path / "s") as (_, file):
        file.remove()
    assert not (tmp_path / "s").exists()


def test_leaves_a_file_that_has_taken_its_place(tmp_path: Path) -> None:
    with bound(tmp_path / "s") as (_, file):
        (tmp_path / "s").unlink()
        with bound(tmp_path / "s"):
            assert not file.is_ours()
            file.remove()
            assert reaches(tmp_path / "s")


def test_a_file_that_is_gone_already_is_no_error(tmp_path: Path) -> None:
    with bound(tmp_path / "s") as (_, file):
        (tmp_path / "s").unlink()
        file.remove()
        file.remove()


def test_a_fork_never_removes_the_file(tmp_path: Path) -> None:
    with bound(tmp_path / "s") as (_, file):
        pid = os.fork()
        if pid == 0:
            file.remove()
            os._exit(0)
        os.waitpid(pid, 0)
        assert reaches(tmp_path / "s")


def test_of_many_that_start_at_once_exactly_one_gets_the_path(tmp_path: Path) -> None:
    leave_dead(tmp_path / "s")
    got: list[socket.socket] = []
    refused: list[ListenError] = []
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        try:
            got.append(bind_file(UnixAddress(str(tmp_path / "s")), 16)[0])
        except ListenError as error:
            refused.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (1, 7) == (len(got), len(refused))
    assert reaches(tmp_path / "s")
    got[0].close()
