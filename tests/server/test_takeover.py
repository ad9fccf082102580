"""``--replace``: one server takes the place of another, and nobody who asks notices."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from lasthop.errors import TakeoverRefused
from lasthop.link import holders
from lasthop.server import passing
from lasthop.server.claim import claim
from tests.users import PYTHON, needs_root

from .beside import as_user
from .conftest import Connection, Server, Start, is_there, until
from .test_supervisor import write_version

BODY = "some of what was sent " * 500


class Clients:
    """Who asks without a pause: at each address on a kept connection and on one a request, GET and POST in turn. Every reply is looked at."""

    def __init__(self, addresses: list[str]) -> None:
        self.replies = 0
        self.failures: list[str] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(address, kept))
            for address in addresses
            for kept in (True, False)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, address: str, kept: bool) -> None:
        connection = Connection(address)
        asked = 0
        while not self._over.is_set():
            asked += 1
            headers = {} if kept else {"Connection": "close"}
            try:
                if asked % 2:
                    connection.request("GET", "/", headers=headers)
                else:
                    connection.request("POST", "/echo", BODY, headers=headers)
                reply = connection.getresponse()
                said = reply.read().decode()
            except (OSError, HTTPException) as error:
                self._count(f"{address}, {'kept' if kept else 'new'}: {error!r}")
                connection.close()
                continue
            right = said.isdecimal() if asked % 2 else said == BODY
            self._count("" if reply.status == 200 and right else f"{reply.status} {said[:80]}")
        connection.close()

    def _count(self, failure: str) -> None:
        with self._lock:
            if failure:
                self.failures.append(failure)
            else:
                self.replies += 1

    def wait_for(self, more: int) -> None:
        wanted = self.replies + more
        until(lambda: self.replies >= wanted or bool(self.failures))

    def stop(self) -> list[str]:
        """What failed."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self.failures


@contextlib.contextmanager
def asking(addresses: list[str]) -> Iterator[Clients]:
    clients = Clients(addresses)
    try:
        yield clients
    finally:
        clients.stop()


def everywhere(directory: Path) -> list[str]:
    return [f"unix:{directory}/s", "127.0.0.1:0", f"unix:@{directory}/abstract"]


def ended(server: Server) -> int:
    """The code of a server that was replaced: it ends at once when it has no connection."""
    return server.wait()


# It works


@pytest.mark.parametrize("preload", [False, True])
def test_the_next_one_serves_at_every_address_and_the_one_before_ends_with_0(
    start: Start, tmp_path: Path, preload: bool
) -> None:
    first = start(bind=everywhere(tmp_path), workers=2)
    second = start(bind=first.addresses, workers=2, preload=preload, replace=True)
    assert 0 == ended(first)
    assert first.addresses == second.addresses
    for at in range(3):
        assert int(second.get(at=at)) not in {first.pid}
        assert int(second.get(at=at)) in second.workers()
    assert f"taken over from pid {first.pid}" in second.log()
    assert f"pid {second.pid} (uid {os.geteuid()}" in first.log()
    second.send(signal.SIGTERM)
    assert (0, False) == (second.wait(), (tmp_path / "s").exists())


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))  # noqa: PTH208


def held_at_rest(server: Server) -> int:
    """How many descriptors a server has that nobody has anything to do with for half a second."""
    seen = [descriptors(server)]
    while len(seen) < 50 or len(set(seen[-50:])) > 1:
        time.sleep(0.01)
        seen.append(descriptors(server))
    return seen[-1]


def test_no_request_is_lost_in_a_chain_of_takeovers_and_nothing_piles_up(
    start: Start, tmp_path: Path
) -> None:
    server = start(bind=everywhere(tmp_path), workers=2, graceful_timeout=5)
    addresses = server.addresses
    open_descriptors = 0
    with asking(addresses) as clients:
        for _ in range(6):
            clients.wait_for(200)
            before, server = (
                server,
                start(bind=addresses, workers=2, graceful_timeout=5, replace=True, pid=str(tmp_path / "pid")),
            )
            assert 0 == ended(before)
            assert f"{server.pid}\n" == (tmp_path / "pid").read_text()
            assert 2 == len(server.workers())
            # It looks around at its start, so the number settles a moment after it is ready.
            fewest = open_descriptors or held_at_rest(server)
            until(lambda fewest=fewest, server=server: descriptors(server) <= fewest)  # type: ignore[misc]
            open_descriptors = fewest
        clients.wait_for(200)
        assert [] == clients.stop()
    server.send(signal.SIGTERM)
    assert 0 == server.wait()
    assert [] == [*tmp_path.glob("s"), *tmp_path.glob("pid")]


def test_reloads_and_takeovers_lose_no_request(start: Start, tmp_path: Path) -> None:
    server = start(bind=everywhere(tmp_path), graceful_timeout=5)
    addresses = server.addresses
    with asking(addresses) as clients:
        for _ in range(3):
            clients.wait_for(100)
            server.send(signal.SIGHUP)
            # The one that reloads is waited for.
            before, server = server, start(bind=addresses, graceful_timeout=5, replace=True)
            assert 0 == ended(before)
            server.send(signal.SIGHUP)
            server.wait_log("reloaded")
        clients.wait_for(100)
        assert [] == clients.stop()


def test_a_request_in_hand_is_finished_by_the_one_that_has_it(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"])
    old = first.workers()
    connection = first.connect()
    connection.request("GET", "/sleep?1.5")
    idle = first.connect()
    idle.request("GET", "/")
    idle.getresponse().read()
    second = start(bind=first.addresses, replace=True)
    # A kept connection brings its requests to the one it leads to, as after a reload, until that one's workers know that they drain.
    until = time.monotonic() + 20
    ends = None
    while not ends and time.monotonic() < until:
        idle.request("GET", "/")
        reply = idle.getresponse()
        assert {int(reply.read())} == old
        ends = reply.getheader("Connection")
    assert "close" == ends
    assert {int(connection.getresponse().read())} == old
    assert 0 == ended(first)
    assert {int(second.get())} == second.workers()


def test_a_term_to_the_one_that_was_replaced_lets_its_requests_end(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"])
    connection = first.connect()
    connection.request("GET", "/sleep?4")
    start(bind=first.addresses, replace=True)
    first.send(signal.SIGTERM)
    assert 200 == connection.getresponse().status
    assert 0 == ended(first)


def test_starts_as_usual_where_nobody_is(start: Start, tmp_path: Path) -> None:
    server = start(bind=everywhere(tmp_path), replace=True)
    assert server.get().isdecimal()
    assert "nobody listens at" in server.log()


def test_addresses_of_only_one_of_them_come_and_go(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"])
    second = start(bind=[f"unix:{tmp_path}/b", f"unix:{tmp_path}/c"], replace=True)
    assert 0 == ended(first)
    assert ["b", "c"] == sorted(each.name for each in tmp_path.iterdir() if each.is_socket())
    assert {int(second.get(at=0)), int(second.get(at=1))} == second.workers()


def test_the_file_gets_the_mode_that_the_new_one_asks_for(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"], socket_mode="0600")
    inode = (tmp_path / "s").stat().st_ino
    for mode in ("0660", "0666", "0600"):
        first, before = start(bind=first.addresses, replace=True, socket_mode=mode), first
        assert 0 == ended(before)
        assert (int(mode, 8), inode) == (
            (tmp_path / "s").stat().st_mode & 0o777,
            (tmp_path / "s").stat().st_ino,
        )


def test_the_address_may_be_spelt_in_another_way(start: Start, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    first = start(bind=[f"unix:{tmp_path}/run/s"])
    second = start(bind=["unix:link/s"], chdir=str(tmp_path), replace=True)
    assert 0 == ended(first)
    assert {int(second.get())} == second.workers()
    second.send(signal.SIGTERM)
    assert (0, []) == (second.wait(), list((tmp_path / "run").iterdir()))


def test_the_kernel_names_the_new_one(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"])
    second = start(bind=first.addresses, replace=True, backlog=7)
    peer = holders.at_unix(f"{tmp_path}/s")
    assert peer is not None
    assert second.pid == peer.pid
    third = start(bind=first.addresses, wait=False)
    assert 1 == third.wait()
    assert f"pid {second.pid} (" in third.log()


def test_systemd_is_told_whom_to_watch(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"{tmp_path}/notify")
        systemd.settimeout(20)
        environment = {"NOTIFY_SOCKET": f"{tmp_path}/notify"}
        first = start(bind=[f"unix:{tmp_path}/s"], environment=environment)
        second = start(bind=first.addresses, replace=True, environment=environment)
        assert 0 == ended(first)
        said = [systemd.recv(4096).decode() for _ in range(3)]
    assert f"MAINPID={first.pid}" in said[0]
    assert all(f"MAINPID={second.pid}" in each for each in said[1:])
    assert not any("STOPPING" in each for each in said)


# It does not come to it


def refused(server: Server) -> str:
    assert 1 == server.wait(), server.log()
    return server.log()


def test_one_that_cannot_import_changes_nothing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_is_missing\n")
    first = start(bind=everywhere(tmp_path), socket_mode="0666", pid=str(tmp_path / "pid"))
    with asking(first.addresses) as clients:
        for mode in ("0600", "0666"):
            second = start(
                "broken:application",
                bind=first.addresses,
                pythonpath=[str(tmp_path)],
                socket_mode=mode,
                pid=str(tmp_path / "pid"),
                replace=True,
                wait=False,
            )
            assert 4 == second.wait()
            assert "a_module_that_is_missing" in second.log()
            first.wait_log(f"pid {second.pid} has not taken over")
        clients.wait_for(100)
        assert [] == clients.stop()
    peer = holders.at_unix(f"{tmp_path}/s")
    assert peer is not None
    assert (first.pid, 0o666) == (peer.pid, (tmp_path / "s").stat().st_mode & 0o777)
    assert f"{first.pid}\n" == (tmp_path / "pid").read_text()
    assert 0 == ended_by(first, start(bind=first.addresses, pid=str(tmp_path / "pid"), replace=True))


def ended_by(first: Server, second: Server) -> int:
    assert second.get().isdecimal()
    return ended(first)


def test_one_that_is_half_ready_when_it_fails_loses_no_request(start: Start, tmp_path: Path) -> None:
    # The first worker serves at once, another never gets ready.
    (tmp_path / "uneven.py").write_text(
        "import os\nfrom applications import application\n"
        f"try:\n    os.open({str(tmp_path / 'one')!r}, os.O_CREAT | os.O_EXCL)\n"
        f"except FileExistsError:\n    open({str(tmp_path / 'two')!r}, 'w').close()\n    import time; time.sleep(0.7)\n    1 / 0\n"
    )
    first = start(bind=everywhere(tmp_path))
    with asking(first.addresses) as clients:
        second = start(
            "uneven:application",
            bind=first.addresses,
            workers=2,
            pythonpath=[str(tmp_path), str(Path(__file__).parent)],
            replace=True,
            wait=False,
        )
        assert 4 == second.wait()
        clients.wait_for(100)
        assert [] == clients.stop()
    assert first.get().isdecimal()


def hanging(directory: Path) -> str:
    """An application whose import waits until the file `go` is there."""
    (directory / "slow.py").write_text(
        "import os, time\nfrom applications import application\n"
        f"open({str(directory / 'importing')!r}, 'w').close()\n"
        f"while not os.path.exists({str(directory / 'go')!r}): time.sleep(0.01)\n"
    )
    return "slow:application"


def begin(start: Start, directory: Path, addresses: list[str], **settings: object) -> Server:
    """A server that has been handed the sockets and is importing the application."""
    (directory / "importing").unlink(missing_ok=True)
    second = start(
        hanging(directory),
        bind=addresses,
        pythonpath=[str(directory), str(Path(__file__).parent)],
        replace=True,
        wait=False,
        **settings,
    )
    until((directory / "importing").exists, second.log)
    return second


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_one_that_is_ended_before_it_is_ready_changes_nothing(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    first = start(bind=everywhere(tmp_path))
    with asking(first.addresses) as clients:
        second = begin(start, tmp_path, first.addresses)
        second.send(number)
        second.wait()
        first.wait_log("serving on as before")
        clients.wait_for(100)
        assert [] == clients.stop()
    third = start(bind=first.addresses, replace=True)
    assert 0 == ended_by(first, third)


def test_the_one_before_may_be_stopped_meanwhile(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"], pid=str(tmp_path / "pid"))
    second = begin(start, tmp_path, first.addresses, pid=str(tmp_path / "pid"))
    first.send(signal.SIGTERM)
    assert 0 == ended(first)
    # Who comes now waits in the queue.
    waiting = first.connect()
    waiting.request("GET", "/")
    (tmp_path / "go").touch()
    second.wait_ready()
    assert {int(waiting.getresponse().read())} == second.workers()
    assert f"{second.pid}\n" == (tmp_path / "pid").read_text()
    second.send(signal.SIGTERM)
    assert 0 == second.wait()
    assert [] == [*tmp_path.glob("s"), *tmp_path.glob("pid")]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_neither_serves_in_the_end_no_file_is_left(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"], pid=str(tmp_path / "pid"))
    second = begin(start, tmp_path, first.addresses, pid=str(tmp_path / "pid"))
    first.send(number)
    first.wait()
    second.send(signal.SIGTERM)
    second.wait()
    assert [] == [*tmp_path.glob("s"), *tmp_path.glob("pid")]


def test_the_one_before_may_be_killed_meanwhile(start: Start, tmp_path: Path) -> None:
    first = start(bind=everywhere(tmp_path))
    second = begin(start, tmp_path, first.addresses)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    (tmp_path / "go").touch()
    second.wait_ready()
    assert {int(second.get(at=at)) for at in range(3)} == second.workers()
    third = start(bind=first.addresses, replace=True)
    assert 0 == ended_by(second, third)


def test_two_at_once_and_a_reload_meanwhile(start: Start, tmp_path: Path) -> None:
    write_version(tmp_path, "old")
    first = start("versioned:application", bind=[f"unix:{tmp_path}/s"], pythonpath=[str(tmp_path)])
    second = begin(start, tmp_path, first.addresses)
    third = start(bind=first.addresses, replace=True, wait=False)
    assert f"pid {second.pid} is taking over from it just now" in refused(third)
    # A reload waits for the outcome: nothing may change under the one that takes over.
    write_version(tmp_path, "new")
    first.send(signal.SIGHUP)
    assert "old" == first.get()
    second.send(signal.SIGKILL)
    first.wait_log("reloaded")
    assert "new" == first.get()


def test_a_file_that_is_lost_meanwhile_is_made_by_the_one_that_serves_then(
    start: Start, tmp_path: Path
) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"])
    second = begin(start, tmp_path, first.addresses)
    (tmp_path / "s").unlink()
    (tmp_path / "go").touch()
    second.wait_ready()
    second.wait_log("made unix:")
    assert 0 == ended(first)
    until(lambda: (tmp_path / "s").exists())
    assert {int(second.get())} <= second.workers()


# Whom it does not take over from


def test_another_program_is_named_and_left_alone(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other, socket.socket() as tcp:
        other.bind(f"{tmp_path}/s")
        other.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        for bind in (f"unix:{tmp_path}/s", f"127.0.0.1:{tcp.getsockname()[1]}"):
            said = refused(start(bind=[bind], replace=True, wait=False))
            assert f"pid {os.getpid()} (" in said
            assert "--replace takes over from lasthop alone" in said
    assert (tmp_path / "s").is_socket()


def test_two_servers_at_its_addresses_are_one_too_many(start: Start, tmp_path: Path) -> None:
    one, other = start(bind=[f"unix:{tmp_path}/a"]), start(bind=["127.0.0.1:0"])
    said = refused(start(bind=[*one.addresses, *other.addresses], replace=True, wait=False))
    assert "one server is taken over at a time" in said
    assert {int(one.get()), int(other.get())} == one.workers() | other.workers()


def test_passed_sockets_are_another_ones_matter(start: Start) -> None:
    with socket.socket() as passed:
        passed.bind(("127.0.0.1", 0))
        passed.listen()
        server = start(bind=["systemd"], as_systemd=[passed.fileno()], replace=True, wait=False)
        assert "replace and bind contradict each other" in refused(server)
        address = f"127.0.0.1:{passed.getsockname()[1]}"
        first = start(bind=["systemd"], as_systemd=[passed.fileno()])
        passed.close()
        said = refused(start(bind=[address], replace=True, wait=False))
        assert f"pid {first.pid} refuses, since the socket there was passed to it" in said
        assert first.get().isdecimal()


def test_what_a_killed_one_has_left_is_waited_for(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"])
    connection = first.connect()
    connection.request("GET", "/sleep?1")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = start(bind=first.addresses, replace=True)
    assert 200 == connection.getresponse().status
    assert {int(second.get())} == second.workers()


# Who asks, and who should not


def meet(server: Server) -> socket.socket:
    found = passing.meet(server.pid, 20)
    assert found is not None
    return found[0]


def test_nonsense_and_silence_hold_nobody_up(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"])
    with meet(first) as peer:  # answered when the start is over, with all that it looks at
        peer.send(b"x")
        while peer.recv(65536):
            pass
    open_descriptors = len(os.listdir(f"/proc/{first.pid}/fd"))  # noqa: PTH208
    for nonsense in (
        b"x", b"{", b"[" * 60_000, b"[]", b"{}", b'{"taken": true}', b"\xff\xfe", b"9" * 60_000,
        b'{"version": 1, "take": "all"}', b'{"version": 1, "take": [1]}', b'{"version": 1, "take": []}',
        b'{"version": 2, "take": ["unix:@a"]}', b'{"version": 1, "take": ["127.0.0.1:1"], "pid_file": 7}',
    ):  # fmt: skip
        with meet(first) as peer, Path("/dev/null").open() as null:
            socket.send_fds(peer, [nonsense], [null.fileno()] * 10)
            answer = peer.recv(65536)
            assert not answer or "refused" in json.loads(answer)
    assert first.get().isdecimal()
    # More silent ones than it lets in at a time; who asks has to wait for some of them to be closed.
    silent = [meet(first) for _ in range(20)]
    assert first.get().isdecimal()
    for each in silent:
        each.close()
    until(lambda: len(os.listdir(f"/proc/{first.pid}/fd")) == open_descriptors)  # noqa: PTH208
    assert 0 == ended_by(first, start(bind=first.addresses, replace=True))


def test_one_that_has_the_sockets_and_talks_nonsense_has_not_taken_over(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"])
    handed = claim((f"unix:{tmp_path}/s",), None)
    assert handed is not None
    passing.send(handed._connection, {"taken": "perhaps"})
    assert {"kept": True} == passing.receive(handed._connection)
    first.wait_log("serving on as before")
    handed.let_go()
    for each in handed.handed.values():
        each.close()
    assert 0 == ended_by(first, start(bind=first.addresses, replace=True))


MEET = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(20)
s.connect(sys.argv[1].replace("@", "\\0"))
try:
    s.send(sys.argv[2].encode())
    sys.stdout.write(repr(s.recv(65536)))
except ConnectionError:
    sys.stdout.write("closed")
"""


@needs_root
def test_another_user_gets_nothing(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:@{tmp_path}/s"])
    wanted = json.dumps({"version": 1, "take": first.addresses, "pid_file": None})
    done = subprocess.run(
        [PYTHON, "-I", "-c", MEET, passing.name_of(first.pid).replace("\0", "@"), wanted],
        user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout in ("b''", "closed")
    assert first.get().isdecimal()


@needs_root
def test_another_user_takes_over_nothing(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:@{tmp_path}/s", "127.0.0.1:0"])
    words = [
        *as_user("nobody"),
        sys.executable,
        "-m",
        "lasthop",
        "serve",
        "json:loads",
        "--replace",
        "--bind",
    ]
    for address, why in zip(first.addresses, ("belongs to uid 0", "a process of uid 0"), strict=True):
        done = subprocess.run([*words, address], cwd="/", capture_output=True, text=True, timeout=60)
        assert (1, True) == (done.returncode, why in done.stderr), done.stderr
    assert first.get().isdecimal()


SQUAT = """
import os, socket, sys
def listens(kind, name):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(name)
    s.listen()
    return s
inode = os.stat("/proc/self/ns/pid").st_ino
a = listens(socket.SOCK_STREAM, "\\0" + sys.argv[1])
b = listens(socket.SOCK_SEQPACKET, "\\0lasthop/takeover/%d/%d" % (inode, os.getpid()))
print("there", flush=True)
sys.stdin.read()
"""


@needs_root
def test_a_lasthop_of_another_user_is_not_taken_over_from(tmp_path: Path) -> None:
    with subprocess.Popen(
        [PYTHON, "-I", "-c", SQUAT, f"{tmp_path}/s"],
        user=65534, group=65534, extra_groups=[], cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        with pytest.raises(TakeoverRefused, match=f"pid {other.pid}, belongs to uid 65534"):
            claim((f"unix:@{tmp_path}/s",), None)
        other.stdin.close()


# The pid file


def test_a_pid_file_of_another_name_is_each_ones_own(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"], pid=str(tmp_path / "one"))
    second = start(bind=first.addresses, pid=str(tmp_path / "two"), replace=True)
    assert 0 == ended(first)
    assert not (tmp_path / "one").exists()
    assert f"{second.pid}\n" == (tmp_path / "two").read_text()


def test_the_pid_file_stays_locked(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/s"], pid=str(tmp_path / "pid"))
    second = start(bind=first.addresses, pid=str(tmp_path / "pid"), replace=True)
    assert 0 == ended(first)
    assert f"pid {second.pid}" in refused(start(bind=["127.0.0.1:0"], pid=str(tmp_path / "pid"), wait=False))
    os.kill(second.pid, signal.SIGKILL)
    second.wait()
    until(lambda: not any(is_there(pid) for pid in second.workers()))
    third = start(bind=["127.0.0.1:0"], pid=str(tmp_path / "pid"))
    assert f"{third.pid}\n" == (tmp_path / "pid").read_text()
