"""RequestReader: events in order, whatever the cuts; after a refusal, silence. What it reads is the corpus's matter."""

from typing import Any

import pytest

from lasthop.http1 import Limits, RequestReader

PLAIN = b"GET /a?b HTTP/1.1\r\nHost: a\r\nX-Y:  z \r\n\r\n"
HEAD: tuple[Any, ...] = (
    "head",
    b"GET",
    b"/a?b",
    (1, 1),
    [(b"Host", b"a"), (b"X-Y", b"z")],
    None,
    True,
    False,
)


def test_a_request_is_a_head_and_its_end() -> None:
    assert [HEAD, ("end",)] == RequestReader().feed(PLAIN)


def test_requests_follow_each_other() -> None:
    reader = RequestReader()
    assert [HEAD, ("end",)] * 50 == reader.feed(PLAIN * 50)
    assert [] == reader.feed(PLAIN[:-1])
    assert [HEAD, ("end",)] == reader.feed(PLAIN[-1:])
    assert not reader.closed


def test_a_refusal_comes_after_what_was_complete_and_is_the_last() -> None:
    reader = RequestReader()
    assert [HEAD, ("end",), ("refused", 400, "bad_method")] == reader.feed(PLAIN + b"(" + PLAIN)
    assert (True, []) == (reader.closed, reader.feed(PLAIN))


def test_nothing_is_nothing() -> None:
    reader = RequestReader()
    assert [[], [], False] == [reader.feed(b""), reader.feed(b""), reader.closed]


@pytest.mark.parametrize("data", ["text", None, 5, bytearray(b"x")])
def test_it_takes_bytes_alone(data: Any) -> None:
    with pytest.raises(TypeError):
        RequestReader().feed(data)


def test_it_may_be_made_anew() -> None:
    reader = RequestReader()
    reader.feed(b"(")
    reader.__init__(Limits(line=5))  # type: ignore[misc]
    assert [("refused", 414, "line_too_long")] == reader.feed(PLAIN)


def test_what_was_fed_may_be_let_go() -> None:
    """Events are copies: they stay as they are when the reader goes on, or goes."""
    reader = RequestReader()
    events = reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
    reader.feed(b"lo" + PLAIN * 100)
    del reader
    assert (b"POST", [(b"Host", b"a"), (b"Content-Length", b"5")], ("data", b"hel")) == (
        events[0][1],
        events[0][4],
        events[1],
    )


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, CLOSE\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n", False),
        (b"GET / HTTP/1.7\r\nHost: a\r\n", True),
    ],
)
def test_who_wishes_to_keep_the_connection(lines: bytes, keep_alive: bool) -> None:
    assert keep_alive == RequestReader().feed(lines + b"\r\n")[0][6]
