"""The engine's life: what it takes to be made, to serve, to drain, to stop, to be closed; retirement, signals and forks."""

import gc
import json
import mmap
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from lasthop import engine as compiled
from lasthop.engine import SLOT_FIELDS, SLOT_SIZE, Limits
from tests.engine.conftest import Run, open_descriptors
from tests.engine.running import PATIENCE, Environ, Running, Start, get, hello, post
from tests.engine.test_connection import wait_until

Engine: Any = compiled.Engine


def test_an_engine_that_never_serves_leaves_nothing() -> None:
    gc.collect()
    before = open_descriptors()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        engine = Engine(hello, [(listener.fileno(), "a", "b")])
        engine.close()
        engine.close()
        Engine(hello, [])  # let go of without a word
    gc.collect()
    assert before == open_descriptors()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"listeners": [(-1, "a", "b")]}, OSError),
        ({"listeners": [(0, "a", "b")] * 65}, ValueError),
        ({"listeners": [(1 << 40, "a", "b")]}, OverflowError),
        ({"slot": bytearray(8)}, ValueError),
        ({"slot": b"x" * SLOT_SIZE}, (TypeError, BufferError, ValueError)),
        ({"limits": Limits(head=-1)}, OverflowError),
    ],
)
def test_what_it_cannot_be_made_of_is_refused_and_leaves_nothing(options: Any, error: Any) -> None:
    gc.collect()
    before = open_descriptors()
    with pytest.raises(error):
        Engine(hello, **{"listeners": [], **options})
    gc.collect()
    assert before == open_descriptors()


def test_close_is_refused_while_a_thread_serves(run: Run) -> None:
    running = run(hello)
    assert 200 == running.ask().status
    with pytest.raises(RuntimeError):
        running.engine.close()


def test_serve_is_refused_when_the_engine_is_closed() -> None:
    engine = Engine(hello, [])
    engine.close()
    with pytest.raises(RuntimeError):
        engine.serve()


def test_the_counters_stand_in_the_slot(run: Run, threads: int) -> None:
    with mmap.mmap(-1, SLOT_SIZE) as slot:
        running = run(hello, threads, slot=slot)
        peer = running.connect()
        for _ in range(3):
            assert 200 == peer.send(get()).reply().status
        assert 400 == running.ask(b"bad\r\n\r\n").status
        peer.close()
        running.finish()
        with memoryview(slot).cast("Q") as numbers:
            found = dict(zip(SLOT_FIELDS, numbers.tolist(), strict=False))
        del running.engine
        gc.collect()
    assert {"requests": 3, "accepted": 2, "refused": 1, "connections": 0, "busy": 0, "errors": 0} == {
        key: found[key] for key in ("requests", "accepted", "refused", "connections", "busy", "errors")
    }
    assert len(SLOT_FIELDS) * 8 <= SLOT_SIZE


# Draining.


def test_drain_without_connections_ends_at_once(run: Run, threads: int) -> None:
    running = run(hello, threads)
    assert 200 == running.ask(get("/", "Connection: close")).status
    running.engine.drain(PATIENCE * 10)
    assert (True, False) == (running.has_ended(), running.engine.accepting)


def test_drain_answers_what_is_in_the_application(run: Run, threads: int) -> None:
    release = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        release.wait(PATIENCE)
        return hello(environ, start_response)

    running = run(application, threads)
    peers = [running.send(get()) for _ in range(threads)]
    wait_until(lambda: running.counters["busy"] == threads)
    running.engine.drain(0)
    assert not running.has_ended(0.05)
    release.set()
    assert [("close", b"hello")] * threads == [
        (reply["connection"], reply.body) for reply in (peer.reply() for peer in peers)
    ]
    assert running.has_ended()


def test_drain_answers_what_waits_in_the_queue(run: Run, threads: int) -> None:
    release = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        release.wait(PATIENCE)
        return hello(environ, start_response)

    running = run(application, threads)
    peers = [running.send(get(), "tcp" if number % 2 else "unix") for number in range(threads + 20)]
    running.engine.drain(0)
    release.set()
    assert [b"hello"] * len(peers) == [peer.reply().body for peer in peers]
    assert running.has_ended()


def test_drain_answers_what_still_comes_and_says_close(run: Run, threads: int) -> None:
    running = run(hello, threads)
    peers = [running.connect() for _ in range(5)]
    for peer in peers:
        assert None is peer.send(get()).reply()["connection"]
    running.engine.drain(PATIENCE)
    for peer in peers:
        reply = peer.send(get()).reply()
        assert ("close", b"hello", b"") == (reply["connection"], reply.body, peer.rest())
    assert running.has_ended()


def test_drain_closes_idle_connections_after_their_time(run: Run, threads: int) -> None:
    running = run(hello, threads)
    idle, fresh = running.connect(), running.connect()
    assert 200 == idle.send(get()).reply().status
    begun = time.monotonic()
    running.engine.drain(0.5)
    assert (b"", b"") == (idle.rest(), fresh.rest())
    assert 0.4 < time.monotonic() - begun < PATIENCE / 2
    assert running.has_ended()


def test_drain_waits_for_a_body_and_for_a_slow_reader(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read() * 100]

    running = run(application, threads)
    sending, reading = running.connect(), running.connect()
    half = post(b"x" * 60_000)
    sending.send(half[:30_000])
    reading.send(half)
    reading.socket.recv(1, socket.MSG_PEEK)
    running.engine.drain(0)
    sending.send(half[30_000:])
    assert [6_000_000] * 2 == [len(peer.reply().body) for peer in (sending, reading)]
    assert running.has_ended()


def test_drain_refuses_nobody_who_connects_to_another(run: Run, short_directory: Path) -> None:
    """The listener is not closed, only let go of: another engine takes what comes from now on."""
    running = run(hello)
    other = Engine(hello, [(listener.fileno(), "a", "b") for listener in running.listeners[:1]])
    assert 200 == running.ask(get("/", "Connection: close")).status
    running.engine.drain(0)
    late = running.send(get())
    assert running.has_ended()
    thread = threading.Thread(target=other.serve)
    thread.start()
    assert 200 == late.reply().status
    late.close()
    other.drain(0)
    thread.join()
    other.close()


def test_drain_from_the_application(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        running.engine.drain(0)
        return hello(environ, start_response)

    running = run(application, threads)
    reply = running.ask()
    assert ("close", b"hello", True) == (reply["connection"], reply.body, running.has_ended())


def test_drain_under_load_loses_no_request(run: Run, threads: int) -> None:
    """Each request that was sent before the reply before it said `close` is answered."""
    running = run(hello, threads)
    served = []
    under_way = threading.Barrier(9)

    def ask() -> None:
        peer = running.connect("tcp")
        count = 0
        while True:
            reply = peer.send(get()).reply()
            assert b"hello" == reply.body
            count += 1
            if count == 1:
                under_way.wait(PATIENCE)  # who connects after the drain is another matter
            if reply["connection"] == "close":
                break
        served.append(count)

    asking = [threading.Thread(target=ask) for _ in range(8)]
    for thread in asking:
        thread.start()
    under_way.wait(PATIENCE)
    wait_until(lambda: running.counters["requests"] > 200)
    running.engine.drain(PATIENCE)
    for thread in asking:
        thread.join()
    assert (8, True) == (len(served), running.has_ended())


# Stopping.


def test_stop_ends_threads_that_wait(run: Run, threads: int) -> None:
    running = run(hello, threads)
    peer = running.send(get())
    assert 200 == peer.reply().status
    running.engine.stop()
    assert running.has_ended()
    running.engine.close()
    assert b"" == peer.rest()
    assert 0 == running.counters["connections"]


def test_stop_lets_the_request_in_hand_end(run: Run, threads: int) -> None:
    release = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        release.wait(PATIENCE)
        return hello(environ, start_response)

    running = run(application, threads)
    peers = [running.send(get()) for _ in range(threads)]
    wait_until(lambda: running.counters["busy"] == threads)
    waiting = running.send(get())
    running.engine.stop()
    assert not running.has_ended(0.02)
    release.set()
    assert [b"hello"] * threads == [peer.reply().body for peer in peers]
    assert running.has_ended()
    running.engine.close()
    assert b"" == waiting.rest()


def test_stop_ends_an_application_that_waits_for_its_peer(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        if environ["REQUEST_METHOD"] == "POST":
            return [environ["wsgi.input"].read()]
        return (b"x" * 10_000 for _ in range(10_000))

    for data in (get("/", "Content-Length: 1000000", method="POST"), get()):
        running = run(application, threads)
        running.send(data)
        wait_until(lambda running=running: running.counters["busy"] == 1)
        running.engine.stop()
        assert running.has_ended()
        running.engine.close()


def test_stop_while_drain_waits(run: Run, threads: int) -> None:
    running = run(hello, threads)
    peer = running.send(get())
    assert 200 == peer.reply().status
    running.engine.drain(PATIENCE * 10)
    assert not running.has_ended(0.02)
    running.engine.stop()
    assert running.has_ended()


def test_close_lets_go_of_replies_and_files_that_were_not_sent(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10_000_000)
    opened = []

    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/list":
            return [b"x" * 10_000_000]
        opened.append((tmp_path / "file").open("rb"))
        return environ["wsgi.file_wrapper"](opened[0])

    running = run(application)
    for path in ("/list", "/file"):
        running.send(get(path)).socket.recv(1, socket.MSG_PEEK)
    running.send(post(b"half")[:-1])
    running.engine.stop()
    assert running.has_ended()
    running.engine.close()
    assert [True] == [file.closed for file in opened]
    assert 0 == running.counters["connections"]


# Retirement.


@pytest.mark.parametrize("limit", [1, 20])
def test_retirement_is_said_once_and_the_engine_goes_on(run: Run, threads: int, limit: int) -> None:
    said = []
    pause = threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        pause.wait(0.001)
        return hello(environ, start_response)

    running = run(application, threads, max_requests=limit, on_retire=lambda: said.append(1))
    peers = [running.connect() for _ in range(threads * 2)]
    for _ in range(4 + 40 // len(peers)):
        for peer in peers:
            peer.send(get())
        assert [200] * len(peers) == [peer.reply().status for peer in peers]
    running.finish()
    assert [1] == said


def test_retirement_may_drain(run: Run, threads: int) -> None:
    def retire() -> None:
        running.engine.drain(0)

    running: Running = run(hello, threads, max_requests=3, on_retire=retire)
    peer = running.connect()
    assert [None, None] == [peer.send(get()).reply()["connection"] for _ in range(2)]
    assert 200 == peer.send(get()).reply().status
    assert (b"", True) == (peer.rest(), running.has_ended())


def test_a_retirement_that_fails_harms_nobody(run: Run, threads: int) -> None:
    def fail() -> None:
        raise RuntimeError("no retirement")

    running = run(hello, threads, max_requests=1, on_retire=fail)
    peer = running.connect()
    assert [200] * 3 == [peer.send(get()).reply().status for _ in range(3)]
    assert "no retirement" in running.said[0]


# In a process of its own: signals in the main thread, and forks.


class Program(Protocol):
    def __call__(self, *lines: str) -> Any: ...


@pytest.fixture
def program() -> Iterator[Program]:
    """Starts a process whose main thread serves: `engine` on the port that it prints. Killed, should it still be there at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*lines: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            # Python 3.12 warns of a fork beside threads, of which there is always one: the attendant.
            [
                sys.executable,
                "-W",
                "ignore:This process",
                "-X",
                "faulthandler",
                "-c",
                "\n".join([PRELUDE, *lines]),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        with process:
            pass


PRELUDE = """
import json, os, signal, socket, sys, threading, time
from lasthop.engine import Engine
listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
def hello(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
def serve(application, threads=1, **options):
    engine = Engine(application, [(listener.fileno(), "a", "b")], threads=threads, **options)
    signal.signal(signal.SIGTERM, lambda *_: engine.drain(0))
    print(listener.getsockname()[1], flush=True)
    if threads == 1:
        engine.serve()
    else:
        serving = [threading.Thread(target=engine.serve) for _ in range(threads)]
        for thread in serving:
            thread.start()
        for thread in serving:
            while thread.is_alive():
                thread.join(0.05)
    print(json.dumps(engine.counters()), flush=True)
    engine.close()
"""


def ask(port: int, path: str = "/", version: str = "1.1") -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        peer.sendall(get(path, "Connection: close", version=version))
        received = b""
        while data := peer.recv(65536):
            received += data
    return received


def ended(process: Any) -> tuple[int, dict[str, int]]:
    """End it with TERM: its exit code and counters."""
    process.send_signal(signal.SIGTERM)
    said, complained = process.communicate(timeout=PATIENCE)
    assert "" == complained
    return process.returncode, json.loads(said)


def test_a_signal_drains_an_engine_of_one_thread(program: Program) -> None:
    process = program("serve(hello)")
    port = int(process.stdout.readline())
    assert ask(port).endswith(b"hello")
    code, counters = ended(process)
    assert (0, 1, 0) == (code, counters["requests"], counters["connections"])


def test_no_signal_is_lost_however_close_to_the_wait_it_comes(program: Program) -> None:
    """Signals at all times while the engine serves, waits, or is about to wait: each is heard at once."""
    process = program(
        "heard = 0",
        "def count(*_):",
        "    global heard",
        "    heard += 1",
        "    os.write(1, b'%d\\n' % heard)",
        "signal.signal(signal.SIGUSR1, count)",
        "serve(hello)",
    )
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        for number in range(1, 301):
            peer.settimeout(PATIENCE)
            peer.sendall(get())
            if number % 3:
                assert peer.recv(65536).endswith(b"hello")
            threading.Event().wait(number % 7 * 0.00003)
            process.send_signal(signal.SIGUSR1)
            assert select.select([process.stdout], [], [], PATIENCE / 4)[0], "the signal was not heard"
            assert f"{number}\n" == process.stdout.readline()
            if number % 3 == 0:
                assert peer.recv(65536).endswith(b"hello")
    assert 0 == ended(process)[0]


def test_a_signal_handler_that_raises_ends_serve(program: Program) -> None:
    process = program(
        "def fail(*_):",
        "    raise KeyboardInterrupt",
        "signal.signal(signal.SIGUSR1, fail)",
        "try:",
        "    serve(hello)",
        "except KeyboardInterrupt:",
        "    print('interrupted', flush=True)",
    )
    int(process.stdout.readline())
    process.send_signal(signal.SIGUSR1)
    said, complained = process.communicate(timeout=PATIENCE)
    assert ("interrupted\n", "", 0) == (said, complained, process.returncode)


FORKING = """
def application(environ, start_response):
    how = environ["PATH_INFO"]
    if how != "/":
        child = os.fork()
        if child == 0:
            if how == "/exit":
                os._exit(0)
            if how == "/sys-exit":
                sys.exit(0)
            if how == "/raise":
                raise RuntimeError("in the child")
            if how == "/return":
                start_response("500 Child", [])
                return [b"child"]
            if how == "/stay":
                os.close(1); os.close(2)
                time.sleep(600)
                os._exit(0)
        if how != "/stay":
            os.waitpid(child, 0)
        else:
            children.append(child)
    start_response("200 OK", [])
    return iter([b"hel", b"lo"]) if environ["SERVER_PROTOCOL"] == "HTTP/1.0" else [b"hello"]
children = []
"""


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("how", ["/exit", "/sys-exit", "/raise", "/return"])
def test_an_application_may_fork(program: Program, threads: int, how: str) -> None:
    process = program(FORKING, f"serve(application, {threads})")
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as kept:
        for _ in range(5):
            assert ask(port, how).endswith(b"hello")
            kept.sendall(get())
            assert kept.recv(65536).endswith(b"hello")
        for _ in range(5):
            kept.sendall(get(how))
            assert kept.recv(65536).endswith(b"hello")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)
    assert (0, 15, 0) == (process.returncode, json.loads(said)["requests"], json.loads(said)["connections"])


@pytest.mark.parametrize("threads", [1, 4])
def test_a_child_that_lives_on_keeps_no_connection_open(program: Program, threads: int) -> None:
    process = program(
        FORKING,
        f"serve(application, {threads})",
        "for child in children:",
        "    os.kill(child, signal.SIGKILL)",
        "    os.waitpid(child, 0)",
    )
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as kept:
        kept.sendall(get())
        assert kept.recv(65536).endswith(b"hello")
        for version in ("1.1", "1.0"):
            assert ask(port, "/stay", version).endswith(b"hello")  # to the end of the connection
            assert ask(port, "/", version).endswith(b"hello")
        kept.sendall(get("/", "Connection: close"))
        assert b"hello" == kept.recv(65536)[-5:]
        assert b"" == kept.recv(65536)
    code, counters = ended(process)
    assert (0, 6, 0) == (code, counters["requests"], counters["connections"])


def test_many_engines_one_after_the_other_leave_nothing(run: Run) -> None:
    for _ in range(30):
        running = run(hello, threads=4)
        assert 200 == running.ask().status
        running.finish()


@pytest.mark.parametrize("threads", [1, 4])
def test_a_reply_that_only_ends_with_its_connection_breaks_off_with_a_reset(
    program: Program, threads: int
) -> None:
    breaking = """
def application(environ, start_response):
    start_response("200 OK", [])
    yield b"x" * 20000
    raise RuntimeError("in the midst of it")
"""
    process = program(breaking, f"serve(application, {threads})")
    port = int(process.stdout.readline())
    with pytest.raises(ConnectionResetError):
        ask(port, version="1.0")
