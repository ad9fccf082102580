"""The socket file of a running server: whose it is, and what happens when somebody takes it away."""

import contextlib
import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from .conftest import Server, Start, until
from .test_supervisor import Load, write_version

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away, which only root may")


def owned(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@needs_root
def test_settings_and_address_say_whose_the_files_are(start: Start, tmp_path: Path) -> None:
    server = start(
        bind=[f"unix:{tmp_path}/a", f"unix:{tmp_path}/b?mode=0600&owner=54321"],
        socket_group="54322",
        socket_mode="0660",
    )
    assert [(0, 54322, 0o660), (54321, 54322, 0o600)] == [owned(tmp_path / "a"), owned(tmp_path / "b")]
    assert [f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"] == server.addresses
    assert f"listening at unix:{tmp_path}/a (mode 0660, group 54322)" in server.log()


def test_the_missing_directory_is_made_when_asked(start: Start, tmp_path: Path) -> None:
    server = start(bind=[f"unix:{tmp_path}/run/app/s"], socket_mode="0660", socket_mkdir=True)
    assert server.get() in {str(pid) for pid in server.workers()}
    assert 0o750 == owned(tmp_path / "run/app")[2]


def test_an_unknown_group_ends_the_start_with_what_to_do(start: Start, tmp_path: Path) -> None:
    server = start(bind=[f"unix:{tmp_path}/s"], socket_group="no-such-group", wait=False)
    assert 1 == server.wait()
    assert "there is no group 'no-such-group' here" in server.log()
    assert not (tmp_path / "s").exists()


def running(server: Server) -> str:
    """Ask at the first address until somebody answers there: who."""
    found: list[str] = []

    def answers() -> bool:
        with contextlib.suppress(OSError):
            found.append(server.get())
        return bool(found)

    until(answers, server.log)
    return found[0]


def rebind(path: Path) -> socket.socket:
    """What another server does that takes a path without asking."""
    path.unlink(missing_ok=True)
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(path))
    other.listen()
    return other


@pytest.mark.parametrize("preload", [False, True])
def test_a_file_that_was_removed_is_made_again_with_the_same_rules(
    start: Start, tmp_path: Path, preload: bool
) -> None:
    server = start(bind=[f"unix:{tmp_path}/s"], socket_mode="0640", workers=2, preload=preload)
    before = server.workers()
    (tmp_path / "s").unlink()
    assert running(server).isdecimal()
    assert 0o640 == owned(tmp_path / "s")[2]
    assert f"unix:{tmp_path}/s no longer leads to this server: the file is gone" in server.log()
    assert f"made unix:{tmp_path}/s (mode 0640)" in server.log()
    until(lambda: not before & server.workers())
    assert running(server).isdecimal()
    server.send(signal.SIGTERM)
    assert (0, []) == (server.wait(), list(tmp_path.glob("s")))


def test_no_request_is_lost_on_the_other_address_and_on_open_connections_meanwhile(
    start: Start, tmp_path: Path
) -> None:
    server = start(bind=["127.0.0.1:0", f"unix:{tmp_path}/s"], workers=2)
    before = server.workers()
    kept = server.connect(at=1)
    load = Load(server.addresses[0])
    load.wait_for(50)
    (tmp_path / "s").unlink()
    kept.request("GET", "/sleep?0.5")
    server.wait_log("made unix:")
    assert 200 == kept.getresponse().status
    kept.close()  # an idle connection may bring another request, and its worker waits for it
    until(lambda: not before & server.workers())
    load.wait_for(50)
    load.stop()
    assert [] == load.lost


def test_a_directory_that_was_moved_is_made_again_when_that_is_asked(start: Start, tmp_path: Path) -> None:
    server = start(bind=[f"unix:{tmp_path}/run/s"], socket_mkdir=True)
    (tmp_path / "run").rename(tmp_path / "moved")
    assert running(server).isdecimal()
    assert f"the directory {tmp_path}/run is gone" in server.log()


def test_a_directory_that_cannot_be_made_is_waited_for(start: Start, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    server = start(bind=[f"unix:{tmp_path}/run/s"])
    (tmp_path / "run").rename(tmp_path / "moved")
    server.wait_log("lasthop tries again each second")
    (tmp_path / "moved").rename(tmp_path / "run")
    server.wait_log("leads to this server again")
    assert running(server).isdecimal()


def test_what_somebody_else_listens_on_is_left_to_them_until_they_go(start: Start, tmp_path: Path) -> None:
    server = start(bind=[f"unix:{tmp_path}/s"])
    other = rebind(tmp_path / "s")
    server.wait_log("is listening there")
    assert f"pid {os.getpid()} (" in server.log()
    inode = (tmp_path / "s").stat().st_ino
    server.send(signal.SIGHUP)
    server.wait_log("not reloaded")
    assert inode == (tmp_path / "s").stat().st_ino
    other.close()
    assert running(server).isdecimal()


def test_hup_makes_a_lost_file_again_also_where_it_is_only_warned_of(start: Start, tmp_path: Path) -> None:
    server = start(bind=[f"unix:{tmp_path}/s"], socket_missing="warn")
    (tmp_path / "s").unlink()
    server.wait_log("the file is gone")
    assert not (tmp_path / "s").exists()
    server.send(signal.SIGHUP)
    server.wait_log("reloaded")
    assert running(server).isdecimal()


def test_a_failed_hup_leaves_the_old_workers_and_the_file_comes_back(start: Start, tmp_path: Path) -> None:
    write_version(tmp_path, "old")
    server = start(
        "versioned:application", pythonpath=[str(tmp_path)], bind=["127.0.0.1:0", f"unix:{tmp_path}/s"]
    )
    (tmp_path / "versioned.py").write_text("import a_module_that_is_missing\n")
    (tmp_path / "s").unlink()
    server.send(signal.SIGHUP)
    server.wait_log("cannot be served")
    assert "old" == server.get()
    write_version(tmp_path, "new")
    server.wait_log("made unix:")
    server.addresses.reverse()
    assert "new" == running(server)


def test_exit_ends_in_order_with_1(start: Start, tmp_path: Path) -> None:
    server = start(bind=[f"unix:{tmp_path}/s"], socket_missing="exit")
    (tmp_path / "s").unlink()
    assert 1 == server.wait()
    assert "ending, as --socket-missing exit says" in server.log()


@needs_root
def test_a_reload_changes_the_mode_of_the_living_file(start: Start, tmp_path: Path) -> None:
    later = tmp_path / "later.json"
    server = start(bind=[f"unix:{tmp_path}/s"], later=str(later))
    inode = (tmp_path / "s").stat().st_ino
    later.write_text(f'{{"bind": ["unix:{tmp_path}/s"], "socket_mode": "0660", "socket_group": "54322"}}')
    server.send(signal.SIGHUP)
    server.wait_log("reloaded")
    assert (inode, (0, 54322, 0o660)) == ((tmp_path / "s").stat().st_ino, owned(tmp_path / "s"))
