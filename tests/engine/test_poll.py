"""Accepting: up to a number of connections, as long as there are descriptors; and the clock of replies."""

import re
import subprocess
import sys
import threading
import time
from email.utils import parsedate_to_datetime

from tests.engine.conftest import Run
from tests.engine.running import PATIENCE, Link, get, hello
from tests.engine.test_connection import wait_until


def test_accepting_stops_at_max_connections_and_goes_on_below(run: Run, threads: int, link: Link) -> None:
    running = run(hello, threads, max_connections=5)
    peers = [running.connect(link) for _ in range(5)]
    for peer in peers:
        assert 200 == peer.send(get()).reply().status
    late = [running.send(get(), link) for _ in range(3)]
    wait_until(lambda: not running.engine.accepting)
    assert [True] * 3 == [peer.is_silent(0.05) for peer in late]
    assert 5 == running.counters["connections"]
    for peer, waiting in zip(peers, late, strict=False):
        peer.close()
        assert 200 == waiting.reply().status
    late[0].close()
    wait_until(lambda: running.engine.accepting)
    assert 8 == running.counters["accepted"]


def test_connections_are_counted_while_they_are_open(run: Run, threads: int) -> None:
    running = run(hello, threads)
    peers = [running.connect("tcp") for _ in range(40)]
    wait_until(lambda: running.counters["connections"] == 40)
    for peer in peers:
        peer.close()
    wait_until(lambda: running.counters["connections"] == 0)
    assert 40 == running.counters["accepted"]


def test_more_connections_than_events_are_taken_at_once(run: Run, threads: int) -> None:
    running = run(hello, threads)
    peers = [running.connect("tcp" if number % 2 else "unix") for number in range(300)]
    for _ in range(3):
        for peer in peers:
            peer.send(get())
        assert [200] * 300 == [peer.reply().status for peer in peers]


SHORT_OF_DESCRIPTORS = """
import os, resource, socket, sys, threading
from lasthop.engine import Engine
listener = socket.create_server(("127.0.0.1", 0))
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
engine = Engine(application, [(listener.fileno(), "a", "b")], threads=int(sys.argv[1]))
threads = [threading.Thread(target=engine.serve) for _ in range(int(sys.argv[1]))]
for thread in threads:
    thread.start()
limit = len(os.listdir("/proc/self/fd")) + 3
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
print(listener.getsockname()[1], flush=True)
sys.stdin.readline()
cpu = os.times()
print(cpu.user + cpu.system, engine.counters()["accepted"], flush=True)
sys.stdin.readline()
engine.drain(0)
for thread in threads:
    thread.join()
print(engine.counters()["connections"], flush=True)
engine.close()
"""


def test_without_descriptors_accepting_rests_and_recovers(run: Run, threads: int) -> None:
    import socket

    process = subprocess.Popen(
        [sys.executable, "-c", SHORT_OF_DESCRIPTORS, str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    with process:
        port = int(process.stdout.readline())
        peers = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(12)]
        answered = []
        for number, peer in enumerate(peers):
            peer.sendall(get("/", "Connection: close"))
            peer.settimeout(PATIENCE if number < 2 else 0.3)
        # Each that is answered is closed by the engine, and makes room for one that waits.
        for peer in peers:
            peer.settimeout(PATIENCE)
            received = b""
            while data := peer.recv(65536):
                received += data
            answered.append(received.endswith(b"hello"))
            peer.close()
        assert [True] * 12 == answered
        idle = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(8)]
        time.sleep(0.6)  # in which an engine that tries again and again would use all the CPU time it gets
        process.stdin.write("\n")
        process.stdin.flush()
        used, accepted = process.stdout.readline().split()
        assert int(accepted) < 20
        assert float(used) < 0.5
        for peer in idle:
            peer.close()
        process.stdin.write("\n")
        process.stdin.flush()
        assert 0 == int(process.stdout.readline())
    assert 0 == process.returncode


def test_the_date_is_now_and_well_formed(run: Run, threads: int) -> None:
    running = run(hello, threads)
    before = int(time.time()) - 1
    date = running.ask()["date"]
    assert date is not None
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)
    assert before <= parsedate_to_datetime(date).timestamp() <= time.time()
    threading.Event().wait(1.1)
    assert running.ask()["date"] != date
