# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The head of an HTTP/1 request: bytes in, places in those bytes out, or the rule that was broken.

Knows RFC 9112 (sections 2 to 6) and nothing else: no socket, no loop, no clock, no memory of its own. Whoever calls owns the
buffer and says how much of it is filled; a result is a set of offsets into it (`Head`), valid while the buffer stays.

Strict: what RFC 9112 lets a server repair is refused, since a repair that the front makes otherwise is a smuggled request.

Resumable at any byte and linear in the bytes: a head that has not wholly come is checked line by line as lines arrive
(`Progress` says where to go on), and read once more from its beginning when its last line is there. A byte that breaks a rule is
therefore refused as soon as it is seen, and in the same words, however the bytes were cut; only the rules on the
head as a whole (Host, lengths, doubled names) wait for its end.
"""

import cython
from cython.cimports.lasthop.http1.field import (
    AMBIGUOUS_NAME,
    BAD_CONTENT_LENGTH,
    BAD_EXPECT,
    BAD_HOST,
    BAD_METHOD,
    BAD_REQUEST_LINE,
    BAD_TARGET,
    BAD_TRANSFER_ENCODING,
    BAD_VERSION,
    BODY_TOO_LARGE,
    CONNECT_REFUSED,
    CONNECTION,
    CONTENT_LENGTH,
    EMPTY_LINES,
    EXPECT,
    HEAD_TOO_LARGE,
    HOST,
    LENGTH_AND_CHUNKED,
    LINE_TOO_LONG,
    MISSING_HOST,
    NEED_MORE,
    REPEATED_CONTENT_LENGTH,
    REPEATED_HOST,
    TOO_MANY_FIELDS,
    TRANSFER_ENCODING,
    TRANSFER_ENCODING_1_0,
    UNDERSCORED,
    VERSION_NOT_SUPPORTED,
    Bounds,
    Field,
    blame,
    line_end,
    lower,
    read_field,
    same_word,
)
from cython.cimports.lasthop.http1.framing import good_host, hear_connection, judge_coding, read_length
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.string import memcmp

# What a byte may be. TARGET: 0 for what no request target has, 2 for `%`, 3 for `?`, 1 for the rest. LOWER is field.py's table, copied so that a look into it is no call.
LOWER = cython.declare(cython.uchar[256])
TARGET = cython.declare(cython.uchar[256])


@cython.cfunc
def _fill_tables() -> cython.void:
    byte: cython.int
    for byte in range(256):
        LOWER[byte] = lower(cython.cast(cython.uchar, byte))
        TARGET[byte] = 1 if byte > 0x20 and byte != 0x7F and byte != ord("#") else 0
    TARGET[ord("%")] = 2
    TARGET[ord("?")] = 3


_fill_tables()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_request_line(
    head: cython.pointer(Head),
    buf: cython.p_const_uchar,
    at: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
    bounds: cython.pointer(cython.const[Bounds]),
) -> cython.Py_ssize_t:
    """The request line that begins at `at`: where the first field begins, NEED_MORE, or a refusal. RFC 9112, section 3."""
    stop: cython.Py_ssize_t = at + bounds.line + 1
    if stop > size:
        stop = size
    i: cython.Py_ssize_t = at
    end: cython.Py_ssize_t
    c: cython.uchar
    kind: cython.uchar
    while i < stop and LOWER[buf[i]] != 0:
        i += 1
    if i == stop:
        return LINE_TOO_LONG if i - at > bounds.line else NEED_MORE
    c = buf[i]
    if c != 0x20 or i == at:
        if c == 0x0D:
            end = line_end(buf, i, size)
            return end if end <= 0 else BAD_REQUEST_LINE
        return blame(c, BAD_METHOD)
    head.method = cython.cast(uint32_t, at)
    head.method_size = cython.cast(uint32_t, i - at)
    i += 1
    head.target = cython.cast(uint32_t, i)
    head.query = 0
    head.escaped = False
    while i < stop:
        kind = TARGET[buf[i]]
        if kind != 1:
            if kind == 0:
                break
            if kind == 3:
                if head.query == 0:
                    head.query = cython.cast(uint32_t, i + 1)
            elif head.query == 0:
                head.escaped = True
        i += 1
    if i == stop:
        return LINE_TOO_LONG if i - at > bounds.line else NEED_MORE
    c = buf[i]
    if c != 0x20 or i == head.target:
        if c == 0x0D:  # HTTP/0.9, or a version left out
            end = line_end(buf, i, size)
            return end if end <= 0 else BAD_REQUEST_LINE
        return blame(c, BAD_REQUEST_LINE if c == 0x20 else BAD_TARGET)
    head.target_size = cython.cast(uint32_t, i - head.target)
    i += 1

    version: cython.p_const_char = b"HTTP/"
    start: cython.Py_ssize_t = i
    while i < stop and i - start < 9:
        c = buf[i]
        if i - start < 5:
            if c != cython.cast(cython.uchar, version[i - start]):
                break
        elif i - start == 6:
            if c != 0x2E:
                break
        elif i - start == 8:
            if c != 0x0D:
                break
        elif c < 0x30 or c > 0x39:
            break
        i += 1
    if i - start == 9:
        end = line_end(buf, i - 1, size)
        if end <= 0:
            return end
        if buf[start + 5] != 0x31:
            return VERSION_NOT_SUPPORTED
        head.minor = 0 if buf[start + 7] == 0x30 else 1
        return _read_target(head, buf, end)
    if i == stop:
        return LINE_TOO_LONG if i - at > bounds.line else NEED_MORE
    if c == 0x0D:
        end = line_end(buf, i, size)
        return end if end <= 0 else (BAD_REQUEST_LINE if i == start else BAD_VERSION)
    return blame(c, BAD_REQUEST_LINE if c == 0x20 else BAD_VERSION)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_target(
    head: cython.pointer(Head), buf: cython.p_const_uchar, after: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Which form the target has, and its parts: `after` when it is well, or a refusal. RFC 9112, section 3.2."""
    target: cython.p_const_uchar = buf + head.target
    end: uint32_t = head.target + head.target_size
    head.authority_size = 0
    if head.method_size == 7 and memcmp(buf + head.method, b"CONNECT", 7) == 0:
        return CONNECT_REFUSED
    if target[0] == 0x2F:
        head.path = head.target
    elif head.target_size == 1 and target[0] == 0x2A:
        if head.method_size != 7 or memcmp(buf + head.method, b"OPTIONS", 7) != 0:
            return BAD_TARGET
        head.path = head.target
        head.path_size = 0
        head.query_size = 0
        return after
    else:
        scheme: uint32_t = _scheme_size(target, head.target_size)
        if scheme == 0:
            return BAD_TARGET
        head.authority = head.target + scheme
        i: uint32_t = head.authority
        while i < end and buf[i] != 0x2F and buf[i] != 0x3F:
            i += 1
        head.authority_size = i - head.authority
        if head.authority_size == 0 or not good_host(buf + head.authority, head.authority_size):
            return BAD_TARGET
        head.path = i
    if head.query:
        head.path_size = head.query - 1 - head.path
        head.query_size = end - head.query
    else:
        head.path_size = end - head.path
        head.query_size = 0
    return after


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _scheme_size(target: cython.p_const_uchar, size: uint32_t) -> uint32_t:
    """The bytes of `http://` or `https://` that `target` begins with, or 0."""
    words: cython.p_const_char = b"https"
    i: uint32_t = 0
    while i < size and i < 5 and LOWER[target[i]] == cython.cast(cython.uchar, words[i]):
        i += 1
    if i >= 4 and i + 3 <= size and memcmp(target + i, b"://", 3) == 0:
        return i + 3
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _pass_over_underscores(head: cython.pointer(Head), buf: cython.p_const_uchar) -> cython.int:
    """Take the names with `_` out of the fields: 0, or AMBIGUOUS_NAME when one is another name but for `-` and `_`.

    In an environ both are `HTTP_X_Y`: whoever can send `X_Y` beside the front's `X-Y` could speak in the front's name.
    """
    one: cython.pointer(Field)
    other: cython.pointer(Field)
    a: cython.uchar
    b: cython.uchar
    differ: cython.bint
    i: uint32_t
    j: uint32_t
    k: uint32_t
    kept: uint32_t = 0
    for i in range(head.nfields):
        one = cython.address(head.fields[i])
        if one.known == UNDERSCORED:
            for j in range(head.nfields):
                other = cython.address(head.fields[j])
                if other.name_size != one.name_size:
                    continue
                differ = False
                for k in range(one.name_size):
                    a = LOWER[buf[one.name + k]]
                    b = LOWER[buf[other.name + k]]
                    if a != b:
                        if (a == 0x5F or a == 0x2D) and (b == 0x5F or b == 0x2D):
                            differ = True
                        else:
                            break
                else:
                    if differ:
                        return AMBIGUOUS_NAME
    for i in range(head.nfields):
        if head.fields[i].known != UNDERSCORED:
            head.fields[kept] = head.fields[i]
            kept += 1
    head.nfields = kept
    return 0


def read_head(head, progress, buf, size, bounds):
    """The head that begins at `buf`: its size in bytes, NEED_MORE, or a refusal. RFC 9112, sections 2 to 6.

    `progress` is zeroed before the first bytes of a head and kept while it is incomplete. `head.fields` has room for `bounds.fields`.
    """
    end: cython.Py_ssize_t = size if size < bounds.head else bounds.head
    at: cython.Py_ssize_t = 0
    after: cython.Py_ssize_t
    whole: cython.bint = progress.line == 0
    count: uint32_t = 0
    field: cython.pointer(Field)
    spare: Field
    hosts: cython.int = 0
    lengths: cython.int = 0
    codings: cython.int = 0
    host: cython.pointer(Field) = cython.NULL
    coding: cython.pointer(Field) = cython.NULL
    length: cython.pointer(Field) = cython.NULL
    closing: cython.bint = False
    bad_expect: cython.bint = False
    underscores: cython.bint = False
    underscore: cython.bint

    if whole:
        if end and buf[0] == 0x0D:
            # One empty line before a request is let pass (RFC 9112, 2.2): old clients send one after a body.
            after = line_end(buf, 0, end)
            if after <= 0:
                return _unless_full(after, size, bounds)
            at = after
            if at < end and buf[at] == 0x0D:
                after = line_end(buf, at, end)
                return EMPTY_LINES if after > 0 else _unless_full(after, size, bounds)
        after = _read_request_line(head, buf, at, end, bounds)
        if after <= 0:
            return _unless_full(after, size, bounds)
        head.keep_alive = head.minor == 1
        head.expect_continue = False
        head.chunked = False
        head.length = -1
        head.nfields = 0
        at = after
    else:
        at = progress.line
        count = progress.fields

    while True:
        progress.line = cython.cast(uint32_t, at)
        progress.fields = count
        if at >= end:
            return _unless_full(NEED_MORE, size, bounds)
        if buf[at] == 0x0D:
            after = line_end(buf, at, end)
            if after <= 0:
                return _unless_full(after, size, bounds)
            break
        if count >= bounds.fields:
            return TOO_MANY_FIELDS
        field = cython.address(head.fields[count]) if whole else cython.address(spare)
        underscore = False
        at = read_field(field, cython.address(underscore), buf, at, end, bounds)
        if at <= 0:
            return _unless_full(at, size, bounds)
        count += 1
        if not whole:
            continue
        if field.known <= EXPECT:
            if underscore:
                field.known = UNDERSCORED
                underscores = True
            elif field.known == HOST:
                hosts += 1
                host = field
            elif field.known == CONTENT_LENGTH:
                lengths += 1
                length = field
            elif field.known == TRANSFER_ENCODING:
                codings += 1
                coding = field
            elif field.known == CONNECTION:
                hear_connection(
                    cython.address(head.keep_alive),
                    cython.address(closing),
                    buf + field.value,
                    field.value_size,
                )
            elif field.known == EXPECT:
                if head.minor == 1 and same_word(buf + field.value, field.value_size, b"100-continue"):
                    head.expect_continue = True
                elif head.minor == 1 or not same_word(buf + field.value, field.value_size, b"100-continue"):
                    bad_expect = True

    if not whole:
        progress.line = 0
        progress.fields = 0
        return read_head(head, progress, buf, size, bounds)

    progress.line = 0
    progress.fields = 0
    head.nfields = count
    if closing:
        head.keep_alive = False
    if codings:
        if head.minor == 0:
            return TRANSFER_ENCODING_1_0
        if lengths:
            return LENGTH_AND_CHUNKED
        if codings > 1:
            return BAD_TRANSFER_ENCODING
        judged: cython.int = judge_coding(buf + coding.value, coding.value_size)
        if judged:
            return judged
        head.chunked = True
    elif lengths:
        if lengths > 1:
            return REPEATED_CONTENT_LENGTH
        if not read_length(cython.address(head.length), buf + length.value, length.value_size):
            return BAD_CONTENT_LENGTH
    if hosts > 1:
        return REPEATED_HOST
    if hosts == 0 and head.minor == 1:
        return MISSING_HOST
    if hosts and not good_host(buf + host.value, host.value_size):
        return BAD_HOST
    if underscores:
        judged = _pass_over_underscores(head, buf)
        if judged:
            return judged
    if bad_expect:
        return BAD_EXPECT
    if head.length > bounds.body and bounds.body > 0:
        return BODY_TOO_LARGE
    return after


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _unless_full(
    result: cython.Py_ssize_t, size: cython.Py_ssize_t, bounds: cython.pointer(cython.const[Bounds])
) -> cython.Py_ssize_t:
    """`result`, or HEAD_TOO_LARGE when more is needed and the head may not be larger."""
    return HEAD_TOO_LARGE if result == NEED_MORE and size >= bounds.head else result


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _hex(c: cython.uchar) -> cython.int:
    if 0x30 <= c <= 0x39:
        return c - 0x30
    c |= 0x20
    return c - 0x57 if 0x61 <= c <= 0x66 else -1


def unescape(to, text, size):
    """Undo the percent-escapes of a path (RFC 3986, 2.1); what is no escape stays as it is. `to` has room for `size` bytes; how many were written."""
    count: cython.Py_ssize_t = 0
    i: cython.Py_ssize_t = 0
    while i < size:
        if text[i] == 0x25 and i + 2 < size and _hex(text[i + 1]) >= 0 and _hex(text[i + 2]) >= 0:
            to[count] = cython.cast(cython.uchar, _hex(text[i + 1]) << 4 | _hex(text[i + 2]))
            i += 3
        else:
            to[count] = text[i]
            i += 1
        count += 1
    return count
