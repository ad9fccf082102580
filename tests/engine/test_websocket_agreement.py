"""Our own reading of frames against the `websockets` library's alone: whatever a peer sends, however it is cut, both say the same."""

from __future__ import annotations

import logging
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side

from lasthop.engine.handshake import Deflate
from tests.engine.sessions import (
    Message,
    all_of,
    binary,
    disconnect,
    head_of,
    masked,
    opened,
    plain,
    taken,
    text,
)

MOST = 200
LOGGER = logging.getLogger("lasthop.websocket")


class Library:
    """A server that leaves every byte to the library, and only puts its frames together.

    The bytes go in one by one, so that text is judged before the frame after it.
    """

    def __init__(self, deflate: bool) -> None:
        self.protocol = Protocol(Side.SERVER, max_size=MOST, logger=LOGGER)
        if deflate:
            self.protocol.extensions = [Deflate(False, False, 15, 12, {"memLevel": 5})]
        self.parts = b""
        self.is_text = False
        self.messages: list[Message] = []
        self.out = b""
        self.ended = False
        self.closing = False

    def close(self) -> None:
        if not self.ended and not self.closing:
            self.closing = True
            self.messages.append(disconnect(1001, "now"))
            self.protocol.send_close(1001, "now")
            self.collect()

    def feed(self, data: bytes) -> None:
        for byte in data:
            if not self.ended:
                self.step(bytes([byte]))

    def step(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            assert isinstance(event, Frame)
            self.take(event)
        self.collect()

    def collect(self) -> None:
        for piece in self.protocol.data_to_send():
            self.out += piece
            self.ended = self.ended or not piece
        if self.ended and not self.closing:
            close = self.protocol.close_sent if self.protocol.parser_exc else self.protocol.close_rcvd
            close = close or self.protocol.close_sent
            assert close is not None
            self.messages.append(disconnect(close.code, close.reason))

    def take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self.is_text = frame.opcode is Opcode.TEXT
            self.parts = b""
        elif frame.opcode is not Opcode.CONT:
            return
        self.parts += frame.data
        if not frame.fin or self.closing:
            return
        if not self.is_text:
            self.messages.append(binary(self.parts))
            return
        try:
            self.messages.append(text(self.parts.decode()))
        except UnicodeDecodeError as error:
            self.protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")

    def feed_eof(self) -> None:
        if not self.ended and not self.closing:
            self.messages.append(disconnect(1006))
        self.ended = True


def deflated(data: bytes, last: bool) -> bytes:
    squeeze = zlib.compressobj(wbits=-12)
    done = squeeze.compress(data) + squeeze.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
    return done if last else done[:-4]


PAYLOADS = st.one_of(
    st.binary(max_size=30),
    st.text(max_size=20).map(str.encode),
    st.sampled_from(["€", "𝄞", "é"]).map(lambda c: c.encode()[:1]),
    st.sampled_from([b"\x03", b"\x03\xe8", b"\x03\xe8fine", b"\x03\xee", b"\x03\xe8\xff", b"\x0f\xa0"]),
    st.integers(90, 260).map(bytes),
    st.builds(deflated, st.binary(max_size=MOST + 50), st.booleans()),
)
MASKS = st.binary(min_size=4, max_size=4)
USUAL = st.sampled_from([0x81, 0x82, 0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x80, 0x89, 0x8A])
FRAMES = st.one_of(
    st.builds(masked, USUAL, PAYLOADS, MASKS),
    st.builds(masked, USUAL, PAYLOADS, MASKS),
    st.builds(masked, st.sampled_from([0xC1, 0xC2, 0x41, 0x42, 0x80, 0x00]), PAYLOADS, MASKS),
    st.builds(masked, st.just(0x88), PAYLOADS, MASKS),
    st.builds(masked, st.integers(0, 255), PAYLOADS, MASKS),
    st.builds(plain, st.integers(0, 255), PAYLOADS),
    st.builds(head_of, st.integers(0, 255), st.integers(0, 1 << 63), st.sampled_from([0, 0x80])),
    # Lengths that take more bytes than they need.
    st.builds(lambda head, size: bytes([head, 0xFE, 0, size]) + bytes(4 + size), USUAL, st.integers(0, 130)),
    st.builds(
        lambda head, size: bytes([head, 0xFF, *bytes(7), size]) + bytes(4 + size), USUAL, st.integers(0, 130)
    ),
    st.binary(max_size=20),
)


@settings(max_examples=1500, deadline=None)
@given(frames=st.lists(FRAMES, max_size=12), deflate=st.booleans(), data=st.data())
def test_both_ways_to_read_say_the_same(frames: list[bytes], deflate: bool, data: st.DataObject) -> None:
    extension = (b"sec-websocket-extensions", b"permessage-deflate")
    ours = opened(*[extension] * deflate, max_size=MOST)
    theirs = Library(deflate)
    stream = b"".join(frames)
    written = b""
    while stream:
        size = data.draw(st.one_of(st.just(len(stream)), st.integers(1, min(len(stream), 40))))
        ours.feed(stream[:size])
        theirs.feed(stream[:size])
        stream = stream[size:]
        if data.draw(st.integers(0, 30)) == 30:
            ours.close(1001, "now")
            theirs.close()
        written += taken(ours)
        # Not only in the end, but as soon, and with whatever is missing.
        assert theirs.out == written
        assert theirs.ended == ours.ended
        assert theirs.messages == all_of(ours)
        theirs.messages.clear()
    ours.feed_eof()
    theirs.feed_eof()
    assert theirs.messages == all_of(ours)
    assert b"" == taken(ours)
    assert ours.ended
