"""The supervisor: what becomes of workers, listeners and requests when something happens."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from http.client import HTTPException
from pathlib import Path

import pytest

from lasthop.server.processors import usable_processors

from .conftest import HERE, Connection, Start, hold_still, is_there, until

VERSIONED = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "{length}")])
    return [b"{text}"]
"""


def write_version(directory: Path, text: str) -> None:
    """An application that answers with a text. The cache of its bytecode would hide a change within a second."""
    (directory / "versioned.py").write_text(VERSIONED.format(text=text, length=len(text)))
    for cached in directory.glob("__pycache__/versioned*"):
        cached.unlink()


class Load:
    """Requests without a pause, each connection used until the server closes it; what was lost is counted."""

    def __init__(self, address: str, connections: int = 4) -> None:
        self.replies = 0
        self.lost: list[str] = []
        self.bodies: set[str] = set()
        self._address = address
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._one) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def _one(self) -> None:
        connection = Connection(self._address)
        while not self._over.is_set():
            try:
                connection.request("GET", "/")
                reply = connection.getresponse()
                self.bodies.add(reply.read().decode())
                self.replies += 1
            except (OSError, HTTPException) as error:
                self.lost.append(repr(error))
                connection.close()
        connection.close()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Until that many more replies have come."""
        wanted = self.replies + more
        until(lambda: self.replies >= wanted or bool(self.lost))


def test_serves_over_tcp_and_a_unix_socket_at_once(start: Start, tmp_path: Path) -> None:
    server = start(bind=["127.0.0.1:0", f"unix:{tmp_path}/app.sock"])
    assert [server.get(at=0), server.get(at=1)] == [str(pid) for pid in server.workers()] * 2


def test_names_the_real_ports_on_the_ready_line(start: Start, tmp_path: Path) -> None:
    server = start(bind=["127.0.0.1:0", f"unix:{tmp_path}/app.sock", f"unix:@{tmp_path}/x"], wait=False)
    word, tcp, *rest = server.ready_line().split()
    assert ("ready", [f"unix:{tmp_path}/app.sock", f"unix:@{tmp_path}/x"]) == (word, rest)
    assert int(tcp.rpartition(":")[2]) > 0


def test_says_ready_only_when_every_worker_is(start: Start) -> None:
    server = start(workers=3)
    assert 3 == len(server.workers())
    assert "ready: 3 workers, 4 threads each" in server.log()


def test_names_its_threads(start: Start) -> None:
    server = start(threads=2)
    # A worker is ready before the last of its threads runs.
    until(lambda: "MainThread lasthop-0 lasthop-1" == server.get("/threads"))


def test_one_thread_serves_in_the_main_thread(start: Start) -> None:
    server = start(threads=1)
    until(lambda: "MainThread lasthop-control" == server.get("/threads"))
    server.send(signal.SIGTERM)
    assert 0 == server.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("threads", [1, 4])
def test_ends_with_0_when_it_is_told_to(start: Start, number: signal.Signals, threads: int) -> None:
    server = start(workers=2, threads=threads)
    workers = server.workers()
    server.send(number)
    assert 0 == server.wait()
    assert not any(is_there(pid) for pid in workers)


def test_a_request_in_flight_is_answered_after_term(start: Start) -> None:
    server = start()
    connection = server.connect()
    connection.request("GET", "/sleep?0.5")
    until(lambda: connection_was_accepted(server.workers(), connection))
    server.send(signal.SIGTERM)
    assert 200 == connection.getresponse().status
    assert 0 == server.wait()


def connection_was_accepted(workers: set[int], connection: Connection) -> bool:
    """Whether a worker has the other end: its socket is among the worker's descriptors."""
    port = connection.sock.getsockname()[1]
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[2].rpartition(":")[2], 16) == port and words[9] != "0":
            inodes.add(f"socket:[{words[9]}]")
    return any(each in inodes for pid in workers for each in descriptors(pid))


def descriptors(pid: int) -> list[str]:
    """What a process has open."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(each.readlink()))
    return found


def refused(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port))).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_request_that_takes_too_long_is_cut_off_by_the_graceful_timeout(start: Start) -> None:
    server = start(graceful_timeout=0.5)
    connection = server.connect()
    connection.request("GET", "/sleep?60")
    until(lambda: connection_was_accepted(server.workers(), connection))
    server.send(signal.SIGTERM)
    assert 0 == server.wait()
    assert "has not ended in time; killing it" in server.log()


def test_while_the_last_requests_are_answered_new_connections_are_refused(
    start: Start, tmp_path: Path
) -> None:
    server = start(workers=2, bind=["127.0.0.1:0", f"unix:{tmp_path}/app.sock"])
    connection = server.connect()
    connection.request("GET", "/sleep?1")
    until(lambda: connection_was_accepted(server.workers(), connection))
    server.send(signal.SIGTERM)
    until(lambda: refused(server.addresses[0]))
    assert not (tmp_path / "app.sock").exists()
    assert 200 == connection.getresponse().status
    assert 0 == server.wait()


def test_a_server_can_be_started_while_the_orphans_of_a_killed_one_still_answer(
    start: Start, tmp_path: Path
) -> None:
    first = start(bind=[f"unix:{tmp_path}/app.sock"])
    busy, idle = first.connect(), first.connect()
    busy.request("GET", "/sleep?1.5")
    idle.request("GET", "/")
    idle.getresponse().read()
    os.kill(first.pid, signal.SIGKILL)
    second = start(bind=[f"unix:{tmp_path}/app.sock"])
    assert str(second.workers().pop()) == second.get()
    assert 200 == busy.getresponse().status


@pytest.mark.parametrize("preload", [False, True])
def test_what_still_imports_ends_with_a_killed_supervisor(
    start: Start, tmp_path: Path, preload: bool
) -> None:
    (tmp_path / "hanging.py").write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n"
    )
    server = start("hanging:application", pythonpath=[str(tmp_path)], preload=preload, wait=False)
    until(lambda: any(signals_ignored(pid) & 1 << signal.SIGTERM - 1 for pid in server.workers()))
    workers = server.workers()
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not any(map(is_there, workers)))


def signals_ignored(pid: int) -> int:
    """As a mask: bit 0 is signal 1."""
    try:
        return int(Path(f"/proc/{pid}/status").read_text().partition("SigIgn:")[2].split()[0], 16)
    except (OSError, IndexError):
        return 0


def test_a_second_term_stops_quickly(start: Start) -> None:
    server = start(graceful_timeout=600)
    connection = server.connect()
    connection.request("GET", "/sleep?60")
    until(lambda: connection_was_accepted(server.workers(), connection))
    server.send(signal.SIGTERM)
    server.wait_log("stopping")
    server.send(signal.SIGTERM)
    assert 0 == server.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_whoever_goes_on_asking_for_the_end_makes_no_failure_of_it(
    start: Start, number: signal.Signals
) -> None:
    server = start()

    def asked_again() -> bool:
        server.send(number)
        return server.process.poll() is not None

    until(asked_again)
    assert 0 == server.wait()


def test_a_failure_of_its_own_is_told_with_its_traceback() -> None:
    """Also while its workers end: that is not what ends it."""
    failing = (
        "import sys, launch\nfrom lasthop.server.supervisor import Supervisor\n"
        "def fails(self): raise LookupError('as it should')\n"
        "Supervisor._announce = fails\nsys.exit(launch.main())"
    )
    settings = json.dumps({"bind": ["127.0.0.1:0"], "workers": 8, "pythonpath": [str(HERE)]})
    command = [sys.executable, "-c", failing, "applications:application", settings]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert 1 == done.returncode
    assert "LookupError: as it should" in done.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ImportError('no settings')", "ImportError: no settings"),
        (
            "async def application(scope, receive, send):\n"
            "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})",
            "no database",
        ),
    ],
)
@pytest.mark.parametrize("preload", [False, True])
def test_a_thread_that_is_left_does_not_hold_the_reason_back(
    start: Start, tmp_path: Path, code: str, words: str, preload: bool
) -> None:
    (tmp_path / "leaves.py").write_text(
        f"import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()\n{code}\n"
    )
    server = start("leaves:application", pythonpath=[str(tmp_path)], preload=preload, wait=False)
    assert 4 == server.wait()
    assert words in server.log()


def test_programs_that_the_application_starts_hear_what_they_always_hear(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "starts.py").write_text(
        "import subprocess\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [subprocess.check_output(['grep', 'SigIgn', '/proc/self/status'])]\n"
    )
    server = start("starts:application", pythonpath=[str(tmp_path)])
    ignored = int(server.get().split()[1], 16)
    assert not ignored & (1 << signal.SIGHUP - 1 | 1 << signal.SIGUSR2 - 1)
    (worker,) = server.workers()
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU):
        os.kill(worker, number)  # as a terminal does
    assert "SigIgn" in server.get()
    assert {worker} == server.workers()


def test_a_log_that_nobody_reads_keeps_nobody_from_the_end(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    pipe = os.open(tmp_path / "log", os.O_RDWR | os.O_NONBLOCK)
    page = os.sysconf("SC_PAGESIZE")
    size = fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 2 * page)
    server = start(error_logfile=str(tmp_path / "log"), log_level="info")
    os.read(pipe, size)
    os.write(pipe, bytes(page))  # "stopping" gets the other one, and then it takes nothing

    def asked_again() -> bool:
        server.send(signal.SIGTERM)
        return server.process.poll() is not None

    until(asked_again)
    assert 0 == server.wait()
    assert b"stopping" in os.read(pipe, size)
    os.close(pipe)


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_log_that_is_full_all_the_time_keeps_nobody_from_hearing(
    start: Start, tmp_path: Path, asked: signal.Signals
) -> None:
    os.mkfifo(tmp_path / "log")
    pipe = os.open(tmp_path / "log", os.O_RDWR | os.O_NONBLOCK)
    size = fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, os.sysconf("SC_PAGESIZE"))
    server = start(error_logfile=str(tmp_path / "log"), log_level="info")
    os.read(pipe, size)
    os.write(pipe, bytes(size))
    before = server.workers()
    for each in before:
        os.kill(each, signal.SIGKILL)
    until(lambda: len(server.workers() - before) == 1)
    server.send(asked)
    assert 0 == server.wait()
    assert bytes(size) == os.read(pipe, size)
    os.close(pipe)


def test_the_socket_file_is_gone_after_the_end(start: Start, tmp_path: Path) -> None:
    server = start(bind=[f"unix:{tmp_path}/app.sock"])
    server.send(signal.SIGTERM)
    assert 0 == server.wait()
    assert not (tmp_path / "app.sock").exists()


def test_a_second_instance_is_refused_and_the_first_goes_on(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/app.sock"])
    second = start(bind=[f"unix:{tmp_path}/app.sock"], wait=False)
    assert 1 == second.wait()
    assert f"pid {first.pid}" in second.log()
    assert str(first.workers().pop()) == first.get()


def test_starts_again_after_everything_was_killed(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/app.sock"])
    first.end()
    second = start(bind=[f"unix:{tmp_path}/app.sock"])
    assert str(second.workers().pop()) == second.get()


def test_workers_finish_and_leave_when_the_supervisor_was_killed(start: Start, tmp_path: Path) -> None:
    first = start(bind=[f"unix:{tmp_path}/app.sock"], workers=2)
    workers = first.workers()
    connection = first.connect()
    connection.request("GET", "/sleep?0.3")
    time.sleep(
        0.1
    )  # over unix: nothing shows that it was accepted; if it was not yet, it is served all the same
    os.kill(first.pid, signal.SIGKILL)
    assert 200 == connection.getresponse().status
    until(lambda: not any(is_there(pid) for pid in workers))
    second = start(bind=[f"unix:{tmp_path}/app.sock"])
    assert str(second.workers().pop()) == second.get()


def test_a_worker_that_was_killed_is_replaced(start: Start) -> None:
    server = start(workers=2)
    killed = server.workers().pop()
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(server.workers() - {killed}) == 2)
    assert server.get() in {str(pid) for pid in server.workers()}
    assert f"worker {killed} was ended by SIGKILL" in server.log()


def test_a_preloaded_worker_that_was_killed_is_replaced(start: Start) -> None:
    server = start(workers=2, preload=True)
    killed = int(server.get())
    os.kill(killed, signal.SIGKILL)
    server.wait_log("is ready", times=3)
    assert killed != int(server.get())
    server.send(signal.SIGTERM)
    assert 0 == server.wait()


def test_preload_imports_once_for_all_workers(start: Start, tmp_path: Path) -> None:
    (tmp_path / "counted.py").write_text(
        f"open({str(tmp_path / 'imports')!r}, 'a').write('x')\n" + VERSIONED.format(length=2, text="ok")
    )
    server = start("counted:application", pythonpath=[str(tmp_path)], workers=3, preload=True)
    assert ("ok", "x") == (server.get(), (tmp_path / "imports").read_text())


def test_a_preloading_server_loads_new_code_on_hup(start: Start, tmp_path: Path) -> None:
    write_version(tmp_path, "old")
    server = start("versioned:application", pythonpath=[str(tmp_path)], preload=True)
    assert "old" == server.get()
    write_version(tmp_path, "new")
    server.send(signal.SIGHUP)
    server.wait_log("reloaded")
    assert "new" == server.get()


def test_reloaded_is_said_when_the_old_code_accepts_nobody_any_more(start: Start, tmp_path: Path) -> None:
    write_version(tmp_path, "old")
    server = start("versioned:application", pythonpath=[str(tmp_path)])
    (old,) = server.workers()
    hold_still(old)
    try:
        write_version(tmp_path, "new")
        server.send(signal.SIGHUP)
        assert "new" == server.get()  # from the queue that both share
        server.send(signal.SIGTTIN)
        server.wait_log("2 workers, 4 threads each from now on")
        assert "reloaded" not in server.log()
    finally:
        os.kill(old, signal.SIGCONT)
    server.wait_log("reloaded")


def test_a_reload_gives_the_socket_file_its_new_mode(start: Start, tmp_path: Path) -> None:
    later = tmp_path / "later.json"
    bind = [f"unix:{tmp_path}/s"]
    server = start("applications:application", bind=bind, socket_mode="0600", later=str(later))
    assert 0o600 == stat.S_IMODE((tmp_path / "s").stat().st_mode)
    assert f"listening at unix:{tmp_path}/s (mode 0600)" in server.log()
    later.write_text(json.dumps({"bind": bind, "socket_mode": "0660", "pythonpath": [str(HERE)]}))
    server.send(signal.SIGHUP)
    server.wait_log("reloaded")
    assert 0o660 == stat.S_IMODE((tmp_path / "s").stat().st_mode)


@pytest.mark.parametrize("preload", [False, True])
def test_hup_under_load_changes_the_code_and_loses_no_request(
    start: Start, tmp_path: Path, preload: bool
) -> None:
    write_version(tmp_path, "old")
    server = start("versioned:application", pythonpath=[str(tmp_path)], workers=2, preload=preload)
    load = Load(server.addresses[0])
    load.wait_for(50)
    write_version(tmp_path, "new")
    for times in (1, 2, 3):
        server.send(signal.SIGHUP)
        server.wait_log("reloaded", times)
        load.wait_for(50)
    load.stop()
    assert ([], {"old", "new"}) == (load.lost, load.bodies)
    assert "new" == server.get()


def test_hup_with_code_that_cannot_be_imported_keeps_the_old(start: Start, tmp_path: Path) -> None:
    write_version(tmp_path, "old")
    server = start("versioned:application", pythonpath=[str(tmp_path)], workers=2)
    workers = server.workers()
    (tmp_path / "versioned.py").write_text("import a_module_that_is_missing\n")
    server.send(signal.SIGHUP)
    server.wait_log("cannot be served")
    until(lambda: server.workers() == workers)
    assert "old" == server.get()
    assert "a_module_that_is_missing" in server.log()


def test_hup_reads_the_settings_again(start: Start, tmp_path: Path) -> None:
    later = tmp_path / "later.json"
    server = start(later=str(later))
    later.write_text(f'{{"bind": ["unix:{tmp_path}/new.sock"], "workers": 2, "threads": 4}}')
    server.send(signal.SIGHUP)
    server.wait_log("reloaded: 2 workers")
    server.addresses.append(f"unix:{tmp_path}/new.sock")
    assert server.get(at=1) in {str(pid) for pid in server.workers()}
    until(lambda: refused(server.addresses[0]))


def test_hup_with_settings_that_are_wrong_keeps_the_old(start: Start, tmp_path: Path) -> None:
    later = tmp_path / "later.json"
    server = start(later=str(later))
    later.write_text('{"bind": ["unix:/a/directory/that/is/missing/app.sock"], "threads": 4}')
    server.send(signal.SIGHUP)
    server.wait_log("not reloaded")
    assert "the directory /a does not exist" in server.log()
    assert str(server.workers().pop()) == server.get()


@pytest.mark.parametrize("preload", [False, True])
@pytest.mark.parametrize(
    ("code", "exit_code", "says"),
    [
        ("import a_module_that_is_missing", 4, "a_module_that_is_missing"),
        ("app = 1", 4, "application"),
        ("import os; os._exit(9)", 3, "ended with code 9 before it was ready"),
        ("import sys; sys.exit(2)", 4, "SystemExit"),
    ],
)
def test_a_server_whose_workers_cannot_boot_ends_and_says_why_once(
    start: Start, tmp_path: Path, code: str, exit_code: int, says: str, preload: bool
) -> None:
    (tmp_path / "broken.py").write_text(code)
    server = start("broken:application", pythonpath=[str(tmp_path)], workers=3, preload=preload, wait=False)
    assert exit_code == server.wait()
    assert 1 == server.log().count("[ERROR]")
    assert says in server.log()
    assert "" == server.ready_line()


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(0, id="at once"),
        pytest.param(0.2, id="after another thread has begun to wait for events"),
    ],
)
def test_a_worker_that_is_stuck_writes_where_it_stands_and_is_replaced(start: Start, seconds: float) -> None:
    server = start(timeout=1)
    stuck = server.workers().pop()
    connection = server.connect()
    connection.request("GET", f"/spin?{seconds}")
    server.wait_log(f"worker {stuck} is stuck")
    until(lambda: bool(server.workers() - {stuck}) and stuck not in server.workers())
    server.wait_log("is ready", times=2)
    assert "hold_the_interpreter" in server.log()
    assert str(server.workers().pop()) == server.get()


def test_a_worker_is_replaced_after_max_requests_and_no_request_is_lost(start: Start) -> None:
    server = start(workers=2, max_requests=100, max_requests_jitter=50)
    first = server.workers()
    load = Load(server.addresses[0])
    until(lambda: not (first & server.workers()) or bool(load.lost))
    load.stop()
    assert [] == load.lost
    assert "has served as many requests as it should" in server.log()


def test_ttin_and_ttou_change_the_number_of_workers(start: Start) -> None:
    server = start(workers=1)
    server.send(signal.SIGTTIN)
    until(lambda: len(server.workers()) == 2)
    server.wait_log("is ready", times=2)
    server.send(signal.SIGTTOU)
    until(lambda: len(server.workers()) == 1)
    server.send(signal.SIGTTOU)
    server.wait_log("1 worker, 4 threads from now on", times=2)
    assert str(server.workers().pop()) == server.get()


def test_usr1_reopens_the_logs(start: Start, tmp_path: Path) -> None:
    access, errors = tmp_path / "access", tmp_path / "errors"
    server = start(access_logfile=str(access), error_logfile=str(errors))
    server.get("/before")
    until(lambda: "GET /before HTTP/1.1" in access.read_text())
    for each in (access, errors):
        each.rename(each.with_suffix(".1"))
    server.send(signal.SIGUSR1)
    until(lambda: access.exists() and errors.exists())
    # The supervisor has reopened them; the worker does when it hears its signal.
    until(lambda: bool(server.get("/after")) and "GET /after HTTP/1.1" in access.read_text())


def test_usr2_is_not_deadly(start: Start) -> None:
    server = start()
    server.send(signal.SIGUSR2)
    server.wait_log("SIGUSR2 has no meaning")
    assert str(server.workers().pop()) == server.get()


def test_workers_that_die_again_and_again_are_started_ever_more_slowly(start: Start, tmp_path: Path) -> None:
    flag = tmp_path / "die"
    (tmp_path / "dying.py").write_text(
        f"import os\nif os.path.exists({str(flag)!r}): os._exit(5)\n" + VERSIONED.format(length=2, text="ok")
    )
    server = start("dying:application", pythonpath=[str(tmp_path)])
    flag.touch()
    os.kill(server.workers().pop(), signal.SIGKILL)
    server.wait_log("ended with code 5 before it was ready")
    server.wait_log("starting another")
    server.wait_log("[ERROR]", times=5)  # its death, and what followed at 0, 0.1, 0.2 and 0.4 seconds
    marks = [line for line in server.log().splitlines() if "[ERROR]" in line]
    assert 5 == len(marks)
    flag.unlink()
    until(lambda: server.log().count("is ready") == 2)
    assert "ok" == server.get()


def test_kill_9_of_workers_under_load_loses_only_what_was_in_flight_there(start: Start) -> None:
    server = start(workers=3)
    load = Load(server.addresses[0], connections=6)
    for _ in range(5):
        load.wait_for(20)
        load.lost.clear()
        killed = min(server.workers())
        os.kill(killed, signal.SIGKILL)
        server.wait_log(f"worker {killed} was ended by SIGKILL")
        until(lambda: len(server.workers()) == 3)
        # Six connections, each with at most one request in flight; one more each when it was connected and not yet accepted.
        assert len(load.lost) <= 12
    load.stop()
    until(lambda: len(server.workers()) == 3)
    server.send(signal.SIGTERM)
    assert 0 == server.wait()


def test_the_ready_descriptor_is_closed_in_workers_too(start: Start) -> None:
    server = start(wait=False)
    assert server.ready_line().startswith(
        "ready 127.0.0.1:"
    )  # read to its end, with everything still running
    assert server.process.poll() is None


def test_several_workers_are_told_to_the_application(start: Start) -> None:
    assert "True" == start(workers=2).get("/environ?wsgi.multiprocess")
    assert "False" == start(workers=1).get("/environ?wsgi.multiprocess")


def test_a_factory_is_called_with_its_arguments(start: Start) -> None:
    assert "moin" == start("applications:create('moin')").get()


def test_chdir_holds_for_the_application_and_for_relative_paths(start: Start, tmp_path: Path) -> None:
    write_version(tmp_path, "here")
    server = start("versioned:application", chdir=str(tmp_path), bind=["unix:app.sock"], pythonpath=[])
    assert "here" == server.get()
    assert (tmp_path / "app.sock").is_socket()


def test_a_relative_chdir_means_the_same_on_every_hup(start: Start, tmp_path: Path) -> None:
    write_version(tmp_path, "here")
    relative = os.path.relpath(tmp_path)
    server = start("versioned:application", chdir=relative, pythonpath=[])
    for times in (1, 2):
        server.send(signal.SIGHUP)
        server.wait_log("reloaded", times)
    assert "here" == server.get()


def test_a_chdir_that_leads_nowhere_ends_the_start(start: Start, tmp_path: Path) -> None:
    server = start(chdir=str(tmp_path / "missing"), wait=False)
    assert 1 == server.wait()
    assert f"{tmp_path}/missing" in server.log()


def test_pythonpath_comes_before_the_working_directory(start: Start, tmp_path: Path) -> None:
    for name in ("first", "second", "here"):
        (tmp_path / name).mkdir()
        write_version(tmp_path / name, name)
    paths = [str(tmp_path / "first"), str(tmp_path / "second")]
    assert "first" == start("versioned:application", chdir=str(tmp_path / "here"), pythonpath=paths).get()


def test_hup_with_code_that_cannot_be_imported_closes_the_addresses_that_it_opened(
    start: Start, tmp_path: Path
) -> None:
    write_version(tmp_path, "old")
    later = tmp_path / "later.json"
    server = start("versioned:application", pythonpath=[str(tmp_path)], later=str(later))
    (tmp_path / "versioned.py").write_text("1 / 0")
    settings = {
        "bind": ["127.0.0.1:0", f"unix:{tmp_path}/new.sock"],
        "threads": 4,
        "pythonpath": [str(tmp_path)],
    }
    later.write_text(json.dumps(settings))
    server.send(signal.SIGHUP)
    server.wait_log("cannot be served")
    assert not (tmp_path / "new.sock").exists()
    assert "old" == server.get()


def test_an_address_that_is_wrong_ends_the_start(start: Start) -> None:
    server = start(bind=["8000"], wait=False)
    assert 1 == server.wait()
    assert "127.0.0.1:8000" in server.log()


def test_lines_of_several_workers_never_mix(start: Start, tmp_path: Path) -> None:
    access = tmp_path / "access"
    server = start(workers=3, access_logfile=str(access), access_logformat="json")
    loads = [Load(server.addresses[0]) for _ in range(2)]
    loads[0].wait_for(300)
    for load in loads:
        load.stop()
    wanted = sum(load.replies for load in loads)
    until(lambda: len(access.read_text().splitlines()) == wanted)
    assert {200} == {json.loads(line)["status"] for line in access.read_text().splitlines()}


def test_auto_starts_as_many_workers_as_processors_may_be_used(start: Start) -> None:
    assert usable_processors() == len(start(workers="auto").workers())


def test_an_idle_worker_is_not_stuck(start: Start) -> None:
    server = start(timeout=0.5, threads=2)
    (worker,) = server.workers()
    sleeping = server.connect()
    sleeping.request("GET", "/sleep?2")  # one thread waits in the application, the other has nothing to do
    assert 200 == sleeping.getresponse().status
    assert {worker} == server.workers()
