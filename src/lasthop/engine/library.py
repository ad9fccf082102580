"""What we use of the `websockets` library: its protocol without sockets. It comes with the extra `lasthop[websocket]`; without it, or with one too old, MissingExtra is raised here."""

from lasthop.errors import MissingExtra

try:
    from websockets.datastructures import Headers
    from websockets.exceptions import InvalidHandshake, NegotiationError, PayloadTooBig, ProtocolError
    from websockets.extensions import Extension
    from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
    from websockets.frames import CloseCode, Frame, Opcode
    from websockets.headers import parse_subprotocol
    from websockets.http11 import Request
    from websockets.protocol import Protocol, Side, State
    from websockets.server import ServerProtocol
except ImportError as error:
    raise MissingExtra("serving WebSockets", "websockets", "websocket") from error

__all__ = [
    "CloseCode",
    "Extension",
    "Frame",
    "Headers",
    "InvalidHandshake",
    "NegotiationError",
    "Opcode",
    "PayloadTooBig",
    "PerMessageDeflate",
    "Protocol",
    "ProtocolError",
    "Request",
    "ServerPerMessageDeflateFactory",
    "ServerProtocol",
    "Side",
    "State",
    "parse_subprotocol",
]
