"""Where the status is asked for, by whom, and what hostile peers can do about it: nothing."""

import errno
import json
import os
import selectors
import shutil
import signal
import socket
import stat
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lasthop.errors import ListenError
from lasthop.server.statussocket import MOST_CONNECTIONS, StatusSocket, understood
from tests.users import ask_as, needs_root, open_to_all

from .asking_status import ask, name_of, raw, status
from .conftest import Server, Start, until


def test_curl_reads_it_through_a_file_that_only_its_owner_may_use(start: Start, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is missing: apt-get install curl")
    path = tmp_path / "status.sock"
    server = start(status_socket=f"unix:{path}")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    command = ["curl", "-sf", "--unix-socket", str(path), "http://localhost/status"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert server.pid == found["pid"]
    with pytest.raises(ConnectionRefusedError):
        ask(name_of(server.pid), "/status")
    server.send(signal.SIGTERM)
    assert 0 == server.wait()
    assert not path.exists()


def test_over_tcp_and_not_at_all(start: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = start(status_socket=address)
    assert server.pid == status(server, address)["pid"]
    silent = start(status_socket="none")
    with pytest.raises(ConnectionRefusedError):
        ask(name_of(silent.pid), "/status")
    assert silent.get()


@needs_root
def test_another_user_gets_nothing_from_the_name_and_what_the_mode_gives_from_a_file(
    start: Start, tmp_path: Path
) -> None:
    server = start()
    assert b"" == ask_as(name_of(server.pid).removeprefix("unix:"), uid=65534, target="/status")
    assert status(server)["pid"] == server.pid
    path = tmp_path / "status.sock"
    start(status_socket=f"unix:{path}?mode=0660&group=65534", workers=1)
    assert 0o660 == stat.S_IMODE(path.stat().st_mode)
    mode = path.stat().st_mode
    open_to_all(path)
    path.chmod(stat.S_IMODE(mode))
    assert ask_as(path, uid=65534, gid=65534, target="/ready").startswith(b"HTTP/1.1 200 OK")


def test_only_three_pages_and_two_methods(start: Start) -> None:
    address = name_of(start().pid)
    assert [200, 404, 404, 405, 200] == [
        ask(address, path, method)[0]
        for method, path in [
            ("GET", "/ready?from=probe"),
            ("GET", "/"),
            ("GET", "/status/x"),
            ("POST", "/status"),
            ("HEAD", "/status"),
        ]
    ]
    assert "" == ask(address, "/status", "HEAD")[2]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", (200, "GET", "/a")),
        (b"GET / HTTP/1.0\r\n\r\n", (200, "GET", "/")),
        (b"GET / HTTP/1.1\r\nA: b\r\nEmpty:\r\n\r\nbody", (200, "GET", "/")),
        (b"GET http://a/ HTTP/1.1\r\n\r\n", (400, "", "")),
        (b"GET / HTTP/2.0\r\n\r\n", (400, "", "")),
        (b"GET  / HTTP/1.1\r\n\r\n", (400, "", "")),
        (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", (400, "", "")),
        (b"GET / HTTP/1.1\r\n folded\r\n\r\n", (400, "", "")),
        (b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", (400, "", "")),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", (400, "", "")),
        (b"\r\n\r\n", (400, "", "")),
        (b"\xff" * 100 + b"\r\n\r\n", (400, "", "")),
        (b"GET /" + b"a" * 9000, (414, "", "")),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 17000, (431, "", "")),
    ],
)
def test_a_request_is_read_to_the_letter(head: bytes, expected: tuple[int, str, str]) -> None:
    assert expected == understood(head)


def test_heads_in_pieces_and_too_long_ones_get_their_answer(start: Start) -> None:
    address = name_of(start().pid)
    with raw(address) as peer:
        for each in b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n":
            peer.sendall(bytes([each]))
        assert peer.makefile("rb").read().endswith(b"\r\n\r\nready\n")
    with raw(address) as peer:
        peer.sendall(b"GET /" + b"a" * 10_000)
        assert peer.makefile("rb").read().startswith(b"HTTP/1.1 414 ")
    with raw(address) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2900)
        assert peer.makefile("rb").read().startswith(b"HTTP/1.1 431 ")


def test_silent_peers_are_closed_and_never_more_than_a_few_are_kept(start: Start) -> None:
    server = start()
    address = name_of(server.pid)
    with ExitStack() as stack:
        silent = [stack.enter_context(raw(address)) for _ in range(3 * MOST_CONNECTIONS)]
        assert server.pid == status(server)["pid"]
        assert server.get()
        open_now = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        # The first ones had to go for the others; the others go when their time is up.
        assert b"" == silent[0].recv(1)
        assert b"" == silent[-1].recv(1)
    until(lambda: len(list(Path(f"/proc/{server.pid}/fd").iterdir())) < open_now)


def test_peers_that_do_not_read_or_do_not_stop_hold_nothing_up(start: Start) -> None:
    server = start(workers=4)
    address = name_of(server.pid)
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            deaf = stack.enter_context(raw(address))
            deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        chatty = stack.enter_context(raw(address))
        chatty.sendall(b"GET /status HTTP/1.1\r\n\r\n")
        with pytest.raises(OSError) as caught:  # noqa: PT012
            while True:
                chatty.sendall(b"x" * 65536)
        assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)
        assert server.pid == status(server)["pid"]
        killed = server.workers().pop()
        os.kill(killed, signal.SIGKILL)
        until(lambda: killed not in server.workers() and len(server.workers()) == 4)


class Changing:
    """A server whose settings change on HUP."""

    def __init__(self, start: Start, tmp_path: Path, **first: Any) -> None:
        self._later = tmp_path / "later.json"
        self._fixed = {"bind": [f"unix:{tmp_path}/app.sock"], "threads": 2, "log_level": "debug"} | {
            "pythonpath": [str(Path(__file__).parent)]
        }
        self.server: Server = start(**self._fixed, **first, later=str(self._later))

    def change(self, reloads: int, **settings: Any) -> None:
        self._later.write_text(json.dumps(self._fixed | settings))
        self.server.send(signal.SIGHUP)
        self.server.wait_log("reloaded: ", reloads)


def test_hup_moves_it_changes_its_permissions_and_keeps_it_where_the_new_cannot_be(
    start: Start, tmp_path: Path
) -> None:
    changing = Changing(start, tmp_path)
    server, path = changing.server, tmp_path / "status.sock"
    changing.change(1, status_socket=f"unix:{path}")
    server.wait_log(f"status at unix:{path} from now on")
    assert server.pid == status(server, f"unix:{path}")["pid"]
    with pytest.raises(ConnectionRefusedError):
        ask(name_of(server.pid), "/status")
    inode = path.stat().st_ino
    changing.change(2, status_socket=f"unix:{path}?mode=0640")
    until(lambda: 0o640 == stat.S_IMODE(path.stat().st_mode))
    assert inode == path.stat().st_ino
    changing.change(3, status_socket=f"unix:{tmp_path}/missing/status.sock")
    server.wait_log("the status socket stays as it is: ")
    assert server.pid == status(server, f"unix:{path}")["pid"]
    changing.change(4, status_socket="none")
    until(lambda: not path.exists())


def test_a_status_file_that_is_removed_comes_back(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    server = start(status_socket=f"unix:{path}")
    path.unlink()
    until(path.exists)
    assert server.pid == status(server, f"unix:{path}")["pid"]


def test_a_status_address_that_cannot_be_had_is_no_start(start: Start, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = start(status_socket=address, bind=[f"unix:{tmp_path}/app.sock"], wait=False)
        assert 1 == server.wait()
    assert (
        f"cannot listen at {address}" in server.log()
        or f"port {address.partition(':')[2]} is taken" in server.log()
    )
    assert not (tmp_path / "app.sock").exists()


def test_one_that_is_patient_takes_the_address_once_it_is_free(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/status.sock"
    with selectors.DefaultSelector() as selector:
        first, second = (StatusSocket(selector, {}) for _ in range(2))
        first.open(address, False)
        with pytest.raises(ListenError):
            second.open(address, False)
        second.open(address, False, patient=True)
        second.change(address, False)
        assert second.is_lost()
        first.close()
        second.change(address, False)
        assert not second.is_lost()
        assert (tmp_path / "status.sock").exists()
        second.close()
        assert not (tmp_path / "status.sock").exists()
