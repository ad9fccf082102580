# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The bytes of a reply's head: what the application said, checked, and what RFC 9112 wants beside it.

Knows WSGI's way to say a status and headers (PEP 3333: native strings of latin-1 characters) and the framing of replies (RFC 9112, section 6).
Knows no socket and no clock: the `Date` line is given. A header that could split a reply (CR, LF, NUL, any control character but a
tab) never leaves: it is an error of the application, told to it where it called.

Hop-by-hop headers are the server's own (PEP 3333, "Other HTTP Features"): `Connection: close` is heard as a wish, the others are dropped.
"""

from http import HTTPStatus

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.cpython.list import PyList_GET_SIZE
from cython.cimports.cpython.long import PyLong_AsLongLong
from cython.cimports.cpython.mem import PyMem_RawFree, PyMem_RawRealloc
from cython.cimports.cpython.tuple import PyTuple_GET_SIZE
from cython.cimports.cpython.unicode import PyUnicode_1BYTE_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND
from cython.cimports.lasthop.http1.field import lower, same_word
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.libc.string import memcpy

_SPECIAL = cython.declare(cython.uchar[256])
"""1 for a byte that a header may begin with which the server itself cares for."""
_TOKEN = cython.declare(cython.uchar[256])
"""1 for what may stand in a token: field.py's table, copied so that a look into it is no call."""


@cython.cfunc
def _fill_tables() -> cython.void:
    byte: cython.int
    for byte in range(256):
        _SPECIAL[byte] = 0
        _TOKEN[byte] = lower(cython.cast(cython.uchar, byte)) != 0
    for byte in b"cCdDsSkKtTuUpP":
        _SPECIAL[byte] = 1


_fill_tables()


def free_out(out):
    PyMem_RawFree(out.data)
    out.data = cython.NULL
    out.size = 0
    out.room = 0


def reserve(out, more):
    """Make room for `more` bytes. Doubles, so that a reply of any size is copied a constant number of times."""
    if out.size + more <= out.room:
        return 0
    room: cython.Py_ssize_t = (
        out.room if out.room else 960
    )  # with malloc's own, within what it keeps at hand for a thread
    while room < out.size + more:
        room *= 2
    data: cython.p_void = PyMem_RawRealloc(out.data, cython.cast(cython.size_t, room))
    if data == cython.NULL:
        raise MemoryError
    out.data = cython.cast(cython.p_uchar, data)
    out.room = room
    return 0


def put(out, text, size):
    reserve(out, size)
    memcpy(out.data + out.size, text, cython.cast(cython.size_t, size))
    out.size += size
    return 0


def is_clean(text, size):
    """Has `text` no control character but HTAB?"""
    i: cython.Py_ssize_t = 0
    word: uint64_t
    high: uint64_t
    ones: uint64_t = 0x01010101
    ones |= ones << 32
    while i + 8 <= size:
        memcpy(cython.address(word), text + i, 8)
        high = (word - ones * 0x20) & ~word
        word ^= ones * 0x7F
        if (high | ((word - ones) & ~word)) & (ones << 7):
            break
        i += 8
    while i < size:
        if (text[i] < 0x20 and text[i] != 0x09) or text[i] == 0x7F:
            return False
        i += 1
    return True


@cython.cfunc
def _refuse_text(what: str, text: object) -> cython.int:
    """Say what is wrong with a status or header that is not clean latin-1 text."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}: {text!r}")
    if any(ord(c) > 255 for c in text):
        raise ValueError(f"{what} has characters beyond latin-1 (PEP 3333 wants them encoded): {text!r}")
    raise ValueError(f"{what} has a control character: {text!r}")


@cython.cfunc
@cython.exceptval(-1)
def _put_status(out: cython.pointer(Out), reply: cython.pointer(Reply), status: object) -> cython.int:
    if not isinstance(status, str) or PyUnicode_KIND(status) != 1:
        _refuse_text("the status", status)
    text: cython.p_uchar = cython.cast(cython.p_uchar, PyUnicode_1BYTE_DATA(status))
    size: cython.Py_ssize_t = PyUnicode_GET_LENGTH(status)
    i: cython.int
    for i in range(3):
        if size < 3 or text[i] < 0x30 or text[i] > 0x39:
            raise ValueError(f"the status must begin with three digits and a space, as '200 OK': {status!r}")
    if size > 3 and text[3] != 0x20:
        raise ValueError(f"the status must begin with three digits and a space, as '200 OK': {status!r}")
    reply.status = (text[0] - 0x30) * 100 + (text[1] - 0x30) * 10 + (text[2] - 0x30)
    if reply.status < 200:
        raise ValueError(f"an application cannot send an interim or unknown status: {status!r}")
    if not is_clean(text, size):
        _refuse_text("the status", status)
    reserve(out, size + 12)
    to: cython.p_uchar = out.data + out.size
    memcpy(to, b"HTTP/1.1 ", 9)
    memcpy(to + 9, text, cython.cast(cython.size_t, size))
    to += 9 + size
    if size == 3:
        to[0] = 0x20  # RFC 9112, section 4: the space stays when there is no reason phrase
        to += 1
    memcpy(to, b"\r\n", 2)
    out.size = to + 2 - out.data
    return 0


@cython.cfunc
@cython.exceptval(-1)
def _take_special(
    reply: cython.pointer(Reply),
    name: cython.p_uchar,
    size: cython.Py_ssize_t,
    text: cython.p_uchar,
    count: cython.Py_ssize_t,
) -> cython.int:
    """Note a header that the server itself cares for: 1 when it is not to be sent as it stands."""
    n: int64_t = 0
    i: cython.Py_ssize_t
    if size == 4 and same_word(name, size, b"date"):
        reply.dated = True
    elif size == 6 and same_word(name, size, b"server"):
        reply.named = True
    elif size == 14 and same_word(name, size, b"content-length"):
        if count < 1 or count > 18:
            n = -1
        for i in range(count):
            if n < 0 or text[i] < 0x30 or text[i] > 0x39:
                n = -1
                break
            n = n * 10 + (text[i] - 0x30)
        if n < 0:
            raise ValueError(
                f"Content-Length must be a number of at most 18 digits: {text[:count].decode('latin-1')!r}"
            )
        if reply.length >= 0 and reply.length != n:
            raise ValueError(f"two Content-Lengths that differ: {reply.length} and {n}")
        reply.length = n
        return 1
    elif size == 10 and same_word(name, size, b"connection"):
        if same_word(text, count, b"close"):
            reply.closing = True
        return 1
    elif size == 7 and reply.status == 426 and same_word(name, size, b"upgrade"):
        reply.upgrading = True  # RFC 9110, 15.5.22: such a reply must say what is asked for
    elif (
        (size == 17 and same_word(name, size, b"transfer-encoding"))
        or (size == 10 and same_word(name, size, b"keep-alive"))
        or (size == 7 and (same_word(name, size, b"upgrade") or same_word(name, size, b"trailer")))
        or (size == 2 and same_word(name, size, b"te"))
        or (size == 16 and same_word(name, size, b"proxy-connection"))
    ):
        return 1
    return 0


def put_head(out, reply, status, headers):
    """Append the status line and the application's headers; fill in `reply`.

    Raises TypeError or ValueError, with the header named, for what may not be sent; `out` is then as long as before.
    """
    before: cython.Py_ssize_t = out.size
    reply.length = -1
    reply.dated = False
    reply.named = False
    reply.closing = False
    reply.upgrading = False
    try:
        _put_status(out, reply, status)
        if not isinstance(headers, list):
            headers = list(headers)
        for header in headers:
            if not isinstance(header, tuple) or len(header) != 2:
                raise TypeError(f"a header must be a tuple of two str: {header!r}")
            _put_field(out, reply, header[0], header[1])
    except BaseException:
        out.size = before
        raise
    return 0


@cython.cfunc
@cython.exceptval(-1)
def _put_line(
    out: cython.pointer(Out),
    reply: cython.pointer(Reply),
    name: object,
    word: cython.p_uchar,
    size: cython.Py_ssize_t,
    text: cython.p_uchar,
    count: cython.Py_ssize_t,
) -> cython.int:
    """Append a header whose value is known to be clean; `name` is told if it is no name."""
    i: cython.Py_ssize_t
    if size == 0:
        raise ValueError("a header name is empty")
    reserve(out, size + count + 4)
    to: cython.p_uchar = out.data + out.size
    for i in range(size):
        if not _TOKEN[word[i]]:
            raise ValueError(f"a header name may not have {chr(word[i])!r}: {name!r}")
        to[i] = word[i]
    if reply != cython.NULL and _SPECIAL[word[0]] and _take_special(reply, word, size, text, count):
        return 0
    to[size] = 0x3A
    to[size + 1] = 0x20
    memcpy(to + size + 2, text, cython.cast(cython.size_t, count))
    to[size + 2 + count] = 0x0D
    to[size + 3 + count] = 0x0A
    out.size += size + count + 4
    return 0


@cython.cfunc
@cython.exceptval(-1)
def _put_field(
    out: cython.pointer(Out), reply: cython.pointer(Reply), name: object, value: object
) -> cython.int:
    if not isinstance(name, str) or PyUnicode_KIND(name) != 1:
        _refuse_text("a header name", name)
    if not isinstance(value, str) or PyUnicode_KIND(value) != 1:
        _refuse_text(f"the value of the header {name!r}", value)
    word: cython.p_uchar = cython.cast(cython.p_uchar, PyUnicode_1BYTE_DATA(name))
    size: cython.Py_ssize_t = PyUnicode_GET_LENGTH(name)
    text: cython.p_uchar = cython.cast(cython.p_uchar, PyUnicode_1BYTE_DATA(value))
    count: cython.Py_ssize_t = PyUnicode_GET_LENGTH(value)
    if not is_clean(text, count):
        _refuse_text(f"the value of the header {name!r}", value)
    return _put_line(out, reply, name, word, size, text, count)


_lines = cython.declare(list, [None] * 1000)
"""Status lines by their number, made when first asked for."""


@cython.cfunc
@cython.exceptval(-1)
def _number_of(status: object) -> cython.int:
    """A status as a number, whatever a class of its own makes of comparisons."""
    number: int64_t = -1
    if not isinstance(status, int):  # http.HTTPStatus is one
        raise TypeError(f"the status must be an int, not {type(status).__name__}")
    try:
        number = PyLong_AsLongLong(status)
    except OverflowError:
        pass
    if not 200 <= number <= 999:
        raise ValueError(f"a status is a number from 200 to 999: {status!r}")
    return cython.cast(cython.int, number)


@cython.cfunc
def _line_of(number: cython.int) -> bytes:
    if _lines[number] is None:
        _lines[number] = b"HTTP/1.1 %d %b\r\n" % (number, _REASONS.get(number, b""))
    return cython.cast(bytes, _lines[number])


def put_start(out, reply, status, headers):
    """As `put_head`, of what ASGI gives: the status is a number, names and values are bytes."""
    before: cython.Py_ssize_t = out.size
    number: cython.int = _number_of(status)
    line: bytes = _line_of(number)
    reply.status = number
    reply.length = -1
    reply.dated = False
    reply.named = False
    reply.closing = False
    reply.upgrading = False
    try:
        put(out, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
        for header in headers:
            if type(header) is tuple and PyTuple_GET_SIZE(header) == 2:
                put_raw_field(out, reply, cython.cast(tuple, header)[0], cython.cast(tuple, header)[1])
            elif type(header) is list and PyList_GET_SIZE(header) == 2:
                put_raw_field(out, reply, cython.cast(list, header)[0], cython.cast(list, header)[1])
            else:
                name, value = header
                put_raw_field(out, reply, name, value)
    except BaseException:
        out.size = before
        raise
    return 0


def put_raw_field(out, reply, name, value):
    """Append a header given as bytes, unless it is one that the server itself puts. Without `reply` (NULL): whatever it is."""
    if type(name) is not bytes or type(value) is not bytes:
        raise TypeError(f"the name and the value of a header must be bytes: {name!r}: {value!r}")
    word: cython.p_uchar = cython.cast(cython.p_uchar, PyBytes_AS_STRING(name))
    size: cython.Py_ssize_t = PyBytes_GET_SIZE(name)
    text: cython.p_uchar = cython.cast(cython.p_uchar, PyBytes_AS_STRING(value))
    count: cython.Py_ssize_t = PyBytes_GET_SIZE(value)
    if not is_clean(text, count):
        raise ValueError(f"the value of the header {name!r} has a control character: {value!r}")
    while count and (text[0] == 0x20 or text[0] == 0x09):
        text += 1
        count -= 1
    return _put_line(out, reply, name, word, size, text, count)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _put_number(to: cython.p_uchar, n: int64_t) -> cython.p_uchar:
    """Write `n` in decimal; where its end is."""
    digits: cython.uchar[20]
    i: cython.int = 20
    while True:
        i -= 1
        digits[i] = cython.cast(cython.uchar, 0x30 + n % 10)
        n //= 10
        if n == 0:
            break
    memcpy(to, cython.address(digits[i]), cython.cast(cython.size_t, 20 - i))
    return to + 20 - i


def put_end(out, reply, framing, length, date, minor, keep_alive):
    """Append the server's own headers and the empty line. `length`: with BY_LENGTH, and with BODILESS where the application gave one, else -1.

    A reply is always HTTP/1.1 (RFC 9110, 2.5); what an HTTP/1.0 peer (`minor` 0) must be told is in the Connection header.
    """
    reserve(out, 192)  # all that is put below fits
    to: cython.p_uchar = out.data + out.size
    # 204 has no Content-Length (RFC 9110, 8.6); 304 and replies to HEAD keep the one that the body would have had.
    if length >= 0 and reply.status != 204:
        memcpy(to, b"Content-Length: ", 16)
        to = _put_number(to + 16, length)
        memcpy(to, b"\r\n", 2)
        to += 2
    elif framing == BY_CHUNKS:
        memcpy(to, b"Transfer-Encoding: chunked\r\n", 28)
        to += 28
    if not reply.dated:
        memcpy(to, date, DATE_SIZE)
        to += DATE_SIZE
    if not reply.named:
        memcpy(to, b"Server: lasthop\r\n", 17)
        to += 17
    if reply.upgrading:
        memcpy(to, b"Connection: upgrade\r\n", 21)  # RFC 9110, 7.8
        to += 21
    if not keep_alive:
        memcpy(to, b"Connection: close\r\n", 19)
        to += 19
    elif minor == 0:
        memcpy(to, b"Connection: keep-alive\r\n", 24)
        to += 24
    memcpy(to, b"\r\n", 2)
    out.size = to + 2 - out.data
    return 0


def put_chunk_size(out, size):
    """Append the line that begins a chunk (RFC 9112, 7.1); 0 begins the last one, whose end it includes."""
    digits: cython.char[20]
    i: cython.int = 18
    digit: cython.int
    if size == 0:
        return put(out, b"0\r\n\r\n", 5)
    digits[18] = 0x0D
    digits[19] = 0x0A
    while size:
        i -= 1
        digit = cython.cast(cython.int, size & 15)
        digits[i] = cython.cast(cython.char, 0x30 + digit if digit < 10 else 0x57 + digit)
        size >>= 4
    return put(out, cython.address(digits[i]), 20 - i)


_REASONS: dict[int, bytes] = {int(s): s.phrase.encode() for s in HTTPStatus}


def put_refusal(out, status, date):
    """Append a whole reply that says `status` and no more; the connection is closed after it."""
    reason: bytes = _REASONS.get(status, b"")
    text: bytes = b"HTTP/1.1 %d %b\r\n" % (status, reason)
    body: bytes = b"%d %b\n" % (status, reason)
    put(out, cython.cast(cython.p_char, text), len(text))
    put(out, date, DATE_SIZE)
    text = (
        b"Server: lasthop\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (len(body), body)
    )
    return put(out, cython.cast(cython.p_char, text), len(text))


def head_bytes(
    status, headers, minor: int = 1, keep_alive: bool = True, framing: str = "length", length: int = 0
) -> bytes:
    """The head of a reply as the engine sends it (with a fixed Date), for people and tests; `framing`: bodiless, length, chunks, close."""
    out: Out
    reply: Reply
    kind: Framing = {"bodiless": BODILESS, "length": BY_LENGTH, "chunks": BY_CHUNKS, "close": BY_CLOSE}[
        framing
    ]
    out.data = cython.NULL
    out.size = 0
    out.room = 0
    try:
        put_head(cython.address(out), cython.address(reply), status, headers)
        put_end(
            cython.address(out), cython.address(reply), kind,
            length if kind == BY_LENGTH else reply.length if kind == BODILESS else -1,
            b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", minor, keep_alive and not reply.closing,
        )  # fmt: skip
        return out.data[: out.size]
    finally:
        free_out(cython.address(out))
