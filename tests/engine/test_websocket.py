"""An accepted WebSocket, frame by frame: what reaches the application, what goes back, how it ends."""

import zlib
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from lasthop.engine.websocket import MOST_HELD
from tests.engine.sessions import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Pair,
    all_of,
    binary,
    closing,
    disconnect,
    masked,
    opened,
    plain,
    sending,
    taken,
    text,
)

DEFLATE = (b"sec-websocket-extensions", b"permessage-deflate")
COMPRESSED = 0x40
SIZES = [0, 1, 3, 7, 8, 125, 126, 127, 1023, 1024, 1025, 65535, 65536, 200_000]


def deflated(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-12)
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


Buffer = bytes | bytearray | memoryview


def fed(*pieces: Buffer, **terms: Any) -> Any:
    session = opened(**terms)
    for piece in pieces:
        session.feed(piece)
    return session


def close_of(data: bytes) -> int:
    """The code of the close frame that the data is."""
    assert CLOSE == data[0]
    assert data[1] == len(data) - 2
    return int.from_bytes(data[2:4], "big")


# Messages both ways


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("deflate", [False, True])
def test_messages_of_any_size_go_both_ways(size: int, deflate: bool) -> None:
    pair = Pair(deflate=deflate)
    data = ("aé€𝄞" * size)[:size]
    pair.client.send_text(data.encode())
    pair.client.send_binary(bytes(range(256)) * (size // 256 + 1))
    pair.carry()
    assert [text(data), binary(bytes(range(256)) * (size // 256 + 1))] == all_of(pair.session)
    assert 0 == pair.session.held
    pair.session.send(sending(data))
    pair.session.send(sending(data.encode()))
    assert [(Opcode.TEXT, data.encode()), (Opcode.BINARY, data.encode())] == pair.heard()


@pytest.mark.parametrize("deflate", [False, True])
def test_it_does_not_matter_how_the_bytes_are_cut(deflate: bool) -> None:
    whole, cut = Pair(deflate=deflate), Pair(deflate=deflate)
    for pair in (whole, cut):
        pair.client.send_text(b"one " * 50)
        pair.client.send_text(b"two", fin=False)
        pair.client.send_ping(b"there?")
        pair.client.send_continuation(b"three", fin=True)
        pair.client.send_binary(b"")
        pair.client.send_close(1000, "done")
        data = b"".join(pair.client.data_to_send())
        for piece in [data] if pair is whole else [data[i : i + 1] for i in range(len(data))]:
            pair.session.feed(piece)
    expected = [text("one " * 50), text("twothree"), binary(b""), disconnect(1000, "done")]
    assert expected == all_of(whole.session) == all_of(cut.session)
    assert taken(whole.session) == taken(cut.session)


def test_anything_with_a_buffer_can_be_fed() -> None:
    data = masked(TEXT, b"hello")
    session = fed(data, bytearray(data), memoryview(b"xx" + data)[2:])
    assert [text("hello")] * 3 == all_of(session)


def test_what_is_fed_is_not_kept() -> None:
    buffer = bytearray(masked(BINARY, b"abc") + masked(BINARY, b"defghi")[:8])
    session = fed(buffer)
    buffer[:] = b"\0" * len(buffer)
    session.feed(masked(BINARY, b"defghi")[8:])
    assert [binary(b"abc"), binary(b"defghi")] == all_of(session)


def test_fragments_are_put_together_with_control_frames_between_them() -> None:
    session = fed(
        masked(0x01, "€".encode()[:1]),
        masked(PING, b"1"),
        masked(0x00, "€".encode()[1:2]),
        masked(PONG),
        masked(0x00),
        masked(CONT, "€".encode()[2:] + b"!"),
        masked(TEXT, b"next"),
    )
    assert [text("€!"), text("next")] == all_of(session)
    assert plain(PONG, b"1") == taken(session)


def test_a_ping_is_answered_without_the_application() -> None:
    session = fed(masked(PING, b"x" * 125), masked(PING))
    assert plain(PONG, b"x" * 125) + plain(PONG) == taken(session)
    assert [] == all_of(session)


def test_small_pieces_leave_together_and_large_ones_are_not_copied() -> None:
    session = opened()
    large = bytes(100_000)
    for data in (b"a", b"b", large, b"c"):
        session.send(sending(data))
    assert [
        plain(BINARY, b"a") + plain(BINARY, b"b") + plain(BINARY, large)[:10],
        large,
        plain(BINARY, b"c"),
    ] == session.take()
    assert [] == session.take()


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc"), b"abc"])
def test_bytes_to_send_may_be_any_bytes(data: bytes) -> None:
    session = opened()
    session.send({"type": "websocket.send", "bytes": data, "text": None})
    assert plain(BINARY, b"abc") == taken(session)


class Safe(str):
    """As Django's SafeString and MarkupSafe's Markup are."""

    __slots__ = ()


@pytest.mark.parametrize("data", ["plain", "größer", "€" * 10_000, "", "x" * 20_000, "é", "a" * 15 + "é"])
@pytest.mark.parametrize("kind", [str, Safe])
def test_text_to_send_may_be_any_text(data: str, kind: type[str]) -> None:
    session = opened()
    session.send(sending(kind(data)))
    assert plain(TEXT, data.encode()) == taken(session)
    session.feed(masked(TEXT, data.encode()))
    assert [text(data)] == all_of(session)


# What the application does wrong


@pytest.mark.parametrize(
    ("message", "kind", "says"),
    [
        ({"type": "websocket.send"}, ValueError, "'bytes' or 'text'"),
        ({"type": "websocket.send", "text": None, "bytes": None}, ValueError, "'bytes' or 'text'"),
        ({"type": "websocket.send", "text": b"abc"}, TypeError, "'text' is a bytes"),
        ({"type": "websocket.send", "bytes": "abc"}, TypeError, "'bytes' is a str"),
        ({"type": "websocket.send", "text": "\ud800"}, ValueError, "surrogates"),
        ({"type": "websocket.accept"}, ValueError, "'websocket.accept' is no message for an accepted"),
        ({"type": "http.response.start"}, ValueError, "is no message"),
        ({"type": "websocket.close", "code": "1000"}, TypeError, "'code' is an int"),
        ({"type": "websocket.close", "code": 1000, "reason": b"x"}, TypeError, "'reason' a str"),
        ({"type": "websocket.close", "code": 1000, "reason": "x" * 124}, ValueError, "too long"),
        *(
            ({"type": "websocket.close", "code": code}, ValueError, "code")
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000, -1)
        ),
    ],
)
def test_a_wrong_message_is_refused_and_leaves_nothing_behind(
    message: dict[str, object], kind: type[Exception], says: str
) -> None:
    session = opened()
    with pytest.raises(kind, match=says):
        session.send(message)
    assert [] == session.take()
    session.send(sending("still here"))
    assert plain(TEXT, b"still here") == taken(session)


def test_after_its_own_close_the_application_may_send_nothing() -> None:
    session = opened()
    session.send({"type": "websocket.close"})
    with pytest.raises(RuntimeError, match=r"websocket\.send came after websocket\.close"):
        session.send(sending("more"))
    with pytest.raises(RuntimeError, match=r"websocket\.close came after websocket\.close"):
        session.send({"type": "websocket.close"})


def test_to_a_peer_that_has_closed_nothing_can_be_sent_and_a_close_is_no_error() -> None:
    session = fed(masked(CLOSE, closing(1000)))
    with pytest.raises(OSError, match=r"closed"):
        session.send(sending("late"))
    session.send({"type": "websocket.close"})
    assert plain(CLOSE, closing(1000)) == taken(session)


# The end


def test_the_peer_closes() -> None:
    session = fed(masked(TEXT, b"last"), masked(CLOSE, closing(4001, "tschüß")), masked(TEXT, b"too late"))
    assert not session.ended  # the answer is not out
    assert plain(CLOSE, closing(4001, "tschüß")) == taken(session)
    assert session.ended
    assert [text("last"), disconnect(4001, "tschüß")] == all_of(session)


def test_the_peer_closes_without_a_code() -> None:
    session = fed(masked(CLOSE))
    assert plain(CLOSE) == taken(session)
    assert [disconnect(1005)] == all_of(session)


@pytest.mark.parametrize("by_server", [False, True])
def test_we_close_and_wait_for_the_peers_frame(by_server: bool) -> None:
    session = fed(masked(TEXT, b"before"), masked(0x01, b"begun"))
    if by_server:
        session.close(1001, "going")
    else:
        session.send({"type": "websocket.close", "code": 1001, "reason": "going"})
    assert plain(CLOSE, closing(1001, "going")) == taken(session)
    assert not session.ended
    session.feed(masked(CONT, b"-done") + masked(TEXT, b"dropped") + masked(PING, b"?"))
    assert plain(PONG, b"?") == taken(session)
    session.feed(masked(CLOSE, closing(1001)))
    assert session.ended
    assert [text("before"), disconnect(1001, "going")] == all_of(session)


def test_the_servers_close_is_no_error_of_the_application() -> None:
    session = opened()
    session.close(1001)
    session.close(1011)
    assert plain(CLOSE, closing(1001)) == taken(session)
    with pytest.raises(OSError, match=r"closed"):
        session.send(sending("late"))
    session.send({"type": "websocket.close"})
    assert disconnect(1001) == session.disconnect


def test_a_peer_that_is_gone_without_a_word_is_an_abnormal_closure() -> None:
    for pieces in ([], [masked(TEXT, b"half")[:7]], [masked(0x01, b"fragment")]):
        session = fed(*pieces)
        session.feed_eof()
        session.feed_eof()
        session.feed(masked(TEXT, b"a ghost"))
        assert session.ended
        assert [disconnect(1006)] == all_of(session)
        assert [] == session.take()


def test_a_peer_that_is_gone_after_our_close_changes_nothing_for_the_application() -> None:
    session = opened()
    session.send({"type": "websocket.close", "code": 3000})
    taken(session)
    session.feed_eof()
    assert session.ended
    assert [disconnect(3000)] == all_of(session)


# What no peer may send

REFUSED: list[tuple[str, bytes, int]] = [
    ("unmasked", plain(TEXT, b"hello"), 1002),
    ("unmasked ping", plain(PING), 1002),
    ("rsv1 without deflate", masked(TEXT | 0x40, b"hello"), 1002),
    ("rsv2", masked(TEXT | 0x20, b"hello"), 1002),
    ("rsv3", masked(BINARY | 0x10), 1002),
    *((f"opcode {code}", masked(0x80 | code), 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    ("fragmented ping", masked(0x09), 1002),
    ("fragmented close", masked(0x08), 1002),
    ("long ping", masked(PING, b"x" * 126), 1002),
    ("long close", masked(CLOSE, closing(1000, "x" * 124)), 1002),
    ("continuation of nothing", masked(CONT, b"x"), 1002),
    ("unfinished continuation of nothing", masked(0x00, b"x"), 1002),
    ("text in a fragmented message", masked(0x01, b"x") + masked(TEXT, b"y"), 1002),
    ("binary in a fragmented message", masked(0x01, b"x") + masked(0x02, b"y"), 1002),
    ("close of one byte", masked(CLOSE, b"\x03"), 1002),
    ("close in a fragmented message", masked(0x01, b"x") + masked(CLOSE, closing(1000)), 1002),
    *(
        (f"close code {code}", masked(CLOSE, closing(code)), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    ),
    ("reason that is no text", masked(CLOSE, closing(1000) + b"\xff"), 1007),
    ("text that is none", masked(TEXT, b"ab\xff"), 1007),
    ("text that ends early", masked(TEXT, "€".encode()[:2]), 1007),
    ("surrogate", masked(TEXT, b"\xed\xa0\x80"), 1007),
    ("overlong", masked(TEXT, b"\xc0\xaf"), 1007),
    ("long text that is none", masked(TEXT, b"x" * 900 + b"\xff" * 25), 1007),
    ("fragments that are no text", masked(0x01, b"\xe2") + masked(CONT, b"\x28"), 1007),
    ("too large", masked(BINARY, bytes(1001)), 1009),
    ("too large by its head alone", b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 1009),
    ("a length with the high bit", b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1009),
    ("fragments too large", masked(0x02, bytes(600)) + masked(CONT, bytes(600)), 1009),
]


@pytest.mark.parametrize("by_byte", [False, True])
@pytest.mark.parametrize(("data", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_no_peer_may_send_ends_the_connection(data: bytes, code: int, by_byte: bool) -> None:
    session = opened(max_size=1000)
    for piece in [data[i : i + 1] for i in range(len(data))] if by_byte else [data]:
        session.feed(piece)
    out = taken(session)
    assert code == close_of(out)
    assert session.ended
    (message,) = all_of(session)
    assert disconnect(code, out[4:].decode()) == message
    session.feed(masked(TEXT, b"after"))
    session.feed_eof()
    assert [] == all_of(session)
    assert [] == session.take()


def test_what_came_before_the_trouble_is_delivered() -> None:
    session = fed(masked(TEXT, b"good") + plain(TEXT, b"bad") + masked(TEXT, b"never"))
    first, last = all_of(session)
    assert text("good") == first
    assert 1002 == last["code"]


def test_trouble_after_our_close_ends_it_without_a_second_close_frame() -> None:
    session = opened()
    session.close(1001)
    taken(session)
    session.feed(plain(TEXT, b"bad"))
    assert [] == session.take()
    assert session.ended
    assert [disconnect(1001)] == all_of(session)


# Compression


def test_what_is_compressed_is_smaller_on_the_wire() -> None:
    pair = Pair(deflate=True)
    pair.session.send(sending("hello " * 1000))
    assert len(taken(pair.session)) < 100


def test_the_bound_on_a_message_is_meant_for_what_it_becomes() -> None:
    bomb = masked(BINARY | COMPRESSED, deflated(bytes(10_000_000)))
    assert len(bomb) < 20_000
    session = opened(DEFLATE, max_size=1_000_000)
    session.feed(bomb)
    assert 1009 == close_of(taken(session))
    whole = opened(DEFLATE, max_size=10_000_000)
    whole.feed(bomb)
    assert [binary(bytes(10_000_000))] == all_of(whole)


def test_the_bound_holds_for_compressed_fragments_together() -> None:
    data = deflated(bytes(100_000))
    session = opened(DEFLATE, max_size=99_999)
    session.feed(masked(0x02 | COMPRESSED, data[:20]))
    session.feed(masked(CONT, data[20:]))
    assert 1009 == close_of(taken(session))


@pytest.mark.parametrize(
    "data",
    [
        masked(TEXT | COMPRESSED, b"\xff\xff\xff"),
        masked(0x01 | COMPRESSED, deflated(b"abc")) + masked(CONT | COMPRESSED, b"abc"),
        masked(PING | COMPRESSED, b"abc"),
    ],
)
def test_compression_that_is_none_is_a_protocol_error(data: bytes) -> None:
    session = opened(DEFLATE)
    session.feed(data)
    assert 1002 == close_of(taken(session))


def test_text_is_judged_when_it_is_decompressed() -> None:
    session = opened(DEFLATE)
    session.feed(masked(TEXT | COMPRESSED, deflated(b"ab\xff")))
    assert 1007 == close_of(taken(session))


def test_a_stream_that_says_it_is_over_keeps_nothing() -> None:
    last = zlib.compressobj(wbits=-12)
    data = last.compress(b"over") + last.flush()
    session = opened(DEFLATE)
    for _ in range(3):
        session.feed(masked(TEXT | COMPRESSED, data))
    assert [text("over")] * 3 == all_of(session)


def test_messages_of_both_kinds_follow_each_other() -> None:
    pair = Pair(deflate=True)
    for data in (b"squeezed " * 10, b"as it is", b"squeezed " * 10):
        if data == b"as it is":
            pair.session.feed(masked(TEXT, data))
        else:
            pair.client.send_text(data)
            pair.carry()
    assert ["squeezed " * 10, "as it is", "squeezed " * 10] == [each["text"] for each in all_of(pair.session)]
    for words in ("squeezed " * 10, "short", "squeezed " * 10):
        pair.session.send(sending(words))
    assert ["squeezed " * 10, "short", "squeezed " * 10] == [data.decode() for _, data in pair.heard()]


# What is held


def test_the_messages_that_are_not_taken_have_a_weight() -> None:
    session = fed(masked(BINARY, bytes(1000)), masked(TEXT, b"x" * 500))
    assert 1500 < session.held < 3000
    all_of(session)
    assert 0 == session.held


def test_text_weighs_what_it_takes_in_memory() -> None:
    session = fed(masked(TEXT, ("x" * 1000 + "𝄞").encode()))
    assert 4000 < session.held


def test_what_a_peer_sends_ahead_is_digested_as_it_is_taken() -> None:
    bombs = masked(BINARY | COMPRESSED, deflated(bytes(1_000_000))) * 20
    session = opened(DEFLATE)
    session.feed(bombs + masked(CLOSE, closing(1000)))
    session.feed_eof()
    assert 1 == len(session.messages)
    assert session.held < 1_000_000 + MOST_HELD
    seen = []
    while session.messages:
        seen.append(session.messages.popleft())
        assert session.held < 1_000_000 + MOST_HELD
    assert [binary(bytes(1_000_000))] * 20 + [disconnect(1000)] == seen
    assert plain(CLOSE, closing(1000)) == taken(session)
    assert session.ended


def test_a_flood_of_empty_messages_is_bounded_too() -> None:
    session = fed(masked(TEXT) * 10_000)
    assert len(session.messages) < 1000
    count = 0
    while session.messages:
        assert text("") == session.messages.popleft()
        count += 1
    assert 10_000 == count


def test_a_peer_that_is_gone_is_told_after_what_it_had_sent() -> None:
    session = fed(masked(BINARY, bytes(MOST_HELD)) * 3)
    session.feed_eof()
    assert [MOST_HELD] * 3 == [len(session.messages.popleft()["bytes"]) for _ in range(3)]
    assert disconnect(1006) == session.messages.popleft()
    assert 0 == len(session.messages)
    with pytest.raises(IndexError):
        session.messages.popleft()


def test_a_close_while_messages_are_ahead_finds_the_peers_close_behind_them() -> None:
    session = fed(masked(BINARY, bytes(MOST_HELD)) * 3 + masked(CLOSE, closing(1000)))
    session.send({"type": "websocket.close"})
    assert plain(CLOSE, closing(1000)) == taken(session)
    assert session.ended
    assert [MOST_HELD] == [len(message["bytes"]) for message in all_of(session) if "bytes" in message]


def test_an_end_is_an_end_though_messages_are_ahead() -> None:
    ahead = masked(BINARY, bytes(MOST_HELD)) * 3
    closed = fed(ahead)
    closed.feed_eof()
    closed.send({"type": "websocket.close"})
    taken(closed)
    assert closed.ended
    lost = fed(ahead)
    lost.send(sending("never written"))
    lost.lost()
    assert [] == lost.take()
    assert lost.ended
    assert [MOST_HELD, 1006] == [len(each.get("bytes", b"")) or each["code"] for each in all_of(lost)]


# Keep-alive


def test_a_ping_asks_whether_the_peer_is_there() -> None:
    session = opened()
    assert session.alive
    session.ping()
    assert plain(PING) == taken(session)
    assert not session.alive
    session.feed(masked(PONG))
    assert session.alive
    assert [] == all_of(session)


def test_a_session_that_is_closing_pings_no_more() -> None:
    session = opened()
    session.close(1000)
    taken(session)
    session.ping()
    assert [] == session.take()
    assert session.alive


def test_a_compressor_that_rests_starts_anew_and_the_peer_sees_no_difference() -> None:
    pair = Pair(deflate=True)
    sizes = []
    for pings in (0, 1, 2):
        for _ in range(pings):
            pair.session.ping()
            assert [(Opcode.PING, b"")] == pair.heard()
        pair.session.send(sending("one and the same message, which compresses well the second time"))
        (piece,) = pair.session.take()
        pair.client.receive_data(piece)
        (frame,) = pair.client.events_received()
        assert isinstance(frame, Frame)
        assert b"one and the same" in frame.data
        sizes.append(len(piece))
    assert sizes[1] < sizes[0] == sizes[2]
