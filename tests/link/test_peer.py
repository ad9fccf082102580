"""Who is at the other end."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from lasthop.link.peer import Peer, command_of, described, peer_of


def test_a_peer_is_known_by_the_kernels_word() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert Peer(os.getpid(), os.geteuid(), os.getegid()) == peer_of(ours)


def test_the_command_of_a_process_is_its_words() -> None:
    command = command_of(os.getpid())
    assert command is not None
    assert Path(sys.executable).name in command


def test_a_process_that_is_gone_has_no_command() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert command_of(pid) is None


def test_in_a_log_line_a_peer_is_one_line() -> None:
    script = "import sys; sys.stdin.read()"
    words = [sys.executable, "-c", script, "\n[INFO] all is well\x1b[2J", "x" * 1000]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        while "all is well" not in (command_of(process.pid) or ""):
            pass
        said = described(Peer(process.pid, 1, 2))
        process.communicate()
    assert f"pid {process.pid} (uid 1, gid 2: " in said
    assert said.isprintable()
    assert len(said) < 250


def test_a_peer_that_cannot_be_looked_at_is_described_by_its_numbers() -> None:
    assert "pid 0 (uid 1, gid 2: in another pid namespace)" == described(Peer(0, 1, 2))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert f"pid {pid} (uid 1, gid 2: gone already)" == described(Peer(pid, 1, 2))
