"""Bodies: which bytes are content, where they end, however they are cut. More, byte by byte, is in the corpus."""

import itertools

import pytest

from lasthop.http1 import RequestReader

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


def read(*pieces: bytes) -> tuple[bytes, list[str]]:
    """The content, and the kinds of the other events, of what is fed piece by piece."""
    reader = RequestReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    content = b"".join(event[1] for event in events if event[0] == "data")
    return content, [
        event[2] if event[0] == "refused" else event[0] for event in events if event[0] != "data"
    ]


BODIES = {
    b"Content-Length: 0\r\n\r\n": b"",
    b"Content-Length: 5\r\n\r\nhello": b"hello",
    b"Content-Length: 005\r\n\r\nhello": b"hello",
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": b"",
    b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n": b"hello",
    b"Transfer-Encoding: chunked\r\n\r\n0000000000000005\r\nhello\r\n000\r\n\r\n": b"hello",
    b"Transfer-Encoding: chunked\r\n\r\n2;a\r\nhe\r\n3;a=b;c=\"d\\\"e\";f\r\nllo\r\n0;g=h\r\nX-T: 1\r\nY:\r\n\r\n": b"hello",
    b"Transfer-Encoding: chunked\r\n\r\nA\r\n\r\n0\r\n\r\n\r\n!\r\n0\r\n\r\n": b"\r\n0\r\n\r\n\r\n!"[:10],
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_the_same_cut_at_any_place(body: bytes) -> None:
    data = HEAD + body + NEXT
    expected = (BODIES[body], ["head", "end", "head", "end"])
    assert expected == read(data)
    assert expected == read(*(bytes([byte]) for byte in data))
    for cut in range(len(data)):
        assert expected == read(data[:cut], data[cut:])


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_breaks_off_is_not_complete(body: bytes) -> None:
    for cut in range(len(body)):
        assert "end" not in read(HEAD + body[:cut])[1], body[:cut]


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (b"\r\n", "bad_chunk_size"),
        (b" 5\r\n", "bad_chunk_size"),
        (b"5 \r\n", "bad_chunk_size"),
        (b"+5\r\n", "bad_chunk_size"),
        (b"-5\r\n", "bad_chunk_size"),
        (b"0x5\r\n", "bad_chunk_size"),
        (b"5_0\r\n", "bad_chunk_size"),
        (b"00000000000000005\r\n", "bad_chunk_size"),
        (b"ffffffffffffffff\r\n", "body_too_large"),
        (b"8000000000000000\r\n", "body_too_large"),
        (b"7fffffffffffffff\r\n", "body_too_large"),
        (b"40000001\r\n", "body_too_large"),
        (b"5\n", "bare_lf"),
        (b"5;a\n", "bare_lf"),
        (b"5\rx", "bare_cr"),
        (b"5;\r\n", "bad_chunk_extension"),
        (b"5; a\r\n", "bad_chunk_extension"),
        (b"5;a =b\r\n", "bad_chunk_extension"),
        (b"5;a=\r\n", "bad_chunk_extension"),
        (b"5;=b\r\n", "bad_chunk_extension"),
        (b'5;a="b\r\n', "bad_chunk_extension"),
        (b'5;a="b"c\r\n', "bad_chunk_extension"),
        (b'5;a="\\\r\n', "bad_chunk_extension"),
        (b'5;a="\0"\r\n', "bad_chunk_extension"),
        (b"5\r\nhelloX", "bad_chunk_end"),
        (b"5\r\nhello\n", "bad_chunk_end"),
        (b"5\r\nhello\rX", "bad_chunk_end"),
        (b"0\r\nX\r\n\r\n", "bad_trailer"),
        (b"0\r\nX : y\r\n\r\n", "bad_trailer"),
        (b"0\r\n X: y\r\n\r\n", "bad_trailer"),
        (b"0\r\nX: y\n\r\n", "bad_trailer"),
        (b"0\r\nX: \0\r\n\r\n", "bad_trailer"),
        (b"0\r\n\rX", "bad_trailer"),
    ],
)
def test_a_malformed_chunk_is_refused(line: bytes, refusal: str) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert refusal == read(head + line + b"hello\r\n0\r\n\r\n")[1][-1]
    assert refusal == read(head + b"3\r\nabc\r\n" + line + b"hello\r\n0\r\n\r\n")[1][-1]


def test_no_two_characters_after_a_chunk_but_its_end_are_accepted() -> None:
    for two in itertools.product(b"\r\n 0a\0", repeat=2):
        kinds = read(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx" + bytes(two) + b"0\r\n\r\n")[1]
        assert (kinds[-1] == "end") == (bytes(two) == b"\r\n"), bytes(two)
