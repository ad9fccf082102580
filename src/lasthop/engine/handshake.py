"""The opening handshake of a WebSocket (RFC 6455, section 4), read and judged by the `websockets` library.

Knows the request's header fields, what a reply of 101 may carry, and permessage-deflate's terms. Knows no frames, no sockets, no application.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lasthop.engine.library import (
    Extension,
    Frame,
    Headers,
    InvalidHandshake,
    NegotiationError,
    PerMessageDeflate,
    Request,
    ServerPerMessageDeflateFactory,
    ServerProtocol,
    parse_subprotocol,
)

LOGGER = logging.getLogger("lasthop.websocket")
"""What the library would say of each connection is said by us where it matters: only its errors pass."""
LOGGER.setLevel(logging.ERROR)

VERSION = b"13"
_READ = (b"connection", b"upgrade", b"origin")
"""What the library looks at, beside `sec-websocket-*`."""
_OWN = frozenset((b"connection", b"upgrade", b"content-length", b"transfer-encoding"))
"""What an application may not add to a 101, beside `sec-websocket-*`: the handshake's own, and the framing of a body that a 101 has not."""
_TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\x09\x20-\x7e\x80-\xff]*")

Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Terms:
    """What a server lets the peers of its WebSockets do. One object for all connections."""

    max_size: int = 16 * 1024 * 1024
    """Bytes of one message, after decompression; a larger one closes the connection with 1009."""
    deflate: bool = True
    """Take permessage-deflate where the peer offers it."""
    ping_interval_s: float = 20.0
    """How often whoever has the timer asks a quiet peer whether it is there; 0: never."""
    ping_timeout_s: float = 20.0
    """How long the peer has for an answer."""


class Deflate(PerMessageDeflate):
    """permessage-deflate whose contexts (40 KiB and more) are made when the first compressed message comes or goes."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        vars(self).pop("decoder", None)
        vars(self).pop("encoder", None)

    def __getattr__(self, name: str) -> Any:
        made: Any
        if name == "decoder":
            made = self.decoder = zlib.decompressobj(wbits=-self.remote_max_window_bits)
        elif name == "encoder":
            settings = self.compress_settings
            made = self.encoder = zlib.compressobj(wbits=-self.local_max_window_bits, **settings)
        else:
            raise AttributeError(name)
        return made

    def rest(self) -> None:
        """Let go of the compressor, which any message may start anew. What the peer's refer to, we cannot know: that stays."""
        vars(self).pop("encoder", None)

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        frame = super().decode(frame, max_size=max_size)
        decoder = vars(self).get("decoder")
        if decoder is not None and decoder.eof:
            # A block that says it is the last ends the stream: whatever came after would be kept, uncompressed, for ever.
            del self.decoder
        return frame


class _DeflateFactory(ServerPerMessageDeflateFactory):
    def process_request_params(
        self, params: Sequence[Any], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[Any], PerMessageDeflate]:
        if ("server_max_window_bits", "8") in params:
            raise NegotiationError(
                "zlib compresses with windows of 9 bits and more"
            )  # the library before 17 tries
        said, agreed = super().process_request_params(params, accepted_extensions)
        return said, Deflate(
            agreed.remote_no_context_takeover,
            agreed.local_no_context_takeover,
            agreed.remote_max_window_bits,
            agreed.local_max_window_bits,
            agreed.compress_settings,
        )


_DEFLATE = [
    # Windows of 4 KiB: the library's own choice for servers. A larger one costs more memory than it saves bytes.
    _DeflateFactory(server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5})
]


class Handshake:
    """A request that asks for a WebSocket: what it offers, or why it is refused."""

    __slots__ = ("deflate", "fault", "fields", "refusal", "subprotocols")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], target: str, terms: Terms) -> None:
        self.subprotocols: list[str] = []
        self.refusal: tuple[int, Fields, bytes] | None = None
        self.fault = ""
        """Why it is refused, for a log: it quotes the peer."""
        self.fields: Fields = []
        """The reply's own header fields."""
        self.deflate: Deflate | None = None
        read = [each for each in headers if each[0] in _READ or each[0].startswith(b"sec-websocket-")]
        versions = [value for name, value in read if name == b"sec-websocket-version"]
        if versions and versions != [VERSION]:
            self._refuse(426, f"Sec-WebSocket-Version is {b', '.join(versions).decode('latin-1')}")
            return
        try:
            fields = Headers((name.decode("ascii"), value.decode("latin-1")) for name, value in read)
            protocol = ServerProtocol(extensions=_DEFLATE if terms.deflate else None, logger=LOGGER)
            response = protocol.accept(Request(target, fields))
            if response.status_code == 101:
                for value in fields.get_all("sec-websocket-protocol"):
                    self.subprotocols += parse_subprotocol(value)
        except (ValueError, InvalidHandshake) as error:
            self._refuse(400, str(error))
            return
        if response.status_code != 101:
            self._refuse(426 if response.status_code == 426 else 400, str(protocol.handshake_exc))
            return
        self.fields = [
            (name.encode("ascii"), value.encode("latin-1"))
            for name, value in response.headers.raw_items()
            if name != "Date"
        ]
        for extension in protocol.extensions:
            assert isinstance(extension, Deflate)
            self.deflate = extension

    def _refuse(self, status: int, fault: str) -> None:
        self.fault = fault
        fields = [(b"content-type", b"text/plain; charset=utf-8")]
        if status == 426:
            fields += [(b"upgrade", b"websocket"), (b"sec-websocket-version", VERSION)]
            body = b"This server speaks version 13 of the WebSocket protocol (RFC 6455).\n"
        else:
            body = b"This is not a valid WebSocket handshake (RFC 6455, section 4.2.1).\n"
        self.refusal = (status, fields, body)

    def reply(self, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]) -> Fields:
        """All header fields of the 101: the handshake's, then the application's. ValueError, TypeError: what may not be sent."""
        fields = list(self.fields)
        if subprotocol is not None:
            if subprotocol not in self.subprotocols:
                offered = ", ".join(self.subprotocols) or "none"
                raise ValueError(
                    f"websocket.accept: the subprotocol {subprotocol!r} was not offered; the peer offers: {offered}"
                )
            fields.append((b"Sec-WebSocket-Protocol", subprotocol.encode("ascii")))
        for name, value in headers:
            if not isinstance(name, bytes) or not isinstance(value, bytes):
                raise TypeError(
                    f"websocket.accept: names and values of headers are bytes, not {name!r}: {value!r}"
                )
            if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"websocket.accept: the header {name!r}: {value!r} may not be sent")
            if name.lower() in _OWN or name.lower().startswith(b"sec-websocket-"):
                instead = (
                    "; the key 'subprotocol' says it" if name.lower() == b"sec-websocket-protocol" else ""
                )
                raise ValueError(f"websocket.accept: the header {name!r} is the server's own{instead}")
            fields.append((name, value))
        return fields
