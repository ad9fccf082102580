# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The body of an HTTP/1 request: which of the bytes that come are its content, and where it ends.

Knows the two framings of RFC 9112 (section 6: Content-Length and chunked) and nothing else: no socket, no memory of its own. Decodes in
place: a result is a piece of the caller's buffer. Resumable at any byte: all that is known lies in `Body`.

Chunk extensions are read over and bounded; trailer fields are held to the rules of header fields, bounded, and dropped (RFC 9112, 7.1.2
allows it): no application here is given a field that could not be checked before it was called.
"""

import cython
from cython.cimports.lasthop.http1.field import (
    BAD_CHUNK_END,
    BAD_CHUNK_EXTENSION,
    BAD_CHUNK_SIZE,
    BAD_TRAILER,
    BARE_CR,
    BARE_LF,
    BODY_TOO_LARGE,
    lower,
)
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t

MOST_EXTENSION = cython.declare(uint32_t, 256)
"""Bytes of one chunk line beyond its size."""
MOST_EXTENSIONS = cython.declare(uint32_t, 16384)
"""Bytes of all extensions of a body: without it, one-byte chunks with long extensions would be work that no limit on the body sees."""


def begin_body(body, head):
    """Make `body` ready for the bytes that follow `head`."""
    body.state = SIZE if head.chunked else FIXED
    body.digits = 0
    body.left = 0 if head.chunked or head.length < 0 else cython.cast(uint64_t, head.length)
    body.taken = 0
    body.line = 0
    body.extensions = 0
    body.trailer = 0
    body.fields = 0


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _digit(c: cython.uchar) -> cython.int:
    """The value of a hexadecimal digit, or -1."""
    if 0x30 <= c <= 0x39:
        return c - 0x30
    c |= 0x20
    if 0x61 <= c <= 0x66:
        return c - 0x61 + 10
    return -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _end_of_size(body: cython.pointer(Body), bounds: cython.pointer(cython.const[Bounds])) -> cython.int:
    """A chunk line is complete: 0, or BODY_TOO_LARGE."""
    if body.left == 0:
        body.state = FIELD
        body.line = 0
        return 0
    # 2**62 keeps `taken` far from its end even where the body has no bound.
    if body.left > (cython.cast(uint64_t, 1) << 62) or body.taken + cython.cast(int64_t, body.left) > (
        cython.cast(int64_t, 1) << 62
    ):
        return BODY_TOO_LARGE
    if bounds.body > 0 and body.taken + cython.cast(int64_t, body.left) > bounds.body:
        return BODY_TOO_LARGE
    body.state = DATA
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_chunk_line(body: cython.pointer(Body), c: cython.uchar) -> cython.int:
    """One byte of a chunk line: 0, or a refusal.

    The grammar lets blanks stand around `;` and `=` (RFC 9112, 7.1.1, "bad" whitespace). No client is known to send any, and parsers
    differ in what they make of them: they are refused.
    """
    digit: cython.int
    if c == 0x0A:
        return BARE_LF
    if body.state == SIZE:
        digit = _digit(c)
        if digit >= 0:
            if body.digits == 16:
                return BAD_CHUNK_SIZE
            body.digits += 1
            body.left = (body.left << 4) | cython.cast(uint64_t, digit)
            return 0
        if body.digits == 0 or (c != 0x0D and c != 0x3B):
            return BAD_CHUNK_SIZE
        body.line = 0
    if c == 0x0D:
        if (
            body.state == NAME_FIRST
            or body.state == VALUE_FIRST
            or body.state == QUOTED
            or body.state == ESCAPED
        ):
            return BAD_CHUNK_EXTENSION
        body.state = SIZE_LF
        return 0
    body.line += 1
    body.extensions += 1
    if body.line > MOST_EXTENSION or body.extensions > MOST_EXTENSIONS:
        return BAD_CHUNK_EXTENSION
    if body.state == QUOTED or body.state == ESCAPED:
        if c < 0x20 and c != 0x09 or c == 0x7F:
            return BAD_CHUNK_EXTENSION
        if body.state == ESCAPED:
            body.state = QUOTED
        elif c == 0x5C:
            body.state = ESCAPED
        elif c == 0x22:
            body.state = AFTER_QUOTED
    elif c == 0x3B and body.state != NAME_FIRST and body.state != VALUE_FIRST:
        body.state = NAME_FIRST
    elif c == 0x3D and body.state == NAME:
        body.state = VALUE_FIRST
    elif c == 0x22 and body.state == VALUE_FIRST:
        body.state = QUOTED
    elif body.state == AFTER_QUOTED or lower(c) == 0:
        return BAD_CHUNK_EXTENSION
    elif body.state == NAME_FIRST:
        body.state = NAME
    elif body.state == VALUE_FIRST:
        body.state = VALUE
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_trailer(
    body: cython.pointer(Body), c: cython.uchar, bounds: cython.pointer(cython.const[Bounds])
) -> cython.int:
    """One byte of the trailer: 0, or BAD_TRAILER."""
    body.trailer += 1
    body.line += 1
    if body.trailer > bounds.head or body.line > bounds.field_size + 2:
        return BAD_TRAILER
    if body.state == FIELD:
        if c == 0x0D:
            body.state = LAST_LF
            return 0
        body.fields += 1
        if body.fields > bounds.fields or lower(c) == 0:
            return BAD_TRAILER
        body.state = FIELD_NAME
    elif body.state == FIELD_NAME:
        if c == 0x3A:
            body.state = FIELD_VALUE
        elif lower(c) == 0:
            return BAD_TRAILER
    elif body.state == FIELD_VALUE:
        if c == 0x0D:
            body.state = FIELD_LF
        elif c < 0x20 and c != 0x09 or c == 0x7F:
            return BAD_TRAILER
    elif c != 0x0A:  # FIELD_LF or LAST_LF
        return BAD_TRAILER
    else:
        body.state = DONE if body.state == LAST_LF else FIELD
        body.line = 0
    return 0


def read_body(body, buf, size, bounds, used, data, data_size):
    """Go on with the body at `buf`: BODY_DATA, BODY_END, BODY_MORE, or a refusal.

    `used` says how many bytes are done with (none of them belongs to what follows the body). With BODY_DATA, `data_size` bytes of content,
    the last of the used ones, begin at `data`. Call again with the rest.
    """
    at: cython.Py_ssize_t = 0
    result: cython.int = 0
    c: cython.uchar
    used[0] = 0
    if body.state == FIXED and body.left == 0:
        body.state = DONE
    while body.state != DONE:
        if at == size:
            used[0] = at
            return BODY_MORE
        if body.state == FIXED or body.state == DATA:
            data[0] = at
            data_size[0] = size - at
            if cython.cast(uint64_t, data_size[0]) > body.left:
                data_size[0] = cython.cast(cython.Py_ssize_t, body.left)
            body.left -= cython.cast(uint64_t, data_size[0])
            body.taken += data_size[0]
            if body.left == 0:
                body.state = DONE if body.state == FIXED else DATA_CR
            used[0] = at + data_size[0]
            return BODY_DATA
        c = buf[at]
        at += 1
        if body.state == SIZE_LF:
            result = _end_of_size(body, bounds) if c == 0x0A else BARE_CR
        elif body.state == DATA_CR:
            body.state = DATA_LF
            result = 0 if c == 0x0D else BAD_CHUNK_END
        elif body.state == DATA_LF:
            body.state = SIZE
            body.digits = 0
            body.left = 0
            result = 0 if c == 0x0A else BAD_CHUNK_END
        elif body.state < SIZE_LF:
            result = _read_chunk_line(body, c)
        else:
            result = _read_trailer(body, c, bounds)
        if result:
            used[0] = at
            return result
    used[0] = at
    return BODY_END
