# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One WebSocket frame (RFC 6455, section 5.2): how far it reaches, its payload without the mask, and the server's own.

Knows bytes only: no connection, no order of frames, no close codes. It refuses nothing: what no peer may send it calls ODD, and the library says why.
Beside the library's parser it saves what that spends on each frame: 12 calls, a Frame, and three copies of the payload.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.cpython.unicode import PyUnicode_1BYTE_DATA, PyUnicode_DecodeUTF8, PyUnicode_New
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.string import memcpy


def measure(frame, data, size, most):
    """The frame that begins at `data`, of which `size` bytes are there: PART, WHOLE or ODD. `most`: bytes that its payload may have.

    ODD as soon as, and only where, the library would refuse it whatever follows; what it finds later, with the payload, is for it to find.
    """
    if size < 2:
        return PART
    head: cython.uchar = data[0]
    opcode: cython.uchar = head & 0x0F
    if opcode > 10 or (2 < opcode < 8) or not data[1] & 0x80:
        return ODD
    length: uint64_t = data[1] & 0x7F
    at: cython.Py_ssize_t = 6
    i: cython.int
    if length >= 126:
        at = 8 if length == 126 else 14
        if size < at - 4:
            return PART
        length = 0
        for i in range(2, cython.cast(cython.int, at) - 4):
            length = length << 8 | data[i]
    if length > cython.cast(uint64_t, most) or (opcode >= 8 and length > 125):
        return ODD
    frame.head = head
    frame.at = at
    frame.size = cython.cast(cython.Py_ssize_t, length)
    return WHOLE if size - at >= frame.size else PART


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _unmask(out: cython.p_uchar, payload: cython.p_const_uchar, size: cython.Py_ssize_t) -> cython.bint:
    """Eight bytes at a time, which the compiler makes sixteen and more. Is all of it ASCII?"""
    mask: uint64_t = 0
    word: uint64_t
    seen: uint64_t = 0
    high: uint64_t = 0x80808080
    high |= high << 32
    i: cython.Py_ssize_t = 0
    memcpy(cython.cast(cython.p_uchar, cython.address(mask)), payload - 4, 4)
    memcpy(cython.cast(cython.p_uchar, cython.address(mask)) + 4, payload - 4, 4)
    while i + 8 <= size:
        memcpy(cython.address(word), payload + i, 8)
        word ^= mask
        seen |= word
        memcpy(out + i, cython.address(word), 8)
        i += 8
    while i < size:
        out[i] = payload[i] ^ (payload - 4)[i & 3]
        seen |= out[i]
        i += 1
    return not seen & high


def unmasked(payload, size):
    """The payload, whose mask stands in the four bytes before it."""
    made: bytes = PyBytes_FromStringAndSize(cython.NULL, size)
    _unmask(cython.cast(cython.p_uchar, PyBytes_AS_STRING(made)), payload, size)
    return made


def unmasked_text(payload, size):
    """The payload of a text frame. UnicodeDecodeError: it is none.

    It is written where a text of ASCII has its characters, so that such a text, as most are, is copied once. Any other is made from what stands there,
    and what stands there is seen by nobody.
    """
    made: str = PyUnicode_New(size, 127)
    out: cython.p_uchar = cython.cast(cython.p_uchar, PyUnicode_1BYTE_DATA(made))
    if size == 0 or _unmask(out, payload, size):
        return made
    return PyUnicode_DecodeUTF8(cython.cast(cython.p_char, out), size, cython.NULL)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put_head(out: cython.p_uchar, head: cython.uchar, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The first bytes of a frame that is not masked: how many they are. `out` has room for ten."""
    out[0] = head
    if size < 126:
        out[1] = cython.cast(cython.uchar, size)
        return 2
    n: cython.int = 2 if size < 65536 else 8
    out[1] = 126 if n == 2 else 127
    i: cython.int
    for i in range(n):
        out[2 + i] = cython.cast(cython.uchar, (size >> (8 * (n - 1 - i))) & 0xFF)
    return 2 + n


def framed(head, payload, size):
    """A frame with its payload."""
    start: cython.uchar[10]
    n: cython.Py_ssize_t = _put_head(start, head, size)
    made: bytes = PyBytes_FromStringAndSize(cython.NULL, n + size)
    out: cython.p_char = PyBytes_AS_STRING(made)
    memcpy(out, start, cython.cast(cython.size_t, n))
    memcpy(out + n, payload, cython.cast(cython.size_t, size))
    return made


def frame_head(head, size):
    """What goes before a payload that is sent from where it is."""
    start: cython.uchar[10]
    return PyBytes_FromStringAndSize(cython.cast(cython.p_char, start), _put_head(start, head, size))


def gathered(pieces):
    """The pieces in their order, the small ones put together."""
    made: list = []
    small: list = []
    for piece in pieces:
        if len(cython.cast(bytes, piece)) < LARGE:
            small.append(piece)
            continue
        if small:
            made.append(b"".join(small))
            small = []
        made.append(piece)
    if small:
        made.append(b"".join(small))
    return made
