"""The head of a reply: exactly these bytes, or an error that names what may not be sent."""

from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasthop.http1.reply import head_bytes

OWN = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: lasthop\r\n"


def head(headers: Any = (), status: Any = "200 OK", **how: Any) -> bytes:
    made: bytes = head_bytes(status, list(headers), **how)
    return made


@pytest.mark.parametrize(
    ("how", "lines"),
    [
        ({"length": 0}, b"Content-Length: 0\r\n" + OWN),
        ({"length": 5}, b"Content-Length: 5\r\n" + OWN),
        ({"length": 999_999_999_999_999_999}, b"Content-Length: 999999999999999999\r\n" + OWN),
        ({"framing": "chunks"}, b"Transfer-Encoding: chunked\r\n" + OWN),
        ({"framing": "close", "keep_alive": False}, OWN + b"Connection: close\r\n"),
        ({"framing": "bodiless"}, OWN),
        ({"length": 1, "keep_alive": False}, b"Content-Length: 1\r\n" + OWN + b"Connection: close\r\n"),
        ({"length": 1, "minor": 0}, b"Content-Length: 1\r\n" + OWN + b"Connection: keep-alive\r\n"),
        ({"length": 1, "minor": 0, "keep_alive": False}, b"Content-Length: 1\r\n" + OWN + b"Connection: close\r\n"),
    ],
)  # fmt: skip
def test_what_stands_beside_the_applications_headers(how: Any, lines: bytes) -> None:
    assert b"HTTP/1.1 200 OK\r\nX-A: b\r\n" + lines + b"\r\n" == head([("X-A", "b")], **how)


def test_a_length_that_the_application_gave_is_kept_without_a_body_but_not_with_204() -> None:
    given_ = [("Content-Length", "5")]
    assert b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n" + OWN + b"\r\n" == head(
        given_, "304 Same", framing="bodiless"
    )
    assert b"HTTP/1.1 204 No\r\n" + OWN + b"\r\n" == head(given_, "204 No", framing="bodiless")


def test_every_latin_1_character_that_is_no_control_may_stand_in_a_value() -> None:
    value = "".join(chr(code) for code in range(256) if code >= 32 and code != 127) + "\t"
    assert b"X-A: " + value.encode("latin-1") + b"\r\n" in head([("X-A", value)])


@pytest.mark.parametrize("code", [code for code in range(33) if code not in (9, 32)] + [127])
def test_no_control_character_leaves_wherever_it_stands(code: int) -> None:
    for before in range(18):
        value = "x" * before + chr(code) + "\xff" * (20 - before)
        with pytest.raises(ValueError, match="'X-A' has a control character"):
            head([("X-A", value)])
        with pytest.raises(ValueError, match="the status has a control character"):
            head([], "200 " + value)


@pytest.mark.parametrize("code", [code for code in range(256) if chr(code) not in "!#$%&'*+-.^_`|~" and not (code < 128 and chr(code).isalnum())])  # fmt: skip
def test_no_byte_but_a_tokens_stands_in_a_name(code: int) -> None:
    for name in (chr(code), "X" + chr(code), chr(code) + "X", "Content-Length" + chr(code)):
        with pytest.raises(ValueError, match="a header name may not have"):
            head([(name, "b")])


texts = st.text(st.characters(codec="latin-1"), max_size=40)


@given(st.lists(st.tuples(texts, texts), max_size=5), texts)
def test_whatever_leaves_is_read_as_one_head(headers: list[tuple[str, str]], reason: str) -> None:
    try:
        made = head(headers, "200 " + reason, length=0)
    except ValueError:
        return
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    reader.receive_data(made + b"rest")
    event = reader.next_event()
    assert isinstance(event, h11.Response)
    assert (200, b"rest") == (event.status_code, reader.trailing_data[0])
    dropped = {"content-length", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}  # fmt: skip
    sent = [(name.lower(), value.strip(" \t")) for name, value in headers if name.lower() not in dropped]
    got = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
    assert sent == got[: len(sent)]


class Text(str):
    """A framework's own kind of text."""


def test_subclasses_of_str_and_list_are_texts_and_lists_too() -> None:
    assert b"HTTP/1.1 200 OK\r\nX-A: b\r\n" == head([(Text("X-A"), Text("b"))], Text("200 OK"))[:25]


def test_a_head_of_any_size() -> None:
    made = head([("X-A", "b" * 100_000)] * 50)
    assert 50 * (100_000 + 7) + len(head()) == len(made)
