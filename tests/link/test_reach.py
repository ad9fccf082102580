"""Who can reach a socket's file: compared with what the kernel itself says to a process of that user."""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from lasthop.link.reach import ACL_NAME, Kind, Obstacle, User, obstacle, obstacles

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which takes root")

WEB, GUEST = 33, 65534

USERS = [
    User(WEB, frozenset({WEB})),
    User(GUEST, frozenset({GUEST})),
    User(GUEST, frozenset({GUEST, WEB})),
    User(GUEST, frozenset({GUEST, 0})),
]


@pytest.fixture
def listening(short_directory: Path) -> Iterator[Path]:
    """A socket's file in a directory in a directory that everybody may pass."""
    short_directory.chmod(0o755)
    (short_directory / "in").mkdir()
    path = short_directory / "in/s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(512)
        yield path


def kernel_lets(path: Path, user: User) -> bool:
    """Whether a process of that user can connect, by trying."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            os.setgroups(sorted(user.gids))
            os.setgid(min(user.gids - {WEB, 0} or user.gids))
            os.setuid(user.uid)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
            code = 0
        except PermissionError:
            code = 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, 1}
    return code == 0


def access_list(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@needs_root
@pytest.mark.parametrize("owner", [(0, 0), (0, WEB), (WEB, WEB), (GUEST, WEB)])
def test_it_says_what_the_kernel_says_of_modes(listening: Path, owner: tuple[int, int]) -> None:
    differ = []
    os.chown(listening, *owner)
    os.chown(listening.parent, *owner)
    for directory, file in itertools.product(
        (0o755, 0o750, 0o701, 0o010), (0o666, 0o660, 0o606, 0o060, 0o600)
    ):
        listening.parent.chmod(directory)
        listening.chmod(file)
        for user in USERS:
            said = obstacle(listening, user)
            if (said is None) != kernel_lets(listening, user):
                differ.append((oct(directory), oct(file), user, said))
    assert [] == differ


@needs_root
@pytest.mark.parametrize(
    "entries",
    [
        ((0x1, 6, 0), (0x2, 2, WEB), (0x4, 0, 0), (0x10, 2, 0), (0x20, 0, 0)),
        ((0x1, 6, 0), (0x2, 0, WEB), (0x4, 6, 0), (0x10, 6, 0), (0x20, 6, 0)),
        ((0x1, 6, 0), (0x2, 6, WEB), (0x4, 0, 0), (0x10, 4, 0), (0x20, 6, 0)),
        ((0x1, 6, 0), (0x4, 4, 0), (0x8, 6, WEB), (0x10, 6, 0), (0x20, 0, 0)),
        ((0x1, 6, 0), (0x2, 6, WEB), (0x4, 0, 0), (0x10, 0, 0), (0x20, 6, 0)),
        ((0x1, 6, 0), (0x4, 6, 0), (0x8, 0, GUEST), (0x10, 6, 0), (0x20, 6, 0)),
    ],
)
def test_it_says_what_the_kernel_says_of_access_lists(
    listening: Path, entries: tuple[tuple[int, int, int], ...]
) -> None:
    whole = [(tag, allowed, number if tag in {0x2, 0x8} else 0xFFFFFFFF) for tag, allowed, number in entries]
    try:
        os.setxattr(listening, ACL_NAME, access_list(*whole))
    except OSError as error:
        pytest.skip(f"this file system has no access lists ({error})")
    assert [kernel_lets(listening, user) for user in USERS] == [
        obstacle(listening, user) is None for user in USERS
    ]


def test_a_list_that_lets_one_user_into_a_home_is_no_obstacle(listening: Path) -> None:
    listening.parent.chmod(0o700)
    listening.chmod(0o666)
    everyone = 0xFFFFFFFF
    try:
        os.setxattr(
            listening.parent,
            ACL_NAME,
            access_list(
                (0x1, 7, everyone),
                (0x2, 1, WEB),
                (0x4, 0, everyone),
                (0x10, 1, everyone),
                (0x20, 0, everyone),
            ),
        )
    except OSError as error:
        pytest.skip(f"this file system has no access lists ({error})")
    assert None is obstacle(listening, USERS[0])
    held = obstacle(listening, USERS[1])
    assert held is not None
    assert (Kind.CLOSED, listening.parent, True) == (held.kind, held.path, held.listed)


def test_all_obstacles_are_told_in_order(listening: Path) -> None:
    listening.parent.chmod(0o700)
    listening.chmod(0o600)
    own = (os.geteuid(), os.getegid())
    stranger = User(own[0] + 1, frozenset({own[1] + 1}))
    assert [
        Obstacle(Kind.CLOSED, listening.parent, 0o700, *own),
        Obstacle(Kind.REFUSED, listening, 0o600, *own),
    ] == list(obstacles(listening, stranger))


def test_a_part_that_is_missing_is_the_last(short_directory: Path) -> None:
    short_directory.chmod(0o755)
    missing = short_directory / "no"
    assert [Obstacle(Kind.MISSING, missing)] == list(obstacles(missing / "way/s", USERS[0]))


def test_symbolic_links_are_followed_as_the_kernel_does(listening: Path) -> None:
    listening.chmod(0o666)
    top = listening.parent.parent
    (top / "absolute").symlink_to(listening.parent)
    (top / "relative").symlink_to("absolute/../in")
    assert None is obstacle(top / "relative/s", USERS[0])
    listening.parent.chmod(0o700)
    held = obstacle(top / "relative/s", User(os.geteuid() + 1, frozenset({os.getegid() + 1})))
    assert held is not None
    assert (Kind.CLOSED, listening.parent) == (held.kind, held.path)


def test_links_that_go_in_circles_end(short_directory: Path) -> None:
    short_directory.chmod(0o755)
    (short_directory / "a").symlink_to("b")
    (short_directory / "b").symlink_to("a")
    held = obstacle(short_directory / "a/s", USERS[0])
    assert held is not None
    assert Kind.MISSING is held.kind


def test_capabilities_pass_where_modes_do_not(listening: Path) -> None:
    listening.parent.chmod(0o700)
    listening.chmod(0o600)
    number = os.geteuid() + 1
    assert None is obstacle(listening, User(number, frozenset({number}), overrides=True))
    held = obstacle(listening, User(number, frozenset({number}), passes=True))
    assert held is not None
    assert Kind.REFUSED is held.kind


def test_directories_above_the_start_do_not_matter(listening: Path) -> None:
    listening.chmod(0o666)
    listening.parent.parent.chmod(0o700)
    stranger = User(os.geteuid() + 1, frozenset({os.getegid() + 1}))
    assert None is not obstacle(listening, stranger)
    assert None is obstacle(listening, stranger, start=listening.parent)
