"""Classic ways to make two servers disagree about where a request ends, written for these tests.

In each, @ stands for a name that only this payload has. Its own request asks for /first/@; whatever asks for /smuggled/@ is, read by RFC 9112,
part of a body or of a malformed message, and no application may ever be asked for it. What asks for /second/@ is another request.
"""

from __future__ import annotations

from typing import Final

INNER = "GET /smuggled/@ HTTP/1.1\r\nHost: inner\r\n\r\n"


def post(
    *fields: str, body: str, target: str = "/first/@", version: str = "HTTP/1.1", end: str = "\r\n"
) -> str:
    lines = [f"POST {target} {version}", "Host: front", *fields, "", ""]
    return end.join(lines) + body


def get(*fields: str, after: str = "", target: str = "/first/@", version: str = "HTTP/1.1") -> str:
    return "\r\n".join([f"GET {target} {version}", "Host: front", *fields, "", ""]) + after


LENGTH = f"Content-Length: {len(INNER) + 7}"
"""Right for INNER when @ has become a name of eight."""

CHUNKED = "Transfer-Encoding: chunked"
LAST = "0\r\n\r\n"
CHUNK = f"{len(INNER) + 7:x}\r\n{INNER}\r\n{LAST}"


def with_length(coding: str) -> str:
    """A coding that may or may not be understood, and a length: the inner request is behind the end of one, inside the other."""
    return post(coding, f"Content-Length: {len(LAST) + len(INNER) + 7}", body=LAST + INNER)


def without_length(coding: str) -> str:
    """The same coding alone: who does not know it takes the body for a request."""
    return post(coding, body=CHUNK)


CODINGS: Final = {
    "xchunked": "Transfer-Encoding: xchunked",
    "chunked with a prefix in quotes": 'Transfer-Encoding: "chunked"',
    "chunked with a space before the colon": "Transfer-Encoding : chunked",
    "chunked with a tab before the colon": "Transfer-Encoding\t: chunked",
    "chunked after a tab": "Transfer-Encoding:\tchunked",
    "chunked after a vertical tab": "Transfer-Encoding: \x0bchunked",
    "chunked before a vertical tab": "Transfer-Encoding: chunked\x0b",
    "chunked before a form feed": "Transfer-Encoding: chunked\x0c",
    "chunked with NUL behind": "Transfer-Encoding: chunked\x00",
    "chunked with NUL in the name": "Transfer\x00-Encoding: chunked",
    "chunked with a byte above 127": "Transfer-Encoding: chunked\xa0",
    "chunked in capitals": "Transfer-Encoding: CHUNKED",
    "chunked in a folded line": "Transfer-Encoding:\r\n chunked",
    "chunked in a line folded by a tab": "Transfer-Encoding:\r\n\tchunked",
    "chunked in a folded line of another field": "X-Fold: a\r\n Transfer-Encoding: chunked",
    "chunked behind a bare LF": "X-LF: a\nTransfer-Encoding: chunked",
    "chunked behind a bare CR": "X-CR: a\rTransfer-Encoding: chunked",
    "chunked with an underscore": "Transfer_Encoding: chunked",
    "chunked with a space before the name": " Transfer-Encoding: chunked",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunked, then identity": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "identity, then chunked": "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "a list: identity, chunked": "Transfer-Encoding: identity, chunked",
    "a list: chunked, identity": "Transfer-Encoding: chunked, identity",
    "a list: chunked, chunked": "Transfer-Encoding: chunked, chunked",
    "a list: gzip, chunked": "Transfer-Encoding: gzip, chunked",
    "a list with empty members": "Transfer-Encoding: , chunked,",
    "chunked with a parameter": "Transfer-Encoding: chunked;q=0.5",
    "an empty coding": "Transfer-Encoding:",
    "chunked with a colon in the name": "Transfer-Encoding:: chunked",
    "chunk": "Transfer-Encoding: chunk",
    "cow": "Transfer-Encoding: cow",
}
"""Spellings of chunked, of which one server may know what another does not."""

PAYLOADS: Final[dict[str, str]] = {
    # CL.TE and TE.CL
    "length and chunked, the length longer": with_length(CHUNKED),
    "chunked and length, the length first": post(
        f"Content-Length: {len(LAST) + len(INNER) + 7}", CHUNKED, body=LAST + INNER
    ),
    "length and chunked, the length shorter": post("Content-Length: 4", CHUNKED, body=CHUNK),
    "length 0 and chunked": post("Content-Length: 0", CHUNKED, body=CHUNK),
    # TE.TE: spellings of chunked
    **{
        f"{how}, with a length": with_length(coding)
        for how, coding in CODINGS.items()
    },
    **{
        f"{how}, without a length": without_length(CODINGS[how])
        for how in (
            "xchunked", "chunked after a tab", "chunked after a vertical tab", "chunked before a vertical tab",
            "chunked in capitals", "chunked twice", "a list: identity, chunked", "a list: chunked, identity",
            "a list: gzip, chunked", "chunked with a parameter", "chunked in a folded line",
        )
    },
    # lengths
    "two lengths, the shorter first": post("Content-Length: 0", LENGTH, body=INNER),
    "two lengths, the longer first": post(LENGTH, "Content-Length: 0", body=INNER),
    "a list of lengths": post(f"Content-Length: 0, {len(INNER) + 7}", body=INNER),
    "a length with a plus": post(f"Content-Length: +{len(INNER) + 7}", body=INNER),
    "a negative length": post("Content-Length: -1", body=INNER),
    "a length in hexadecimal": post(f"Content-Length: {len(INNER) + 7:#x}", body=INNER),
    "a length with an underscore in it": post(f"Content-Length: {'_'.join(str(len(INNER) + 7))}", body=INNER),
    "a length beyond 64 bits": post(f"Content-Length: {2**64 + len(INNER) + 7}", body=INNER),
    "a length with an underscore in its name": post(LENGTH, "Content_Length: 0", body=INNER),
    "a length with a space before the colon": post("Content-Length: 0", f"Content-Length : {len(INNER) + 7}", body=INNER),
    "a length behind a bare LF": post(f"{LENGTH}\nContent-Length: 0", body=INNER),
    "a length in a folded line": post(f"Content-Length:\r\n {len(INNER) + 7}", body=INNER),
    "a length and a folded line of digits": post("Content-Length: 1\r\n 0", body="0123456789"),
    "an empty length": post("Content-Length:", body=""),
    "a get with a body": get(LENGTH, after=INNER),
    "a get with a chunked body": get(CHUNKED, after=CHUNK),
    "a get with a body, by HTTP/1.0": get(LENGTH, after=INNER, version="HTTP/1.0"),
    "a chunked body by HTTP/1.0": post(CHUNKED, "Connection: keep-alive", body=CHUNK, version="HTTP/1.0"),
    "a body that is a request": post(LENGTH, body=INNER),
    "a chunk that is a request": post(CHUNKED, body=CHUNK),
    "a length of 0 and a Connection that names it": post(
        LENGTH, "Connection: keep-alive, Content-Length", body=INNER
    ),
    "chunked and a Connection that names it": post(
        CHUNKED, "Connection: keep-alive, Transfer-Encoding", body=CHUNK
    ),
    # inside chunks
    "a chunk extension that ends with a bare LF": post(
        CHUNKED, body=f"1;a\n0\r\n\r\n{INNER}\r\n{LAST}"
    ),
    "a chunk extension with a bare CR": post(CHUNKED, body=f"5;a\rb\r\nhello\r\n{LAST}"),
    "a chunk size that ends with a bare LF": post(CHUNKED, body=f"5\nhello\r\n{LAST}"),
    "a chunk that is longer than its size": post(CHUNKED, body=f"5\r\nhello{LAST}{INNER}"),
    "a chunk size of 2 ** 64 and more": post(CHUNKED, body=f"10000000000000005\r\nhello\r\n{LAST}{INNER}"),
    "a chunk size with 0x": post(CHUNKED, body=f"0x5\r\nhello\r\n{LAST}"),
    "a chunk size with an underscore": post(CHUNKED, body=f"1_0\r\n{'h' * 16}\r\n{LAST}"),
    "a negative chunk size": post(CHUNKED, body=f"-5\r\nhello\r\n{LAST}"),
    "an empty chunk size": post(CHUNKED, body=f"\r\n{LAST}"),
    "a chunk whose end is two other bytes": post(CHUNKED, body=f"5\r\nhelloXX{LAST}"),
    "a trailer that frames": post(CHUNKED, body="5\r\nhello\r\n0\r\nContent-Length: 100\r\n\r\n"),
    "a trailer that has a request in it": post(CHUNKED, body=f"5\r\nhello\r\n0\r\nX-A: b\n{INNER}"),
    # lines and names
    "a request in a header behind bare CRs": get("X-A: b\r\r" + INNER.replace("\r\n", "\r")),
    "a request in a folded header": get("X-A: b\r\n " + INNER.replace("\r\n", "\r\n ")),
    "a line that is no field": get("no field at all"),
    "NUL in a value": get("X-A: b\x00c"),
    "NUL in a name": get("X\x00A: b"),
    "an empty name": get(": b"),
    "two hosts": get("Host: another"),
    "a host with a space": get().replace("Host: front", "Host: front another"),
    "no host": get().replace("Host: front\r\n", ""),
    "two names that differ in _ alone": get("X-User: a", "X_User: b"),
    # targets
    "an absolute target": get(target="http://front/first/@"),
    "an absolute target of another host": get(target="http://another/first/@"),
    "an absolute target with a request in it": get(target="http://front/first/@%20HTTP/1.1%0d%0aX:%20/smuggled/"),
    "a target with escaped line ends": get(target="/first/@%20HTTP/1.1%0D%0AHost:%20a%0D%0A%0D%0AGET%20/smuggled/@"),
    "a target with spaces": get(target="/first/@ HTTP/1.1 /smuggled/@"),
    "a target with a bare LF": get(target="/first/@\nGET /smuggled/@"),
    "a target with NUL": get(target="/first/@\x00/smuggled"),
    "HTTP/0.9": f"GET /first/@\r\n\r\n{INNER}",
    "a version of another sort": get(version="HTTP/1.1.1", after=""),
    "HTTP/2 without its preface": get(version="HTTP/2.0", after=""),
    "an upgrade to h2c": get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "an upgrade to websocket without a right key": get(
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 777"
    ),
    "connect": "CONNECT front:80 HTTP/1.1\r\nHost: front:80\r\n\r\n",
    "expect with a body sent at once": post(LENGTH, "Expect: 100-continue", body=INNER),
    "an expectation that nobody knows": post(LENGTH, "Expect: 200-ok", body=INNER),
    "empty lines first": "\r\n\r\n" + get(),
    "bare LFs all over": post(LENGTH, body=INNER, end="\n"),
}  # fmt: skip

HONEST: Final[dict[str, str]] = {
    "pipelined": get() + get(target="/second/@") + get("Connection: close", target="/third/@"),
    "pipelined behind a body": post("Content-Length: 5", body="hello") + get(target="/second/@"),
    "pipelined behind chunks": post(CHUNKED, body=f"5\r\nhello\r\n{LAST}") + get(target="/second/@"),
    "pipelined behind an empty line": get() + "\r\n" + get(target="/second/@"),
    "pipelined behind a length of 0": post("Content-Length: 0", body="") + get(target="/second/@"),
}

TOLERATED: Final[dict[str, str]] = {
    "a request behind an empty line of bare LF": get(
        "X-A: b\n\n" + get(target="/second/@").replace("\r\n", "\n")
    ),
}
"""A front may take a bare LF for the end of a line (RFC 9112, 2.2), and a request behind it for a second one, which it then answers."""
