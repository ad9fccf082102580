"""The table of refusals, and that the compiled readers count its rows as it stands."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from lasthop import http1
from lasthop.http1 import REFUSALS, Limits, RequestReader
from lasthop.http1.refusals import ROWS, refusal_of

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SMALL = Limits(line=50, fields=4, field_size=60, head=200, body=100)

# The shortest request that breaks each rule.
BREAKING: dict[str, bytes] = {
    "bad_request_line": b"GET /\r\n",
    "bad_method": b"(",
    "bad_target": b"GET #",
    "bad_version": b"GET / x",
    "version_not_supported": b"GET / HTTP/2.0\r\n",
    "bare_lf": b"GET / HTTP/1.1\n",
    "bare_cr": b"GET / HTTP/1.1\rx",
    "bad_header_name": HEAD + b"(",
    "bad_header_value": HEAD + b"A: \0",
    "folded_header": HEAD + b" ",
    "missing_host": b"GET / HTTP/1.1\r\n\r\n",
    "repeated_host": HEAD + b"Host: a\r\n\r\n",
    "bad_host": b"GET / HTTP/1.1\r\nHost: @\r\n\r\n",
    "bad_content_length": HEAD + b"Content-Length: x\r\n\r\n",
    "repeated_content_length": HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "length_and_chunked": HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "bad_transfer_encoding": HEAD + b"Transfer-Encoding: x\r\n\r\n",
    "transfer_encoding_1_0": b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "unknown_transfer_encoding": HEAD + b"Transfer-Encoding: x, chunked\r\n\r\n",
    "ambiguous_name": HEAD + b"A-B: c\r\nA_B: c\r\n\r\n",
    "bad_expect": HEAD + b"Expect: x\r\n\r\n",
    "line_too_long": b"G" * 51,
    "too_many_fields": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4 + b"A",
    "field_too_large": HEAD + b"A" * 61,
    "head_too_large": b"GET / HTTP/1.1\r\n" + (b"A: " + b"b" * 50 + b"\r\n") * 4,
    "body_too_large": HEAD + b"Content-Length: 101\r\n\r\n",
    "bad_chunk_size": CHUNKED + b"x",
    "bad_chunk_extension": CHUNKED + b"1;;",
    "bad_chunk_end": CHUNKED + b"1\r\nxx",
    "bad_trailer": CHUNKED + b"0\r\n(",
    "connect_refused": b"CONNECT a:1 HTTP/1.1\r\n",
    "empty_lines": b"\r\n\r\n",
}


def test_each_row_can_be_broken() -> None:
    assert [name for name, _, _ in ROWS] == list(BREAKING)


@pytest.mark.parametrize("name", BREAKING)
def test_the_reader_names_the_row_that_was_broken(name: str) -> None:
    reader = RequestReader(SMALL)
    status, _ = REFUSALS[name]
    assert ("refused", status, name) == reader.feed(BREAKING[name])[-1]
    assert reader.closed
    assert [] == reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


def test_the_compiled_names_stand_in_the_order_of_the_rows() -> None:
    """The declarations themselves; that they were compiled so is what the requests above show."""
    declared: list[tuple[str, int]] = []
    for source in sorted(Path(http1.__path__[0]).glob("*.pxd")):
        enum = re.search(r"cdef enum Refusal:\n((?:    .*\n|\n)+)", source.read_text())
        if enum:
            declared = [(name.lower(), int(code)) for name, code in re.findall(r"(\w+) = (-\d+)", enum[1])]
    assert [(name, -place) for place, (name, _, _) in enumerate(ROWS, 1)] == declared


def test_a_code_leads_to_its_row() -> None:
    assert list(ROWS) == [refusal_of(-place) for place in range(1, len(ROWS) + 1)]


def test_each_row_has_a_status_that_exists_and_a_sentence() -> None:
    for name, status, sentence in ROWS:
        assert 400 <= HTTPStatus(status) < 600, name
        assert re.fullmatch(r"\w.*[^.]", sentence), name
    assert len(ROWS) == len(REFUSALS)
