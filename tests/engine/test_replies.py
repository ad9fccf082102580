"""Reading replies: all forms that servers give them, cut anywhere; and that nothing a server sends does more than count as an error."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.answering import Talk, Talking, always, measure, once, reply
from tests.engine.conftest import Answer
from tests.engine.running import get

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

GOOD: dict[str, tuple[bytes, int, int]] = {
    # name: (the reply, its status, bytes of its content)
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", 200, 5),
    "names in capitals": (OK + b"CONTENT-LENGTH: 5\r\n\r\nhello", 200, 5),
    "no blank after the colon": (OK + b"Content-Length:5\r\n\r\nhello", 200, 5),
    "many blanks": (OK + b"Content-Length: \t 5 \t\r\n\r\nhello", 200, 5),
    "the same length twice": (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, 5),
    "lines that end in LF alone": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 200, 5),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", 200, 5),
    "an empty reason": (b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", 200, 5),
    "no content": (OK + b"Content-Length: 0\r\n\r\n", 200, 0),
    "a status of its own": (b"HTTP/1.1 799 Own\r\nContent-Length: 1\r\n\r\n!", 799, 1),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, 0),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", 304, 0),
    "HTTP/1.0 that keeps": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 200, 2),
    "a list of connection options": (OK + b"Connection: foo,Keep-Alive , bar\r\nContent-Length: 2\r\n\r\nok", 200, 2),
    "names that begin alike": (OK + b"Content-Lengths: 9\r\nTransfer: 3\r\nC: d\r\nt:\r\nContent-Length: 2\r\n\r\nok", 200, 2),
    "a line without a colon": (OK + b"connection close\r\nContent-Length: 2\r\n\r\nok", 200, 2),
    "chunks": (CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 200, 11),
    "chunks of nothing": (CHUNKED + b"0\r\n\r\n", 200, 0),
    "chunks with extensions and a trailer": (CHUNKED + b"00A;a=b;c\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: z\r\n\r\n", 200, 10),
    "more than one coding": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, 2),
    "100 before": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello", 200, 5),
    "several interim replies": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n" * 3
        + b"HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\n.", 404, 1,
    ),
    "a large head": (OK + b"X: " + b"y" * 60_000 + b"\r\nContent-Length: 1\r\n\r\n.", 200, 1),
}  # fmt: skip

ENDS: dict[str, tuple[bytes, int, int]] = {
    # The connection ends with these.
    "until the end": (OK + b"\r\n" + b"some content", 200, 12),
    "nothing until the end": (OK + b"\r\n", 200, 0),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", 200, 5),
    "HTTP/1.0 with a length": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5),
    "close": (OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", 200, 5),
    "close among others": (OK + b"Connection: a, CLOSE\r\nContent-Length: 5\r\n\r\nhello", 200, 5),
    "chunks and close": (OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n0\r\n\r\n", 200, 1),
    "a coding that has no end": (OK + b"Transfer-Encoding: gzip\r\n\r\nhello", 200, 5),
    "upgraded": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nwhatever follows", 101, 0),
}  # fmt: skip

BAD: dict[str, bytes] = {
    "no HTTP": b"220 ready\r\n\r\n",
    "an empty line": b"\r\n" + GOOD["length"][0],
    "HTTP/2": b"HTTP/2 200\r\ncontent-length: 0\r\n\r\n",
    "no status": b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "a short status": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status 0": b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "a signed length": OK + b"Content-Length: -5\r\n\r\nhello",
    "an empty length": OK + b"Content-Length:\r\n\r\nhello",
    "a length that no number holds": OK + b"Content-Length: 99999999999999999999\r\n\r\nhello",
    "a length in letters": OK + b"Content-Length: 0x5\r\n\r\nhello",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a list of lengths": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "length and chunks": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\n\r\n",
    "a chunk size of letters": CHUNKED + b"xyz\r\n",
    "a signed chunk size": CHUNKED + b"-1\r\n",
    "a chunk size that no number holds": CHUNKED + b"fffffffffffffffff\r\n",
    "the largest chunk size": CHUNKED + b"ffffffffffffffff\r\n",
    "a size that overflows what came": CHUNKED + b"1\r\n.\r\n7fffffffffffffff\r\n",
    "a chunk that is longer than its size": CHUNKED + b"3\r\nhello\r\n0\r\n\r\n",
    "an endless chunk extension": CHUNKED + b"1;" + b"x" * 70_000,
    "an endless trailer": CHUNKED + b"0\r\n" + b"X: y\r\n" * 20_000,
    "a head without end": OK + b"X: " + b"y" * 70_000,
    "a head of endless lines": OK + b"X: y\r\n" * 20_000,
    "a head without lines": b"HTTP/1.1 200 OK" + b" " * 70_000,
    "a body where there is none": b"HTTP/1.1 204 No Content\r\n\r\nhello",
    "a second reply unasked": GOOD["length"][0] * 2,
    "more than its length": GOOD["length"][0] + b"!",
}


def linger(talk: Talking) -> Talking:
    """After that, keep the connection open until the test ends: what is wrong must be seen in the bytes."""

    def talk_and_linger(peer: Talk) -> None:
        talk(peer)
        peer.socket.recv(1)
        peer.server.over.wait(20)

    return talk_and_linger


@pytest.mark.parametrize("name", GOOD)
def test_a_reply_that_keeps_the_connection(answer: Answer, name: str) -> None:
    text, status, content = GOOD[name]
    server = answer(always(text))
    found = measure(server.path, count=12, connections=2)
    assert ({status: 12}, {}) == (found["statuses"], found["errors"])
    assert (12 * content, 12 * len(text)) == (found["body_bytes"], found["bytes_in"])
    assert 2 == server.accepted


@pytest.mark.parametrize("name", ENDS)
def test_a_reply_that_ends_the_connection(answer: Answer, name: str) -> None:
    text, status, content = ENDS[name]
    server = answer(once(text))
    found = measure(server.addresses["tcp"], count=12, connections=2)
    assert ({status: 12}, {}) == (found["statuses"], found["errors"])
    assert 12 * content == found["body_bytes"]
    assert 12 == server.accepted


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_reply_is_malformed(answer: Answer, name: str) -> None:
    def talk(peer: Talk) -> None:
        peer.head()
        peer.send(BAD[name])

    found = measure(answer(linger(talk)).path, count=4, connections=2)
    assert ({}, {"malformed": 4}) == (found["statuses"], found["errors"])


@pytest.mark.parametrize("name", [*GOOD, *ENDS])
def test_a_reply_may_come_byte_by_byte(answer: Answer, name: str) -> None:
    text, status, content = (GOOD | ENDS)[name]
    cuts = list(range(1, len(text))) if len(text) < 1000 else [*range(1, 40), *range(1000, len(text), 997)]

    def talk(peer: Talk) -> None:
        while peer.head() is not None:
            peer.send_in_pieces(text, cuts)
            if name in ENDS:
                return

    found = measure(answer(talk).path, count=3, connections=1)
    assert ({status: 3}, {}) == (found["statuses"], found["errors"])
    assert 3 * content == found["body_bytes"]


@pytest.mark.parametrize("name", [*BAD])
def test_what_is_no_reply_is_malformed_in_pieces_too(answer: Answer, name: str) -> None:
    text = BAD[name]
    cuts = list(range(1, len(text))) if len(text) < 1000 else list(range(1, len(text), 997))

    def talk(peer: Talk) -> None:
        peer.head()
        peer.send_in_pieces(text, cuts)

    found = measure(answer(linger(talk)).path, count=2, connections=1)
    # What comes after a whole reply may come when the next request is already asked, and then fails that one.
    surplus = name in {"a body where there is none", "a second reply unasked", "more than its length"}
    assert 2 == sum(found["errors"].values()) + found["requests"]
    assert surplus or {"malformed": 2} == found["errors"]


@pytest.mark.parametrize("text", [GOOD["length"][0], GOOD["chunks"][0], GOOD["100 before"][0]])
def test_pipelined_replies_may_be_cut_anywhere(answer: Answer, text: bytes) -> None:
    def talk(peer: Talk) -> None:
        peer.head()
        peer.send(text)
        for size in range(1, 50):
            for _ in range(5):
                if peer.head() is None:
                    return
            peer.send_in_pieces(text * 5, list(range(size, 5 * len(text), size)))

    found = measure(answer(talk).path, count=1 + 5 * 40, connections=1, pipeline=5)
    assert ({200: 201}, {}) == (found["statuses"], found["errors"])


@pytest.mark.parametrize(
    "text",
    [GOOD["length"][0][:-5], GOOD["chunks"][0][: len(CHUNKED)], OK + b"\r\n", b"HTTP/1.1 204 No\r\n\r\n"],
)
def test_a_reply_to_head_has_no_body(answer: Answer, text: bytes) -> None:
    found = measure(answer(always(text)).path, get(method="HEAD"), count=20, connections=1, is_head=True)
    assert (20, 0, {}) == (found["requests"], found["body_bytes"], found["errors"])


def test_a_body_in_a_reply_to_head_is_malformed(answer: Answer) -> None:
    found = measure(answer(always(GOOD["length"][0])).path, count=2, connections=1, is_head=True)
    assert {"malformed": 2} == found["errors"]


def test_replies_that_differ_are_told_apart(answer: Answer) -> None:
    """A head that is equal to the last one is only compared: those that are nearly equal must not pass for it."""
    texts = [
        reply(b"12345"), reply(b"12345"), reply(b"123456"), reply(b"12345", "A: b"), reply(b"1234"), reply(b"12345"),
        reply(b"12345", status="201 OK"), reply(b"12345"), reply(b""),
    ]  # fmt: skip

    def talk(peer: Talk) -> None:
        number = 0
        while peer.head() is not None:
            peer.send(texts[number % len(texts)])
            number += 1

    found = measure(answer(talk).path, count=90, connections=1)
    assert ({200: 80, 201: 10}, {}) == (found["statuses"], found["errors"])
    assert 10 * (5 * 6 + 6 + 4) == found["body_bytes"]


def test_bytes_after_the_last_reply_are_ignored(answer: Answer) -> None:
    text = ENDS["close"][0]
    found = measure(answer(once(text + b"and more of no meaning")).path, count=10, connections=1)
    assert ({200: 10}, {}) == (found["statuses"], found["errors"])


def test_a_server_that_says_it_closes_and_does_not_is_left(answer: Answer) -> None:
    def talk(peer: Talk) -> None:
        peer.head()
        peer.send(ENDS["close"][0])

    server = answer(linger(talk))
    found = measure(server.path, count=2, connections=1)
    assert ({200: 2}, 2) == (found["statuses"], server.accepted)
    assert 0.9 < found["seconds"] < 3


def test_a_greeting_before_the_request_was_read_does_no_harm(answer: Answer) -> None:
    def talk(peer: Talk) -> None:
        peer.send(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    found = measure(answer(talk).path, count=20, connections=2)
    assert 20 == found["requests"] + sum(found["errors"].values())


# Whatever comes


def mutate(chance: random.Random, text: bytearray) -> None:
    """Change, leave out or put in a few bytes."""
    at = chance.randrange(len(text))
    change = chance.randrange(3)
    if change == 0:
        text[at] = chance.randrange(256)
    elif change == 1 and len(text) > 20:
        del text[at : at + chance.randint(1, 10)]
    else:
        text[at:at] = chance.choice([b"\r", b"\n", b"\r\n", b"0", b"f" * 9, b"\0", b":", b" ", b"\xff"])


def mutated(seed: int) -> tuple[bytes, list[int]]:
    """A reply, or several, with some bytes changed, and where it is cut."""
    chance = random.Random(seed)
    texts = [text for text, _, _ in (*GOOD.values(), *ENDS.values())] + list(BAD.values())
    small = [text for text in texts if len(text) < 1000]
    text = bytearray(b"".join(chance.choice(small) for _ in range(chance.randint(1, 3))))
    for _ in range(chance.choice([0, 1, 1, 2, 5, 20])):
        mutate(chance, text)
    return bytes(text), sorted(chance.sample(range(1, len(text)), chance.randint(0, 9)))


@pytest.mark.parametrize(
    "options", [{}, {"pipeline": 3}, {"keep_alive": False}, {"rate": 1e5, "pipeline": 2}, {"is_head": True}]
)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_server_sends_is_counted_once(answer: Answer, seed: int, options: dict[str, Any]) -> None:
    examples = [mutated(seed * 1000 + number) for number in range(100)]
    places = iter(range(1 << 30))

    def talk(peer: Talk) -> None:
        text, cuts = examples[next(places) % len(examples)]
        if options.get("keep_alive", True) and peer.head() is not None:
            peer.send(
                OK + b"Content-Length: 0\r\n\r\n"
            )  # a good one first, or the load would rest ever longer
        if peer.head() is not None:
            peer.send_in_pieces(text, cuts)

    found = measure(answer(talk).path, count=300, connections=8, reply_timeout=0.2, **options)
    assert 300 == found["requests"] + sum(found["errors"].values())
    assert set(found["errors"]) <= {"malformed", "early_end", "reset", "timed_out"}


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.binary(min_size=1, max_size=300), split=st.integers(1, 299))
def test_bytes_of_no_meaning_are_counted_once(answer: Answer, data: bytes, split: int) -> None:
    text = OK + data

    def talk(peer: Talk) -> None:
        peer.head()
        peer.send_in_pieces(text, [split] if split < len(text) else [])

    server = answer(talk)
    found = measure(server.path, count=2, connections=1, reply_timeout=0.1)
    server.finish()
    assert 2 == found["requests"] + sum(found["errors"].values())
