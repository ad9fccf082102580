"""What three readers make of the same bytes: ours, h11 and llhttp (by way of httptools), in one form that can be compared.

Each request is read by a fresh h11 connection and a fresh llhttp parser, which get what the one before left over: a connection that ends
(HTTP/1.0, `Connection: close`) makes no difference to what the bytes after it would be read as, and that is what smuggling is about.

What is made equal here, and why it may be:
- names in lower case: all three compare them so;
- names with `_` are taken out: ours passes them over (DESIGN, HTTP);
- blanks at the end of a value are taken off: llhttp leaves that to its caller;
- the value of Transfer-Encoding in lower case: h11 hands it on so;
- a minor version above 1 is 1: ours does it (RFC 9110, 2.5), h11 tells it as sent;
- trailer fields are left out: ours drops them, h11 hands them on apart, httptools among the headers;
- one empty line before a request is taken off for h11, which refuses it (RFC 9112, 2.2 lets it pass).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import h11
import httptools

from lasthop.http1 import Limits, RequestReader


@dataclass
class Seen:
    """One request as a reader tells it."""

    method: bytes
    target: bytes
    minor: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    done: bool = False
    left: bool = False
    """The reader stopped here and leaves the rest to another protocol: it has no opinion on body and end."""

    @property
    def head(self) -> tuple[bytes, bytes, int, list[tuple[bytes, bytes]]]:
        return self.method, self.target, self.minor, self.headers


@dataclass
class Opinion:
    """What a reader made of some bytes: requests, of which the last may be incomplete, and then perhaps a refusal."""

    requests: list[Seen] = field(default_factory=list)
    refused: str | None = None


def alike(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers in the form in which they are compared."""
    plain = [(name.lower(), value.rstrip(b" \t")) for name, value in headers if b"_" not in name]
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in plain]


def by_lasthop(data: bytes, limits: Limits | None = None) -> Opinion:
    opinion = Opinion()
    for event in RequestReader(limits or Limits()).feed(data):
        match event:
            case ("head", method, target, (_, minor), headers, _, _, _):
                opinion.requests.append(Seen(method, target, minor, alike(headers)))
            case ("data", part):
                opinion.requests[-1].body += part
            case ("end",):
                opinion.requests[-1].done = True
            case ("refused", _, reason):
                opinion.refused = reason
    return opinion


def by_h11(data: bytes) -> Opinion:
    opinion = Opinion()
    while data.removeprefix(b"\r\n"):
        # What a head may measure is ours to bound, not the second opinion's.
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 24)
        connection.receive_data(data.removeprefix(b"\r\n"))
        try:
            done = _until_the_end(connection, opinion)
        except h11.RemoteProtocolError as refusal:
            opinion.refused = str(refusal)
            break
        if not done:
            break
        data = connection.trailing_data[0]
    return opinion


def _until_the_end(connection: h11.Connection, opinion: Opinion) -> bool:
    while True:
        event = connection.next_event()
        match event:
            case h11.Request():
                minor = min(int(event.http_version[2:]), 1)
                headers = alike([(bytes(name), bytes(value)) for name, value in event.headers])
                opinion.requests.append(Seen(bytes(event.method), bytes(event.target), minor, headers))
            case h11.Data():
                opinion.requests[-1].body += bytes(event.data)
            case h11.EndOfMessage():
                opinion.requests[-1].done = True
                return True
            case _:
                return False


class _Listener:
    """Collects what httptools calls back: pieces of a target, headers, pieces of a body."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.head_done = False
        self.done = False
        self.left = False

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_done:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.head_done = True

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.done = True


def by_llhttp(data: bytes) -> Opinion:
    opinion = Opinion()
    at = 0
    listener = _Listener()
    while at < len(data) and opinion.refused is None and not listener.left:
        listener = _Listener()
        parser = httptools.HttpRequestParser(listener)
        # Byte by byte: httptools does not tell where in the bytes that it was given a request ended.
        while at < len(data) and not (listener.done or listener.left) and opinion.refused is None:
            try:
                parser.feed_data(data[at : at + 1])
            except httptools.HttpParserUpgrade:
                listener.left = True  # httptools reads no further after Upgrade, which ours ignores
            except httptools.HttpParserError as refusal:
                opinion.refused = str(refusal) or type(refusal).__name__
            at += 1
        if listener.head_done:
            minor = 1 if parser.get_http_version() == "1.1" else 0
            seen = Seen(parser.get_method(), listener.target, minor, alike(listener.headers))
            seen.body, seen.done, seen.left = listener.body, listener.done, listener.left
            opinion.requests.append(seen)
    return opinion


READERS: dict[str, Callable[[bytes], Opinion]] = {"h11": by_h11, "llhttp": by_llhttp}


@dataclass(frozen=True)
class Difference:
    """Something that `reader` makes of the bytes otherwise than we do."""

    reader: str
    what: str
    """"refuses" what we accept, or how it reads otherwise."""
    detail: str
    request: Seen


def differences(data: bytes, limits: Limits | None = None) -> list[Difference]:
    """How h11 and llhttp read otherwise what ours accepts. What ours refuses is not asked about: it may be stricter."""
    ours = by_lasthop(data, limits)
    found = (difference(name, ours, read(data)) for name, read in READERS.items())
    return [one for one in found if one is not None]


def difference(name: str, ours: Opinion, theirs: Opinion) -> Difference | None:
    """The first difference of one opinion from ours."""
    for place, request in enumerate(ours.requests):
        if place == len(theirs.requests):
            what = "refuses" if theirs.refused else "sees no request where ours does"
            return Difference(name, what, theirs.refused or "", request)
        other = theirs.requests[place]
        if request.head != other.head:
            return Difference(name, "reads another head", repr(other.head), request)
        if other.left:
            return None
        if request.done and other.done:
            if request.body != other.body:
                return Difference(name, "reads another body", repr(other.body), request)
        elif request.done:
            what = "refuses" if theirs.refused else "reads a longer body"
            return Difference(name, what, theirs.refused or "", request)
        elif other.done and ours.refused is None:
            return Difference(name, "reads a shorter body", repr(other.body), request)
        elif not other.body.startswith(request.body) and not request.body.startswith(other.body):
            return Difference(name, "reads another body", repr(other.body), request)
    if ours.refused is None and len(theirs.requests) > len(ours.requests):
        other = theirs.requests[len(ours.requests)]
        return Difference(name, "sees a request where ours sees none", repr(other.head), other)
    return None
