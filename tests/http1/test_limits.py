"""The bounds on a request: what they are without a word, and that each is held to the byte."""

import dataclasses

import pytest

from lasthop.http1 import Limits, RequestReader


def first(data: bytes, **bounds: int) -> object:
    """What the reader says first of these bytes: "head", or the refusal's name."""
    events = RequestReader(Limits(**bounds)).feed(data)
    return events[0][2] if events[0][0] == "refused" else events[0][0]


def test_the_bounds_without_a_word() -> None:
    assert Limits(line=8190, fields=100, field_size=8190, head=65536, body=1 << 30) == Limits()


def test_they_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().line = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "least", "refusal"),
    [("line", 14, "line_too_long"), ("fields", 2, "too_many_fields"), ("field_size", 8, "field_too_large"), ("head", 37, "head_too_large")],
)  # fmt: skip
def test_a_head_may_just_be_as_large_as_allowed(name: str, least: int, refusal: str) -> None:
    data = b"GET / HTTP/1.1\r\nHost: ab\r\nX-A: b\r\n\r\n"
    assert (14, 37) == (data.index(b"\r"), len(data) + 1)
    least = len(data) if name == "head" else least
    assert ["head", refusal] == [first(data, **{name: least}), first(data, **{name: least - 1})]


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\n"]
)
def test_a_body_may_just_be_as_large_as_allowed(framing: bytes) -> None:
    data = b"POST / HTTP/1.1\r\nHost: a\r\n" + framing
    assert [[], ["body_too_large"]] == [
        [event[2] for event in RequestReader(Limits(body=size)).feed(data) if event[0] == "refused"]
        for size in (5, 4)
    ]


def test_a_body_without_a_bound() -> None:
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n"
    assert ["body_too_large", "head"] == [first(data), first(data, body=0)]


@pytest.mark.parametrize("name", ["line", "fields", "field_size", "head"])
@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_a_bound_that_fits_no_counter_is_an_error(name: str, value: int) -> None:
    with pytest.raises(OverflowError):
        RequestReader(Limits(**{name: value}))


def test_no_fields_at_all_may_be_allowed() -> None:
    assert ["head", "too_many_fields"] == [
        first(data, fields=0) for data in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\nA: b\r\n\r\n")
    ]
