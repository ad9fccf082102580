"""The head's reader where the corpus does not reach: its table of names, words at any alignment, and linear time."""

import os
import string
import time

import pytest

from lasthop.http1 import Limits, RequestReader
from lasthop.http1.field import KNOWN_NAMES

TOKEN = frozenset(b"!#$%&'*+-.^`|~" + string.ascii_letters.encode() + string.digits.encode())


def fields(data: bytes) -> list[tuple[bytes, bytes]]:
    event = RequestReader().feed(data)[0]
    assert "head" == event[0], event
    found: list[tuple[bytes, bytes]] = event[4]
    return found


def test_known_names_are_each_there_once_and_in_small_letters() -> None:
    assert len(set(KNOWN_NAMES)) == len(KNOWN_NAMES)
    assert all(name == name.lower() and b"_" not in name for name in KNOWN_NAMES)


@pytest.mark.parametrize("spelled", [bytes.lower, bytes.upper, bytes.title])
def test_known_names_are_handed_on_as_they_were_sent(spelled: object) -> None:
    assert callable(spelled)
    own = {b"host", b"content-length", b"transfer-encoding", b"expect"}
    for name in set(KNOWN_NAMES) - own:
        sent = spelled(name)
        assert [(b"Host", b"a"), (sent, b"v")] == fields(b"GET / HTTP/1.1\r\nHost: a\r\n%b: v\r\n\r\n" % sent)


def test_names_like_the_readers_own_are_not_taken_for_them() -> None:
    """One letter more, less or other, or bit 0x20 of another character set: none of them frames the body."""
    for own in (b"content-length", b"transfer-encoding", b"host", b"expect", b"connection"):
        others = [own + b"x", own[:-1], b"x" + own, own[1:]]
        for at in range(len(own)):
            alike = {own[at] ^ 0x40, own[at] ^ 0x01, own[at] ^ 0x80, own[at] & ~0x20 ^ 0x01} & TOKEN
            others += [own[:at] + bytes([byte]) + own[at + 1 :] for byte in alike]
        for name in others:
            event = RequestReader().feed(b"GET / HTTP/1.1\r\nHost: a\r\n%b: 5\r\n\r\n" % name)[0]
            assert ("head", None, True, False) == (event[0], event[5], event[6], event[7]), name


@pytest.mark.parametrize("bad", [0, 1, 8, 11, 31, 127])
def test_a_bad_byte_in_a_value_is_seen_at_any_place(bad: int) -> None:
    for start in range(9):
        for at in range(30):
            value = b"v" * at + bytes([bad]) + b"\xff\x80\t " * 3
            data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"N" * (start + 1) + b": x" + value + b"\r\n\r\n"
            assert ("refused", 400, "bad_header_value") == RequestReader().feed(data)[-1]


def test_a_head_that_comes_byte_by_byte_costs_no_more_than_its_lines() -> None:
    """64 KiB in 100 fields, one byte at a time: were all of it read anew with each byte, this would be 2 GB."""
    data = (
        b"GET / HTTP/1.1\r\nHost: a\r\n"
        + b"".join(b"X-%02d: %b\r\n" % (n, b"v" * 640) for n in range(98))
        + b"\r\n"
    )
    reader = RequestReader(Limits())
    begun = time.process_time()
    events = [event for byte in data for event in reader.feed(bytes([byte]))]
    assert [100 - 1, ("end",)] == [len(events[0][4]), events[1]]
    assert time.process_time() - begun < (60 if "SANITIZED" in os.environ else 6)
