"""`lasthop status`: real servers found and asked, and what passes for one."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lasthop.cli import main
from lasthop.status import running, view
from tests.conftest import Serve
from tests.users import needs_root

Captured = pytest.CaptureFixture[str]


def test_two_servers_at_once_each_with_a_line_and_tables(serve: Serve, capsys: Captured) -> None:
    first = serve("applications:hello", "--workers", "2", "--threads", "3", "--backlog", "9")
    second = serve("applications:hello")
    connection = first.connect(first.unix)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request("GET", "/")
            connection.getresponse().read()
    assert 0 == main(["status"])
    said = capsys.readouterr().out
    for server in (first, second):
        assert f"pid {server.pid} serves applications:hello, up " in said
    assert (
        f"ready: 2 workers, 3 threads each; {first.unix} queue 0 of 10 (deepest 0); {first.tcp} queue 0 of 10 "
        "(deepest 0); 0 of 6 threads busy; 3 requests" in said
    )
    assert "  listener " in said
    assert "  worker " in said
    assert "\x1b" not in said
    assert 0 == main(["status", "--json"])
    assert {first.pid, second.pid} <= {each["pid"] for each in json.loads(capsys.readouterr().out)}
    assert 0 == main(["status", str(second.pid)])
    said = capsys.readouterr().out
    assert f"pid {second.pid} " in said
    assert f"pid {first.pid} " not in said


def test_asked_at_the_address_of_its_status_socket(
    serve: Serve, short_directory: Path, capsys: Captured
) -> None:
    path = short_directory / "status.sock"
    server = serve("applications:hello", "--status-socket", f"unix:{path}")
    for address in (f"unix:{path}", str(path)):
        assert 0 == main(["status", address])
        assert f"pid {server.pid} " in capsys.readouterr().out
    assert 1 == main(["status", str(server.pid)])
    assert "for one with --status-socket give that address" in capsys.readouterr().err
    assert 1 == main(["status", server.tcp])
    assert "the answer is not JSON" in capsys.readouterr().err


def test_a_socket_that_is_not_there(tmp_path: Path, capsys: Captured) -> None:
    assert 1 == main(["status", f"unix:{tmp_path}/no.sock"])
    assert "No such file or directory" in capsys.readouterr().err
    assert 2 == main(["status", "fd:3"])
    assert "no address to connect to" in capsys.readouterr().err
    assert 2 == main(["status", "--watch", "soon"])
    assert "--watch is 'soon'" in capsys.readouterr().err


@needs_root
def test_where_none_runs_it_says_so() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing: apt-get install util-linux")
    # Abstract names belong to a network namespace, and a new one has none.
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-m", "lasthop", "status"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (1, "") == (done.returncode, done.stdout)
    assert "no lasthop is running here that could be asked" in done.stderr


@needs_root
def test_another_user_is_told_whom_to_become(serve: Serve) -> None:
    server = serve("applications:hello")
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        sys.stderr = os.fdopen(write, "w")
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        code = main(["status", str(server.pid)])
        sys.stderr.flush()
        os._exit(code)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    assert 1 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert (
        f"no status from pid {server.pid}: it tells its own user and root only, and this is uid 65534" in said
    )
    assert "as root" in said


class Impostor:
    """Somebody who listens where a server would, and answers whatever it likes."""

    def __init__(self, pid: int, answer: bytes | None, namespace: int = 0) -> None:
        self.pid = pid
        self._answer = answer
        self._kept: list[socket.socket] = []
        self._socket = socket.socket(socket.AF_UNIX)
        name = f"{running.PREFIX}{namespace or Path('/proc/self/ns/pid').stat().st_ino}/{pid}"
        self._socket.bind(b"\0" + name.encode())
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._socket.accept()
                self._kept.append(accepted)
                if self._answer is not None:
                    accepted.recv(4096)
                    accepted.sendall(self._answer)
                    accepted.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # which ends the accept that waits
        self._thread.join(20)
        for each in (*self._kept, self._socket):
            each.close()


@pytest.fixture
def impostors() -> Iterator[list[Impostor]]:
    made: list[Impostor] = []
    yield made
    for each in made:
        each.close()


ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\n\x9b31m\u202e"
HOSTILE: list[Any] = [
    {"lasthop": "0"},
    {"lasthop": 1, "pid": ESCAPES, "target": ESCAPES, "state": ESCAPES, "uptime_seconds": 1e308},
    {
        "lasthop": "0",
        "listeners": [{"address": ESCAPES, "uid": ESCAPES, "gid": -1, "queue": ESCAPES}, 7],
        "workers": {},
    },
    {"lasthop": "0", "listeners": ESCAPES, "workers": [{"pid": 1 << 80, "stage": ESCAPES, "requests": -1}]},
    {
        "lasthop": "0",
        "settings": [],
        "totals": 3,
        "target": "[red]x[/red]" + "y" * 100_000,
        "uptime_seconds": True,
    },
]


@pytest.mark.parametrize("document", HOSTILE)
def test_nothing_of_an_answer_commands_the_terminal(
    document: dict[str, Any], impostors: list[Impostor], capsys: Captured
) -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(document).encode()
    impostors.append(Impostor(os.getpid(), answer))
    for words in (["status", str(os.getpid())], ["status", str(os.getpid()), "--json"]):
        assert 0 == main(words)
        said = capsys.readouterr().out
        assert all(each.isprintable() for each in said.replace("\n", ""))
        assert len(said) < 1000 or "--json" in words


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "it closed the connection unread"),
        (b"HTTP/1.1 200 OK\r\n\r\n{", "the answer is not JSON"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000, "the answer is not JSON"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"1" * 10_000, "the answer is not JSON"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", "the answer is not that of a lasthop"),
        (b"HTTP/1.1 404 No\r\n\r\n{}", "that is not a status socket"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (9 << 20), "it says more than a server has to say"),
        (None, f"no answer within {running.SECONDS:g} s"),
    ],
)
def test_an_answer_that_is_none_is_an_error_in_words(
    answer: bytes | None, words: str, impostors: list[Impostor], capsys: Captured
) -> None:
    impostors.append(Impostor(os.getpid(), answer))
    assert 1 == main(["status", str(os.getpid())])
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("namespace", [0, 7])
def test_a_name_that_is_not_its_listeners_own_does_not_count(
    impostors: list[Impostor], capsys: Captured, namespace: int
) -> None:
    impostors.append(Impostor(1, b'HTTP/1.1 200 OK\r\n\r\n{"lasthop": "0", "pid": 1}', namespace))
    assert 1 == main(["status", "1"])
    assert "pid 1 is no lasthop that can be asked" in capsys.readouterr().err


def test_any_number_of_false_names_hides_no_server(serve: Serve, capsys: Captured) -> None:
    server = serve("lasthop.demo:app")
    own = Path("/proc/self/ns/pid").stat().st_ino
    with contextlib.ExitStack() as stack:
        for number in range(running.MOST_SERVERS + 10):
            taken = stack.enter_context(socket.socket(socket.AF_UNIX))
            taken.bind(f"\0{running.PREFIX}{own}/{number}")
            taken.listen()
        assert 0 == main(["status"])
        assert f"pid {server.pid}" in " ".join(capsys.readouterr().out.split())
        assert 0 == main(["status", str(server.pid)])


def test_watch_asks_until_ctrl_c(serve: Serve) -> None:
    server = serve("applications:hello")
    command = [sys.executable, "-m", "lasthop", "status", str(server.pid), "--json", "--watch", "50ms"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        first, second = (json.loads(watching.stdout.readline())[0] for _ in range(2))
        assert second["uptime_seconds"] > first["uptime_seconds"]
        watching.send_signal(signal.SIGINT)
        assert 0 == watching.wait(20)
        assert "" == watching.stderr.read()


def test_on_a_terminal_there_are_tables(serve: Serve) -> None:
    pytest.importorskip("rich")
    server = serve("applications:hello")
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "lasthop", "status", str(server.pid)], stdout=theirs, check=True, timeout=60
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # the terminal's end
        while piece := os.read(ours, 65536):
            said += piece
    os.close(ours)
    assert f"pid {server.pid} serves applications:hello".encode() in said
    assert b"deepest" in said
    assert b"serving" in said


def test_a_full_queue_stands_out() -> None:
    queue = {"waiting": 6, "holds": 6, "deepest": 6, "times_full": 2, "seconds_full": 75.0}
    shown = view.view({"listeners": [{"address": "unix:/a", "queue": queue}], "workers": []})
    assert "unix:/a queue 6 of 6 FULL (deepest 6)" in shown.line
    assert "2 times, 1m 15s" in view.plain([shown])


def test_while_it_starts_nothing_is_said_of_threads(serve: Serve, short_directory: Path) -> None:
    gate = short_directory / "gate"
    os.mkfifo(gate)
    (short_directory / "waiting.py").write_text(
        f"open({str(gate)!r}).read()\nasync def app(scope, receive, send):\n    raise ValueError\n"
    )
    server = serve("waiting:app", ready=False, cwd=short_directory)
    with gate.open("w"):  # opens once the worker reads
        line = view.view(running.ask(str(server.pid))).line
    assert line.startswith("starting: 1 worker, of which none serves; unix:")
    assert "thread" not in line
    server.wait_ready()
    line = view.view(running.ask(str(server.pid))).line
    assert line.startswith("ready: 1 worker, an event loop; unix:")
    assert "0 under way" in line


def test_health_checks_of_a_client_library_work(serve: Serve) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve("applications:hello", "--status-socket", f"127.0.0.1:{port}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/ready")
        assert (200, b"ready\n") == ((reply := connection.getresponse()).status, reply.read())
