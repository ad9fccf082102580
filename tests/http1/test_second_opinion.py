"""Whatever ours accepts, h11 and llhttp read the same; where one of them refuses it, a row of `excuses` says why that is well."""

import pytest

from tests.http1.corpus import Case, cases
from tests.http1.excuses import EXCUSES, Excuse, excuse_for
from tests.http1.opinions import READERS, by_h11, by_lasthop, by_llhttp, differences

CASES = list(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_accepted_is_read_alike(case: Case) -> None:
    found = differences(case.sent, case.limits)
    assert [difference for difference in found if excuse_for(difference, case.sent) is None] == []


def test_no_excuse_is_without_a_file() -> None:
    """A row that no file needs any more would only hide something."""
    used: set[Excuse] = set()
    for case in CASES:
        found = (excuse_for(difference, case.sent) for difference in differences(case.sent, case.limits))
        used.update(excuse for excuse in found if excuse is not None)
    assert [(excuse.reader, excuse.words, excuse.why) for excuse in EXCUSES if excuse not in used] == []


def test_what_both_refuse_and_ours_accepts_is_short() -> None:
    both = {
        case.name
        for case in CASES
        if {
            difference.reader
            for difference in differences(case.sent, case.limits)
            if difference.what == "refuses"
        }
        == set(READERS)
    }
    assert both == {
        # Bytes above 127 in a target: fronts forward them.
        "targets/utf-8-unescaped-in-the-path",
        "targets/latin-1-unescaped-in-the-query",
        "targets/a-no-break-space-of-latin-1-is-no-blank",
        "targets/a-next-line-of-latin-1-is-no-line-end",
        # Dropped here with every other trailer field.
        "trailers/framing-fields-in-a-trailer-are-dropped-like-others",
    }


@pytest.mark.parametrize("read", [by_lasthop, by_h11, by_llhttp])
def test_each_opinion_tells_heads_bodies_and_ends(read: object) -> None:
    """The comparison is worth something only if all three are really asked."""
    data = (
        b"POST /1 HTTP/1.1\r\nHost: a\r\nX: b \r\nEmpty:\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nT: u\r\n\r\n"
        b"\r\nGET /3 HTTP/1.0\r\n\r\n"
        b"POST /4 HTTP/1.1\r\nHost: a\r\nX_Y: z\r\nContent-Length: 3\r\n\r\nab"
    )
    assert callable(read)
    opinion = read(data)
    assert opinion.refused is None
    assert [(seen.method, seen.target, seen.minor, seen.headers, seen.body, seen.done) for seen in opinion.requests] == [
        (b"POST", b"/1", 1, [(b"host", b"a"), (b"x", b"b"), (b"empty", b""), (b"content-length", b"2"), (b"connection", b"close")], b"hi", True),
        (b"POST", b"/2", 1, [(b"host", b"a"), (b"transfer-encoding", b"chunked")], b"abcd", True),
        (b"GET", b"/3", 0, [], b"", True),
        (b"POST", b"/4", 1, [(b"host", b"a"), (b"content-length", b"3")], b"ab", False),
    ]  # fmt: skip


@pytest.mark.parametrize("read", [by_h11, by_llhttp])
def test_each_opinion_tells_a_refusal_after_what_was_well(read: object) -> None:
    assert callable(read)
    opinion = read(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nG@T / HTTP/1.1\r\n\r\n")
    assert [seen.target for seen in opinion.requests] == [b"/1"]
    assert opinion.refused is not None
