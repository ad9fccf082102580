"""Where h11 or llhttp refuse what ours accepts, and why that is well. Anything else that they make of an accepted request is a fault.

A row fits by the words of the refusal and by what it says is the cause, so that no other cause hides behind it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.http1.opinions import Difference, Seen

_LATER_MINOR_VERSION = re.compile(rb" HTTP/1\.[2-9]\r\n")
_CODING_AND_BLANKS = re.compile(rb"\ntransfer-encoding:[ \t]*chunked[ \t]+\r\n", re.IGNORECASE)
_FRAMING_IN_TRAILER = re.compile(
    rb"\n0+(?:[ \t;][^\n]*)?\r\n(?:[^\n]+\n)*(?:transfer-encoding|content-length):", re.IGNORECASE
)

METHODS_OF_LLHTTP = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND ACL "
    b"REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK QUERY".split()
)


@dataclass(frozen=True)
class Excuse:
    reader: str
    words: str
    """What the refusal says, as a regular expression."""
    cause: Callable[[Seen, bytes], object]
    """Whether this request, or these bytes, have what the refusal is excused for."""
    why: str


def _beyond_ascii(request: Seen, _: bytes) -> bool:
    return not request.target.isascii()


def _found(pattern: re.Pattern[bytes]) -> Callable[[Seen, bytes], object]:
    return lambda _, data: pattern.search(data)


EXCUSES = (
    Excuse(
        "h11", "^illegal request line", _beyond_ascii,
        "bytes above 127 in a target: RFC 3986 has none, but clients send them and nginx and Apache forward them",
    ),
    Excuse("llhttp", "^Invalid char in url", _beyond_ascii, "the same"),
    Excuse(
        "h11", "Transfer-Encoding|Content-Length", _found(_FRAMING_IN_TRAILER),
        "h11 holds trailer fields to what they would say in a head; they say nothing in a trailer (RFC 9110, 6.5.1), ours drops them",
    ),
    Excuse("llhttp", "Transfer-Encoding|Content-Length", _found(_FRAMING_IN_TRAILER), "the same"),
    Excuse(
        "llhttp", "method", lambda request, _: request.method not in METHODS_OF_LLHTTP,
        "llhttp knows a list of methods; RFC 9110, 9.1 leaves it open",
    ),
    Excuse(
        "llhttp", "^Invalid HTTP version", _found(_LATER_MINOR_VERSION),
        "llhttp knows HTTP/1.0 and 1.1; RFC 9110, 2.5 reads a later minor version as 1.1",
    ),
    Excuse(
        "llhttp", "^Request has invalid `Transfer-Encoding`", _found(_CODING_AND_BLANKS),
        "blanks after `chunked` are no part of the value (RFC 9110, 5.5)",
    ),
)  # fmt: skip


def excuse_for(difference: Difference, data: bytes) -> Excuse | None:
    """The row that this difference falls under. Only refusals have one: to read something otherwise is never well."""
    if difference.what != "refuses":
        return None
    for excuse in EXCUSES:
        if (
            excuse.reader == difference.reader
            and re.search(excuse.words, difference.detail)
            and excuse.cause(difference.request, data)
        ):
            return excuse
    return None
