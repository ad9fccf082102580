"""A worker by itself: what it does with signals of its own, and systemd's sockets through the whole server."""

import os
import signal
import socket
from pathlib import Path

import pytest

from lasthop.server.worker import _requests_until_retired

from .conftest import Start, until


def test_the_jitter_is_each_workers_own() -> None:
    drawn = {_requests_until_retired(1000, 100) for _ in range(1000)}
    assert len(drawn) > 10
    assert 1000 <= min(drawn) <= max(drawn) <= 1100


@pytest.mark.parametrize(("requests", "jitter", "expected"), [(0, 0, 0), (0, 50, 0), (1000, 0, 1000)])
def test_without_a_limit_or_a_jitter_nothing_is_drawn(requests: int, jitter: int, expected: int) -> None:
    assert expected == _requests_until_retired(requests, jitter)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_worker_that_is_told_to_leave_by_hand_is_replaced(start: Start, threads: int) -> None:
    server = start(threads=threads)
    (first,) = server.workers()
    os.kill(first, signal.SIGTERM)
    until(lambda: bool(server.workers() - {first}) and first not in server.workers())
    server.wait_log("is ready", times=2)
    assert str(server.workers().pop()) == server.get()


def test_signals_of_a_terminal_do_nothing_to_workers(start: Start) -> None:
    server = start()
    (worker,) = server.workers()
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2):
        os.kill(worker, number)
    assert str(worker) == server.get()


def test_ctrl_c_to_the_whole_group_ends_it_without_a_word_of_surprise(start: Start) -> None:
    server = start(workers=3)
    os.killpg(server.pid, signal.SIGINT)
    assert 0 == server.wait()
    assert "[ERROR]" not in server.log()


def test_atexit_runs_in_a_worker(start: Start, tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text(
        "import atexit, os, pathlib\n"
        f"atexit.register(lambda: pathlib.Path({str(tmp_path)!r}, 'left').write_text(str(os.getpid())))\n"
        "from applications import application\n"
    )
    here = str(Path(__file__).parent)
    server = start("leaving:application", pythonpath=[str(tmp_path), here])
    (worker,) = server.workers()
    server.send(signal.SIGTERM)
    assert 0 == server.wait()
    assert str(worker) == (tmp_path / "left").read_text()


def test_listens_on_a_socket_that_was_inherited_by_number(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as made:
        number = made.fileno()
        server = start(bind=[f"fd:{number}"], pass_fds=(number,))
        assert [f"127.0.0.1:{made.getsockname()[1]}"] == server.addresses
        assert str(server.workers().pop()) == server.get()


def test_systemds_sockets_are_served_and_outlive_the_server(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "activated"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen()
        server = start(bind=["systemd"], as_systemd=[made.fileno()])
        assert [f"unix:{path}"] == server.addresses
        assert str(server.workers().pop()) == server.get()
        assert ["None"] * 2 == [server.get("/os?LISTEN_FDS"), server.get("/os?LISTEN_PID")]
        server.send(signal.SIGTERM)
        assert 0 == server.wait()
        assert path.exists()
        with socket.socket(socket.AF_UNIX) as early:
            early.connect(str(path))  # waits in systemd's queue
            again = start(bind=["systemd"], as_systemd=[made.fileno()])
            early.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            early.settimeout(20)
            assert b"HTTP/1.1 200 OK\r\n" == early.recv(17)
        assert str(again.workers().pop()) == again.get()
