# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Reading replies as a client does: their status, where they end, and whether the connection ends with them.

Knows HTTP/1 and bytes; no socket and no clock. Bodies are counted, not kept. More lenient than the reader of requests (a line may end in LF alone, names and
values may be anything), since nothing is decided by what it finds but counts; but two ways to find an end that contradict each other are no reply.

**A server says the same again and again**, but for its Date, once a second: a head that is equal to the last one is not read, only compared.
"""

import cython
from cython.cimports.lasthop.http1.body import BODY_DATA, BODY_END, SIZE, read_body
from cython.cimports.lasthop.http1.field import UNKNOWN_TRANSFER_ENCODING, Bounds, same_word
from cython.cimports.lasthop.http1.framing import hear_connection, judge_coding, read_length
from cython.cimports.libc.stdint import int64_t
from cython.cimports.libc.stdlib import free, realloc
from cython.cimports.libc.string import memchr, memcmp, memcpy, memset

_BOUNDS = cython.declare(Bounds)
"""Of trailers. Bodies have none."""
_BOUNDS.line = MOST_HEAD
_BOUNDS.fields = 1000
_BOUNDS.field_size = MOST_HEAD
_BOUNDS.head = MOST_HEAD
_BOUNDS.body = 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _end_of_head(
    text: cython.p_const_uchar, at: cython.Py_ssize_t, size: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Where the head that begins at `text` ends, looking from `at` on; 0 when its end is not there."""
    found: cython.p_const_uchar
    while at < size:
        found = cython.cast(
            cython.p_const_uchar, memchr(text + at, 0x0A, cython.cast(cython.size_t, size - at))
        )
        if found == cython.NULL:
            return 0
        at = found - text + 1
        if at < size and text[at] == 0x0A:
            return at + 1
        if at + 1 < size and text[at] == 0x0D and text[at + 1] == 0x0A:
            return at + 2
    return 0


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _is_named(
    line: cython.p_const_uchar,
    size: cython.Py_ssize_t,
    name: cython.p_const_char,
    name_size: cython.Py_ssize_t,
) -> cython.bint:
    """Is this line a field of this name?"""
    return size > name_size and line[name_size] == 0x3A and same_word(line, name_size, name)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_head(
    head: cython.pointer(Head), text: cython.p_const_uchar, size: cython.Py_ssize_t, is_head: cython.bint
) -> cython.bint:
    """Read a whole head: does it make sense?"""
    at: cython.Py_ssize_t
    end: cython.Py_ssize_t
    next_line: cython.Py_ssize_t
    value: cython.Py_ssize_t
    length: int64_t = -1
    other: int64_t = 0
    chunked: cython.bint = False
    coded: cython.bint = False
    keep_alive: cython.bint = False
    closing: cython.bint = False
    coding: cython.int
    found: cython.p_const_uchar
    if size < 14 or memcmp(text, b"HTTP/1.", 7) != 0 or text[8] != 0x20:
        return False
    if text[7] < 0x30 or text[7] > 0x39 or text[9] < 0x31 or text[9] > 0x39:
        return False
    if text[10] < 0x30 or text[10] > 0x39 or text[11] < 0x30 or text[11] > 0x39:
        return False
    if text[12] != 0x20 and text[12] != 0x0D and text[12] != 0x0A:
        return False
    head.status = (text[9] - 0x30) * 100 + (text[10] - 0x30) * 10 + (text[11] - 0x30)
    next_line = 0
    while next_line < size:
        at = next_line
        found = cython.cast(
            cython.p_const_uchar, memchr(text + at, 0x0A, cython.cast(cython.size_t, size - at))
        )
        end = found - text if found != cython.NULL else size
        next_line = end + 1
        if at == 0 or (text[at] | 0x20) != 0x63 and (text[at] | 0x20) != 0x74:  # c and t
            continue
        while end > at and (text[end - 1] == 0x0D or text[end - 1] == 0x20 or text[end - 1] == 0x09):
            end -= 1
        value = at
        while value < end and text[value] != 0x3A:
            value += 1
        value += 1
        while value < end and (text[value] == 0x20 or text[value] == 0x09):
            value += 1
        if value > end:
            continue
        if _is_named(text + at, end - at, b"content-length", 14):
            if not read_length(cython.address(other), text + value, end - value):
                return False
            if length >= 0 and length != other:
                return False
            length = other
        elif _is_named(text + at, end - at, b"transfer-encoding", 17):
            coding = judge_coding(text + value, end - value)
            coded = True
            chunked = coding == 0 or coding == UNKNOWN_TRANSFER_ENCODING
        elif _is_named(text + at, end - at, b"connection", 10):
            hear_connection(cython.address(keep_alive), cython.address(closing), text + value, end - value)
    head.closes = closing or (text[7] == 0x30 and not keep_alive)
    head.length = 0
    if is_head or head.status < 200 or head.status == 204 or head.status == 304:
        head.stage = BY_LENGTH
        if head.status == 101:
            head.closes = True  # what follows is no HTTP
    elif chunked:
        if length >= 0:
            return False
        head.stage = BY_CHUNKS
    elif length >= 0 and not coded:
        head.stage = BY_LENGTH
        head.length = length
    else:
        head.stage = TO_THE_END
        head.closes = True
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _hold(
    reading: cython.pointer(Reading), text: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.bint:
    """Keep a piece of a head: is there memory? `size` is at most MOST_HEAD with what is held."""
    room: cython.Py_ssize_t = reading.room
    more: cython.p_uchar
    if reading.nheld + size > room:
        if room == 0:
            room = 512
        while room < reading.nheld + size:
            room *= 2
        more = cython.cast(cython.p_uchar, realloc(reading.held, cython.cast(cython.size_t, room)))
        if more == cython.NULL:
            return False
        reading.held = more
        reading.room = room
    memcpy(reading.held + reading.nheld, text, cython.cast(cython.size_t, size))
    reading.nheld += size
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _take_head(
    reading: cython.pointer(Reading),
    known: cython.pointer(Known),
    text: cython.p_const_uchar,
    size: cython.Py_ssize_t,
    is_head: cython.bint,
) -> cython.Py_ssize_t:
    """How many bytes of `text` belong to the head, and `reading.head` once it is whole; -1 when it is none."""
    at: cython.Py_ssize_t
    held: cython.Py_ssize_t = reading.nheld
    taken: cython.Py_ssize_t = size if size < MOST_HEAD - held else MOST_HEAD - held
    whole: cython.p_const_uchar = text
    if held:
        if not _hold(reading, text, taken):
            return -1
        whole = reading.held
        at = _end_of_head(whole, held - 2 if held > 2 else 0, reading.nheld)
    else:
        at = _end_of_head(text, 0, taken)
    if at == 0:
        # Not all of it is there. What does not even begin like a reply need not be waited for.
        if held + taken == MOST_HEAD or memcmp(
            whole, b"HTTP/1.", cython.cast(cython.size_t, held + taken if held + taken < 7 else 7)
        ):
            return -1
        if held == 0 and not _hold(reading, text, taken):
            return -1
        return taken
    if not _read_head(cython.address(reading.head), whole, at, is_head):
        return -1
    if held == 0 and at <= MOST_KNOWN:
        memcpy(known.text, text, cython.cast(cython.size_t, at))
        known.size = at
        known.head = reading.head
    reading.nheld = 0
    reading.stage = reading.head.stage
    return at - held


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _take_chunks(
    reading: cython.pointer(Reading), text: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """How many bytes of `text` belong to a body that comes in chunks; -1 when they make no sense."""
    at: cython.Py_ssize_t = 0
    used: cython.Py_ssize_t = 0
    place: cython.Py_ssize_t = 0
    count: cython.Py_ssize_t = 0
    result: cython.int
    while True:
        result = read_body(
            cython.address(reading.chunks), text + at, size - at, cython.address(_BOUNDS),
            cython.address(used), cython.address(place), cython.address(count),
        )  # fmt: skip
        at += used
        if result == BODY_DATA:
            reading.body += count
            continue
        if result == BODY_END:
            reading.stage = COMPLETE
        return -1 if result < 0 else at


def read_reply(reading, known, text, size, is_head):
    """Go on with a reply at `text`: how many bytes belong to it, or -1 when it is no reply (or there is no memory).

    `reading.stage` is COMPLETE when it is whole; else all bytes were used. Interim replies (1xx) are passed over.
    """
    at: cython.Py_ssize_t = 0
    used: cython.Py_ssize_t
    while reading.stage == IN_HEAD and at < size:
        if (
            known.size
            and reading.nheld == 0
            and size - at >= known.size
            and memcmp(text + at, known.text, cython.cast(cython.size_t, known.size)) == 0
        ):
            reading.head = known.head
            reading.stage = known.head.stage
            used = known.size
        else:
            used = _take_head(reading, known, text + at, size - at, is_head)
            if used < 0:
                return -1
        at += used
        if reading.stage == IN_HEAD:
            continue
        if reading.head.status < 200 and reading.head.status != 101:
            reading.stage = IN_HEAD
            continue
        reading.left = reading.head.length
        reading.body = 0
        if reading.stage == BY_CHUNKS:
            memset(cython.address(reading.chunks), 0, cython.sizeof(reading.chunks))
            reading.chunks.state = SIZE
    if reading.stage == BY_LENGTH:
        used = size - at
        if used > reading.left:
            used = cython.cast(cython.Py_ssize_t, reading.left)
        reading.left -= used
        reading.body += used
        at += used
        if reading.left == 0:
            reading.stage = COMPLETE
    elif reading.stage == BY_CHUNKS and at < size:
        used = _take_chunks(reading, text + at, size - at)
        if used < 0:
            return -1
        at += used
    elif reading.stage == TO_THE_END:
        reading.body += size - at
        at = size
    return at


def end_reply(reading):
    """The connection has ended: does that complete the reply?"""
    if reading.stage != TO_THE_END:
        return False
    reading.stage = COMPLETE
    return True


def next_reply(reading):
    """Be ready for another reply."""
    reading.stage = IN_HEAD
    reading.nheld = 0


def close_reading(reading):
    free(reading.held)
    reading.held = cython.NULL
    reading.nheld = 0
    reading.room = 0
