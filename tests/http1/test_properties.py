"""What holds for all bytes: a valid request comes back as it was written, anything else is refused and nothing worse, and no
byte of a body becomes a request.
"""

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lasthop.http1 import Limits
from tests.http1.corpus import Events, cases
from tests.http1.excuses import excuse_for
from tests.http1.feeding import SMALL, Result, byte_by_byte, check_shape, cut, fed, whole
from tests.http1.opinions import by_h11, by_lasthop, differences
from tests.http1.writing import Written, conversations, requests

thoroughly = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

SENT = [case.sent for case in cases() if len(case.sent) < 2000]

# What requests are made of, right and wrong: joined at random they get further into the reader than random bytes do.
PARTS = [
    b"GET ", b"POST ", b"OPTIONS * ", b"/", b"/a?b", b"http://a", b" ", b"\t", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.1\r\n", b"HTTP/2.0",
    b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\x00", b"\xff", b":", b": ", b"_", b"-",
    b"Host: a\r\n", b"Host", b"Content-Length: 5\r\n", b"Content-Length", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding",
    b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"X-A: b\r\n", b"X_A: b\r\n", b"chunked", b"gzip, ", b"0", b"1", b"5", b"ffff",
    b"0\r\n\r\n", b"5\r\nhello\r\n", b"1;a=b\r\n", b"1;a=\"b\"\r\n", b";", b"=", b'"', b"\\", b"hello", b"x" * 30,
]  # fmt: skip
soup = st.lists(st.sampled_from(PARTS) | st.binary(max_size=3), max_size=12).map(b"".join)
any_bytes = st.binary(max_size=200) | soup


@st.composite
def with_places(draw: st.DrawFn, source: st.SearchStrategy[bytes]) -> tuple[bytes, list[int]]:
    """Some bytes, and where to cut them."""
    data = draw(source)
    return data, draw(st.lists(st.integers(0, len(data)), max_size=8))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid request, or a file of the corpus, with a few places changed: a byte, a doubled or a lost piece, a part of something else."""
    data = draw(st.sampled_from(SENT) | conversations.map(lambda all_: b"".join(one.data for one in all_)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        new = draw(st.sampled_from([b"", data[at:end] * 2, *PARTS]) | st.binary(min_size=1, max_size=1))
        data = data[:at] + new + data[end:]
    return data


def said(conversation: list[Written]) -> Result:
    events: Events = []
    for one in conversation:
        events += one.events
    return events, False


@given(conversations, st.data())
@thoroughly
def test_what_is_written_is_read_however_it_is_cut(conversation: list[Written], data: Any) -> None:
    sent = b"".join(one.data for one in conversation)
    places = data.draw(st.lists(st.integers(0, len(sent)), max_size=8), label="places")
    assert whole(sent) == said(conversation)
    assert byte_by_byte(sent) == said(conversation)
    assert fed(cut(sent, places)) == said(conversation)


@given(conversations)
@thoroughly
def test_what_is_written_is_read_alike_by_others(conversation: list[Written]) -> None:
    sent = b"".join(one.data for one in conversation)
    assert [difference for difference in differences(sent) if excuse_for(difference, sent) is None] == []


@given(with_places(any_bytes | mutated()))
@example((b"\r\n" * 3, []))
@thoroughly
def test_any_bytes_are_read_or_refused_alike_however_they_are_cut(given: tuple[bytes, list[int]]) -> None:
    data, places = given
    for limits in (Limits(), SMALL):
        result = whole(data, limits)
        check_shape(result)
        assert byte_by_byte(data, limits) == result
        assert fed(cut(data, places), limits) == result


@given(any_bytes | mutated())
@thoroughly
def test_any_bytes_that_are_accepted_are_read_alike_by_others(data: bytes) -> None:
    assert [difference for difference in differences(data) if excuse_for(difference, data) is None] == []


@given(requests(), mutated(), requests())
@thoroughly
def test_no_byte_of_a_body_becomes_a_request(first: Written, inner: bytes, last: Written) -> None:
    """A body that is itself requests, whole or broken, and a request behind it: two requests, to us and to h11."""
    length = b"POST /outer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(inner), inner)
    chunks = b"POST /outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
        len(inner),
        inner,
    )
    for outer in (length, chunks) if inner else (length,):
        sent = first.data + outer + last.data
        ours = by_lasthop(sent)
        assert [(seen.target, seen.done) for seen in ours.requests] == [
            (first.events[0][2], True), (b"/outer", True), (last.events[0][2], True),
        ]  # fmt: skip
        assert ours.requests[1].body == inner
        theirs = by_h11(sent)
        if theirs.refused is None:
            assert [seen.body for seen in theirs.requests] == [seen.body for seen in ours.requests]


@given(mutated())
@thoroughly
def test_h11_never_counts_other_requests_in_what_is_accepted(data: bytes) -> None:
    """The oracle of smuggling in its plainest form."""
    ours, theirs = by_lasthop(data), by_h11(data)
    if ours.refused is None and theirs.refused is None:
        assert len(theirs.requests) == len(ours.requests)
