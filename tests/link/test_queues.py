"""The depth of accept queues, as the kernel tells it of real sockets that are really filled."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lasthop.link.queues import Depth, depths, overflows


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def listening(stack: ExitStack, family: socket.AddressFamily, backlog: int) -> socket.socket:
    made = stack.enter_context(socket.socket(family))
    # A UNIX socket that is bound to nothing gets an abstract name of the kernel's choice.
    made.bind(("127.0.0.1", 0) if family == socket.AF_INET else "")
    made.listen(backlog)
    return made


def connect(stack: ExitStack, to: socket.socket) -> None:
    made = stack.enter_context(socket.socket(to.family))
    made.setblocking(False)
    try:
        made.connect(to.getsockname())
    except BlockingIOError:
        if to.family == socket.AF_UNIX:
            raise
        made.setblocking(True)  # TCP is on its way
        made.settimeout(20)
        made.send(b"x")


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
@pytest.mark.parametrize("backlog", [1, 5])
def test_a_queue_is_told_at_its_depth_until_it_is_full(
    stack: ExitStack, family: socket.AddressFamily, backlog: int
) -> None:
    made = listening(stack, family, backlog)
    for waiting in range(backlog + 1):
        (found,) = depths([made])
        assert Depth(waiting, backlog) == found
        assert not found.full
        connect(stack, made)
    (found,) = depths([made])
    assert isinstance(found, Depth)
    assert (backlog + 1, backlog + 1, True) == (found.waiting, found.holds, found.full)
    if family == socket.AF_UNIX:
        with pytest.raises(BlockingIOError):
            connect(stack, made)
    stack.enter_context(made.accept()[0])
    assert [Depth(backlog, backlog)] == depths([made])


def test_each_socket_gets_its_own_answer(stack: ExitStack) -> None:
    made = [
        listening(stack, family, backlog)
        for family, backlog in [
            (socket.AF_UNIX, 3),
            (socket.AF_INET, 4),
            (socket.AF_UNIX, 5),
            (socket.AF_UNIX, 0),
        ]
    ]
    connect(stack, made[2])
    assert [Depth(0, 3), Depth(0, 4), Depth(1, 5), Depth(0, 0)] == depths(made)


def test_no_socket_no_question() -> None:
    assert [] == depths([])


def test_where_there_is_no_netlink_the_error_is_told_and_tcp_still_is() -> None:
    script = """
import resource, socket
from lasthop.link.queues import depths
made = socket.socket(socket.AF_UNIX); made.bind(""); made.listen(2)
tcp = socket.socket(); tcp.bind(("127.0.0.1", 0)); tcp.listen(2)
resource.setrlimit(resource.RLIMIT_NOFILE, (tcp.fileno() + 1, tcp.fileno() + 1))
print(depths([made, tcp]))
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "[OSError(24, 'Too many open files'), Depth(waiting=0, limit=2)]\n" == said


def test_the_kernels_counters_are_numbers_that_grow(stack: ExitStack) -> None:
    before = overflows()
    assert before is not None
    made = listening(stack, socket.AF_INET, 0)
    for _ in range(3):
        extra = stack.enter_context(socket.socket())
        extra.setblocking(False)
        extra.connect_ex(made.getsockname())
    after = overflows()
    assert after is not None
    assert after.overflows > before.overflows
    assert after.drops > before.drops


@pytest.mark.parametrize(
    "text",
    [
        "",
        "TcpExt: A B\nTcpExt: 1 2\n",
        "TcpExt: ListenOverflows ListenDrops\n",
        "TcpExt: ListenOverflows ListenDrops\nTcpExt: x y\n",
    ],
)
def test_counters_that_are_not_there_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "netstat"
    file.write_text(text)
    assert overflows(file) is None
    assert overflows(tmp_path / "missing") is None
