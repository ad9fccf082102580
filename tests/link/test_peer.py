"""Who is at the other end."""

import os
import socket
import sys
from pathlib import Path

from lasthop.link.peer import Peer, command_of, peer_of


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
