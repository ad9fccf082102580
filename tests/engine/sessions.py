"""Both ends of a WebSocket without sockets: our Session, and the `websockets` library as its peer; frames made by hand where the library would make none."""

from __future__ import annotations

import struct
from typing import Any

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from lasthop.engine import websocket
from lasthop.engine.handshake import Terms

Session: Any = websocket.Session
Message = dict[str, Any]
Fields = list[tuple[bytes, bytes]]

REQUEST: Fields = [
    (b"host", b"example.org"),
    (b"upgrade", b"websocket"),
    (b"connection", b"keep-alive, Upgrade"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
]
"""The example of RFC 6455, section 1.2."""

TEXT, BINARY, CONT, CLOSE, PING, PONG = 0x81, 0x82, 0x80, 0x88, 0x89, 0x8A
MASK = b"\x37\xfa\x21\x3d"


def masked(head: int, payload: bytes = b"", mask: bytes = MASK) -> bytes:
    """A frame as a client sends it."""
    body = bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))
    return head_of(head, len(payload), 0x80) + mask + body


def plain(head: int, payload: bytes = b"") -> bytes:
    """A frame as a server sends it."""
    return head_of(head, len(payload), 0) + payload


def head_of(head: int, size: int, bit: int) -> bytes:
    if size < 126:
        return struct.pack("!BB", head, bit | size)
    if size < 65536:
        return struct.pack("!BBH", head, bit | 126, size)
    return struct.pack("!BBQ", head, bit | 127, size)


def closing(code: int, reason: str = "") -> bytes:
    return struct.pack("!H", code) + reason.encode()


def asked(*more: tuple[bytes, bytes], **terms: Any) -> Any:
    return Session([*REQUEST, *more], "/chat", settings=Terms(**terms))


def opened(*more: tuple[bytes, bytes], **terms: Any) -> Any:
    session = asked(*more, **terms)
    session.accept(None, [])
    return session


def taken(session: Any) -> bytes:
    return b"".join(session.take())


def all_of(session: Any) -> list[Message]:
    messages = []
    while session.messages:
        messages.append(session.messages.popleft())
    return messages


def text(data: str) -> Message:
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> Message:
    return {"type": "websocket.receive", "bytes": data}


def disconnect(code: int, reason: str = "") -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def sending(data: str | bytes) -> Message:
    return {"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data}


class Pair:
    """A Session and the library's client, which has shaken hands with it."""

    def __init__(self, *, deflate: bool = False, subprotocol: str | None = None, **terms: Any) -> None:
        self.client = ClientProtocol(
            parse_uri("ws://example.org/chat?room=1"),
            extensions=[ClientPerMessageDeflateFactory()] if deflate else None,
            subprotocols=None if subprotocol is None else [Subprotocol("other"), Subprotocol(subprotocol)],
            max_size=None,
        )
        request = self.client.connect()
        self.client.send_request(request)
        self.client.data_to_send()
        fields = [(name.lower().encode(), value.encode()) for name, value in request.headers.raw_items()]
        self.session = Session(fields, request.path, settings=Terms(**terms))
        assert self.session.refusal is None
        reply = b"HTTP/1.1 101 Switching Protocols\r\n"
        for name, value in self.session.accept(subprotocol, [(b"x-room", b"1")]):
            reply += name + b": " + value + b"\r\n"
        self.client.receive_data(reply + b"\r\n")
        self.client.events_received()
        assert self.client.handshake_exc is None

    def carry(self) -> None:
        """What the client wrote, to the session."""
        for piece in self.client.data_to_send():
            self.session.feed(piece)

    def heard(self) -> list[tuple[Opcode, bytes]]:
        """What the session wrote, as frames that the client took."""
        self.client.receive_data(taken(self.session))
        return [
            (event.opcode, bytes(event.data))
            for event in self.client.events_received()
            if isinstance(event, Frame)
        ]
