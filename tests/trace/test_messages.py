"""Where a message ends, whatever its framing."""

from __future__ import annotations

import pytest

from lasthop.trace.messages import end_of_message, first_line, sizes, status_of

HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("message", "to_head"),
    [
        (HEAD + b"Content-Length: 3\r\n\r\nabc", False),
        (HEAD + b"content-length:  0\r\n\r\n", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n", False),
        (HEAD + b"Content-Length: 3\r\n\r\n", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False),
    ],
)
def test_a_reply_ends_where_its_framing_says_and_no_byte_earlier(message: bytes, to_head: bool) -> None:
    assert len(message) == end_of_message(message + b"HTTP/1.1 ...", is_reply=True, to_head=to_head)
    found = {end_of_message(message[:cut], is_reply=True, to_head=to_head) for cut in range(len(message))}
    assert {None} == found


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"\r\n\r\n", HEAD + b"Content-Length: x\r\n\r\n", HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
     HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"\xff" * 100],
)  # fmt: skip
def test_nonsense_is_judged_by_nobody(nonsense: bytes) -> None:
    sizes(nonsense, is_reply=True)
    sizes(nonsense, is_reply=False)
    status_of(nonsense)
    assert first_line(nonsense).isprintable()


def test_a_stream_is_cut_into_its_messages() -> None:
    first, second = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", b"GET / HTTP/1.1\r\n\r\n"
    assert [len(first), len(second), 4] == sizes(first + second + b"GET ", is_reply=False)
