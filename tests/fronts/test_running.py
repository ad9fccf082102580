"""A front that runs: it starts or says why not, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lasthop.demo.serving import Serving
from lasthop.errors import FrontFailed, FrontMissing
from lasthop.fronts.front import Front
from lasthop.fronts.hop import Hop
from lasthop.fronts.orphans import ending_with_us
from lasthop.fronts.running import RunningFront
from lasthop.link.address import TcpAddress, parse
from tests.live.watching import until

from .conftest import ask, free_port, installed

HERE = Path(__file__).parent


def hop_to(application: str) -> Hop:
    return Hop(application=parse(application), entrance=free_port(), workers=2, clients=64)


def alive(group: int) -> list[str]:
    """Processes of a group that are not dead."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            try:
                state, _, of = (each / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(of) == group and state not in "ZX":
                found.append(each.name)
    return found


def test_all_of_its_processes_go_with_it(front: Front, directory: Path, server: Serving) -> None:
    with RunningFront(front, hop_to(server.unix), directory) as running:
        ask(running.entrance)
        pid = running.pid
        assert str(pid) in alive(pid)
    assert [] == alive(pid)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((running.entrance.host, running.entrance.port))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_they_go_also_when_something_is_raised(
    front: Front, directory: Path, server: Serving, error: type[BaseException]
) -> None:
    with pytest.raises(error), RunningFront(front, hop_to(server.unix), directory) as running:
        raise error
    assert [] == alive(running.pid)


def test_they_go_also_when_it_is_interrupted_while_it_starts(
    front: Front, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    running = RunningFront(front, hop_to("unix:/not/there"), directory)
    with monkeypatch.context() as context:
        context.setattr(socket, "create_connection", interrupted)  # before it is known to accept
        context.setattr(time, "sleep", interrupted)  # and again, while it is waited for
        with pytest.raises(KeyboardInterrupt):
            running.__enter__()
    assert [] == alive(running.pid)


def test_they_go_also_when_its_first_process_was_killed(
    front: Front, directory: Path, server: Serving
) -> None:
    with RunningFront(front, hop_to(server.unix), directory) as running:
        ask(running.entrance)
        os.kill(running.pid, signal.SIGKILL)
    assert [] == alive(running.pid)


STARTING = """
import pathlib, signal, sys
from lasthop.fronts import find
from lasthop.fronts.hop import Hop
from lasthop.fronts.orphans import ending_with_us
from lasthop.fronts.running import RunningFront
from lasthop.link.address import TcpAddress, parse
name, application, port, directory = sys.argv[1:]
hop = Hop(application=parse(application), entrance=TcpAddress("127.0.0.1", int(port)), clients=64)
with RunningFront(find(name), hop, pathlib.Path(directory)) as running:
    print(running.pid, flush=True)
    signal.pause()
"""


def test_they_go_also_when_whoever_started_it_is_killed(
    front: Front, directory: Path, server: Serving
) -> None:
    entrance = free_port()
    command = [sys.executable, "-c", STARTING, front.name, server.unix, str(entrance.port), str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert str(pid) in alive(pid)
        ask(entrance)  # Apache forgets a SIGTERM that comes before its workers are there
        starter.kill()
    until(lambda: not alive(pid), what="the front's end")


def test_a_port_that_is_taken_is_told_in_its_words(front: Front, directory: Path, server: Serving) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        hop = Hop(application=parse(server.unix), entrance=TcpAddress(*other.getsockname()))
        with pytest.raises(FrontFailed) as failed:
            RunningFront(front, hop, directory).__enter__()
    said = failed.value.said.lower()
    assert "address already in use" in said or "address in use" in said or "cannot bind socket" in said
    assert "something listens there" in failed.value.hint


BROKEN = {
    "nginx": ("no_such_directive on;\n", ""),
    "apache": ("no_such_directive on\n", ""),
    "caddy": ("", "\n:8080 {\n\tno_such_directive\n}\n"),
    "haproxy": ("", "\n    no_such_keyword\n"),
}


def test_a_configuration_that_it_does_not_take_is_told_at_once(
    front: Front, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = BROKEN[front.name]
    whole = front.alone(hop_to("unix:/not/there"), directory)
    monkeypatch.setattr(front, "alone", lambda *_: before + whole + after)
    began = time.monotonic()
    with pytest.raises(FrontFailed) as failed:
        RunningFront(front, hop_to("unix:/not/there"), directory).__enter__()
    assert time.monotonic() - began < 5
    assert "no_such" in failed.value.said
    assert "no_such" in str(failed.value)


def test_says_what_it_said(directory: Path, server: Serving) -> None:
    front = installed("nginx")
    running = RunningFront(front, hop_to("unix:/not/there.sock"), directory)
    assert "" == running.log()
    with running, socket.create_connection((running.entrance.host, running.entrance.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert b"502" == client.recv(65536)[9:12]
        until(lambda: "/not/there.sock" in running.log(), "the log says what is missing")


def test_two_run_beside_each_other(front: Front, directory: Path, server: Serving) -> None:
    places = [directory / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
    with (
        RunningFront(front, hop_to(server.unix), places[0]) as one,
        RunningFront(front, hop_to(server.tcp), places[1]) as two,
    ):
        assert ["/1", "/2"] == [ask(one.entrance, "/1")["PATH_INFO"], ask(two.entrance, "/2")["PATH_INFO"]]


def test_a_front_that_is_not_installed_says_how_to_get_it(
    front: Front, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lasthop.fronts import program

    monkeypatch.setattr(program, "find", lambda _: None)
    assert (None, None) == (front.executable(), front.version())
    with pytest.raises(FrontMissing) as missing:
        RunningFront(front, hop_to("unix:/not/there"), directory).__enter__()
    assert f"apt-get install {front.package}" == missing.value.hint


STARTED = """\
import sys
from pathlib import Path
from lasthop.demo.asking import Connection
from lasthop.fronts import find
from lasthop.fronts.hop import Hop
from lasthop.fronts.orphans import ending_with_us
from lasthop.fronts.running import RunningFront
from lasthop.link.address import TcpAddress, UnixAddress

name, path, port, directory = sys.argv[1:]
hop = Hop(application=UnixAddress(path), entrance=TcpAddress("127.0.0.1", int(port)))
front = find(name)
Path(directory, "site").write_text(front.site(hop))
front.check_site(Path(directory, "site"), Path(directory))
with RunningFront(front, hop, Path(directory)) as running:
    connection = Connection(str(running.entrance))
    connection.request("GET", "/")
    print(connection.getresponse().status)
"""


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become another user; and the other tests run as an ordinary one"
)
def test_runs_as_an_ordinary_user(front: Front, directory: Path, server: Serving) -> None:
    place = directory / "own"
    place.mkdir()
    directory.chmod(0o755)
    os.chown(place, 65534, 65534)
    socket_path = directory / "open.sock"
    socket_path.hardlink_to(server.unix.removeprefix("unix:"))
    mode = socket_path.stat().st_mode
    socket_path.chmod(0o666)
    program = place / "started.py"
    program.write_text(STARTED)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run(
        [*as_nobody, sys.executable, "-c", "import lasthop, jinja2"], capture_output=True
    ).returncode:
        pytest.skip("another user may not read where lasthop or Python is installed")
    words = [
        *as_nobody,
        sys.executable,
        str(program),
        front.name,
        str(socket_path),
        str(free_port().port),
        str(place),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=place)
    socket_path.chmod(mode)
    assert ("200\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_what_is_started_ends_if_its_starter_was_gone_before_it_could_be_tied_to_it() -> None:
    tie = ending_with_us()
    between = os.fork()
    if between == 0:  # the starter of the next one, which takes it for ours
        child = os.fork()
        if child == 0:
            tie()
            os._exit(0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert 128 + signal.SIGTERM == os.waitstatus_to_exitcode(os.waitpid(between, 0)[1])
