"""Open files and the connections that they leave room for."""

import os
import re
import resource
from pathlib import Path

from lasthop.server.openfiles import RESERVED, connections_within, make_room, raise_limit


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
        os._exit(int((512, (512, 512)) != (raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))))
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_soft_limit_that_is_high_enough_stays() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert raise_limit() >= min(soft, 1 << 20)


def test_as_many_connections_as_were_asked_for_when_there_is_room() -> None:
    assert (1000, None) == connections_within(1000, 2000, 16)


def test_fewer_connections_and_a_warning_when_there_is_not() -> None:
    allowed, warning = connections_within(16384, 1024, 16)
    assert 1024 - RESERVED - 32 == allowed
    assert warning is not None
    assert "max_connections 16384 is clipped to 928" in warning
    assert "LimitNOFILE=" in warning


def test_never_none() -> None:
    assert 1 == connections_within(16384, 10, 16)[0]


def test_room_for_descriptors_is_made_without_opening_any() -> None:
    pid = os.fork()
    if pid == 0:
        before = len(list(Path("/proc/self/fd").iterdir()))
        make_room(2048)
        size = int(re.search(r"FDSize:\s+(\d+)", Path("/proc/self/status").read_text())[1])  # type: ignore[index]
        os._exit(0 if size >= 2048 and before == len(list(Path("/proc/self/fd").iterdir())) else 1)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
