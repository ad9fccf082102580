"""Who may connect over a UNIX socket, and who the application is told it is."""

import os
import socket
import subprocess
import threading
from typing import Any

import pytest

from lasthop.link.peer import Peer
from tests.engine.conftest import Run
from tests.engine.running import Environ, Running, Start, get
from tests.engine.test_connection import wait_until
from tests.users import PYTHON, ask_as, needs_root, open_to_all

STRANGER, FRIEND, GROUP = 41_001, 41_002, 41_003
"""Ids that nobody has: the kernel does not ask for names."""


def naming(environ: Environ, start_response: Start) -> list[bytes]:
    """The peer, as the application is told."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(environ.get("lasthop.peer")).encode()]


def guarded(run: Run, uids: tuple[int, ...] = (), gids: tuple[int, ...] = (), **options: Any) -> Running:
    running = run(naming, options.pop("threads", 1), allow_peer=(uids, gids), **options)
    open_to_all(running.path)
    return running


def test_the_application_sees_the_process_that_connected(run: Run, threads: int) -> None:
    running = run(naming, threads)
    peer = running.connect()
    expected = repr(Peer(os.getpid(), os.geteuid(), os.getegid())).encode()
    assert [expected] * 3 == [peer.send(get()).reply().body for _ in range(3)]


def test_the_peer_of_a_connection_is_one_object(run: Run) -> None:
    seen: list[Peer] = []

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        seen.append(environ["lasthop.peer"])
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    peer = run(application).connect()
    for _ in range(3):
        peer.send(get()).reply()
    assert (3, 1, Peer) == (len(seen), len({id(each) for each in seen}), type(seen[0]))


def test_over_tcp_there_is_no_such_peer(run: Run) -> None:
    assert b"None" == run(naming).ask(get(), "tcp").body


def test_without_a_rule_everybody_may_connect(run: Run) -> None:
    assert 200 == run(naming).ask(get()).status


def test_who_is_named_may_connect(run: Run, threads: int) -> None:
    running = guarded(run, uids=(os.geteuid(),), threads=threads)
    assert 200 == running.ask(get()).status
    assert 0 == running.counters["strangers"]


def test_who_is_in_a_group_that_is_named_may_connect(run: Run) -> None:
    assert 200 == guarded(run, gids=(os.getegid(),)).ask(get()).status


def test_who_is_not_named_is_closed_unread_counted_and_logged(run: Run, threads: int) -> None:
    running = guarded(run, uids=(STRANGER,), threads=threads)
    peer = running.connect()
    assert b"" == peer.rest()
    wait_until(lambda: running.counters["strangers"] == 1)
    counters = running.counters
    assert (1, 0, 0, 0) == tuple(
        counters[name] for name in ("strangers", "accepted", "connections", "requests")
    )
    wait_until(lambda: any("--allow-peer" in line for line in running.said))
    (said,) = [line for line in running.said if "--allow-peer" in line]
    assert f"closed a connection over unix: from pid {os.getpid()} (uid {os.geteuid()}, " in said


def test_strangers_do_not_fill_the_log(run: Run) -> None:
    running = guarded(run, uids=(STRANGER,))
    for _ in range(300):
        running.connect().rest()
    wait_until(lambda: running.counters["strangers"] == 300)
    assert 1 == len([line for line in running.said if "--allow-peer" in line])


def test_more_strangers_than_are_accepted_at_once_hold_nobody_up(run: Run) -> None:
    running = guarded(run, uids=(STRANGER,))
    connected = [running.connect() for _ in range(200)]
    assert [b""] * 200 == [each.rest() for each in connected]
    assert 200 == running.ask(get(), "tcp").status


def test_strangers_are_turned_away_also_while_the_application_has_all_threads(run: Run) -> None:
    began, go_on = threading.Event(), threading.Event()

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        began.set()
        go_on.wait(20)
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    running = run(application, 1, allow_peer=((STRANGER,), ()))
    held = running.connect("tcp").send(get())
    assert began.wait(20)
    try:
        assert b"" == running.connect().rest()
    finally:
        go_on.set()
    assert 200 == held.reply().status


def test_tcp_knows_no_processes_and_is_not_asked(run: Run) -> None:
    assert 200 == guarded(run, uids=(STRANGER,)).ask(get(), "tcp").status


@needs_root
def test_root_is_a_user_like_any_other(run: Run) -> None:
    running = guarded(run, uids=(FRIEND,))
    assert b"" == running.connect().rest()
    assert ask_as(running.path, uid=FRIEND).startswith(b"HTTP/1.1 200 ")


@needs_root
@pytest.mark.parametrize(
    ("uid", "gid", "groups", "enters"),
    [
        (FRIEND, STRANGER, (), True),
        (STRANGER, STRANGER, (), False),
        (STRANGER, GROUP, (), True),
        (STRANGER, STRANGER, (GROUP,), True),
        (STRANGER, STRANGER, (*range(50_000, 50_063), GROUP), True),
        (STRANGER, STRANGER, (*range(50_000, 50_064), GROUP), True),
        (STRANGER, STRANGER, (*range(50_000, 53_000), GROUP), True),
        (STRANGER, STRANGER, tuple(range(50_000, 53_000)), False),
    ],
    ids=[
        "user",
        "nobody named",
        "group",
        "supplementary",
        "the 64th",
        "the 65th",
        "the 3,001st",
        "of 3,000 none",
    ],
)
def test_user_group_and_supplementary_groups_count(
    run: Run, uid: int, gid: int, groups: tuple[int, ...], enters: bool
) -> None:
    running = guarded(run, uids=(FRIEND,), gids=(GROUP,))
    reply = ask_as(running.path, uid=uid, gid=gid, groups=groups)
    assert enters == reply.startswith(b"HTTP/1.1 200 ")


@needs_root
def test_what_the_peer_was_when_it_connected_counts(run: Run) -> None:
    """Root connects and then gives its rights up: by the kernel's word it is still who connected."""
    running = guarded(run, uids=(STRANGER,))
    script = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); os.setuid(int(sys.argv[2]));"
        "\ntry: s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.recv(99))\nexcept ConnectionError: print(b'')"
    )
    said = subprocess.run(
        [PYTHON, "-I", "-c", script, running.path, str(STRANGER)],
        capture_output=True,
        env={},
        timeout=60,
        check=True,
    ).stdout
    assert b"b''\n" == said


@needs_root
def test_the_words_of_a_stranger_cannot_forge_a_log_line(run: Run) -> None:
    running = guarded(run, uids=(FRIEND,))
    script = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(1); input()"
    )
    process = subprocess.Popen(
        [PYTHON, "-I", "-c", script, running.path, "\n[2026] [INFO] all is well\x1b[2J"],
        stdin=subprocess.PIPE,
        user=STRANGER,
        cwd="/",
        env={},
    )
    try:
        wait_until(lambda: any("--allow-peer" in line for line in running.said))
    finally:
        process.communicate(b"\n", timeout=60)
    (said,) = [line for line in running.said if "--allow-peer" in line]
    assert f"uid {STRANGER}, " in said
    assert said.isprintable()


@pytest.mark.parametrize("numbers", [(tuple(range(65)), ()), ((), tuple(range(65)))])
def test_more_than_it_compares_with_is_refused(
    numbers: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    from lasthop.engine import Engine

    with socket.socket(socket.AF_UNIX) as listener, pytest.raises(ValueError, match="at most 64"):
        Engine(naming, [(listener.fileno(), "localhost", "80")], allow_peer=numbers)
