"""Who listens at an address."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lasthop.link import holders

FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


def test_the_kernel_names_who_listens_at_a_path(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/s")
        assert holders.at_unix(f"{tmp_path}/s") is None
        listening.listen()
        peer = holders.at_unix(f"{tmp_path}/s")
        assert peer is not None
        assert os.getpid() == peer.pid
    assert holders.at_unix(f"{tmp_path}/s") is None
    assert holders.at_unix(f"{tmp_path}/none") is None


def test_it_is_the_one_who_listened_last(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/s")
        listening.listen()
        again = f"import socket; socket.socket(fileno={listening.fileno()}).listen()"
        with subprocess.Popen([sys.executable, "-c", again], pass_fds=[listening.fileno()]) as other:
            other.wait()
        peer = holders.at_unix(f"{tmp_path}/s")
        assert peer is not None
        assert other.pid == peer.pid


def test_a_queue_that_stays_full_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "PROBE_SECONDS", 1)
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as waiting:
        listening.bind(f"{tmp_path}/s")
        listening.listen(0)
        waiting.connect(f"{tmp_path}/s")
        with pytest.raises(BlockingIOError):
            holders.at_unix(f"{tmp_path}/s")


@pytest.mark.parametrize(("family", "host"), FAMILIES)
def test_proc_shows_whose_port_it_is(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        port = listening.getsockname()[1]
        assert ([], []) == holders.at_tcp(family, host, port)
        listening.listen()
        assert ([os.getpid()], []) == holders.at_tcp(family, host, port)
        hold = "import sys; sys.stdout.write('x'); sys.stdout.flush(); sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-c", hold],
            pass_fds=[listening.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout is not None
            assert other.stdin is not None
            other.stdout.read(1)
            assert sorted([os.getpid(), other.pid]) == holders.at_tcp(family, host, port).pids
            assert os.getpid() == holders.parent_of(other.pid)
            other.stdin.close()


def test_who_listens_everywhere_is_in_the_way() -> None:
    with socket.socket() as listening:
        listening.bind(("0.0.0.0", 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert [os.getpid()] == holders.at_tcp(socket.AF_INET, "127.0.0.1", port).pids
        assert [] == holders.at_tcp(socket.AF_INET6, "::1", port).pids
