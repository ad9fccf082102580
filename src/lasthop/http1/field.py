# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A header or trailer field of HTTP/1: one line in, the places of its name and value out, or the rule that was broken.

Knows tokens, field lines (RFC 9110, 5.1 and 5.5; RFC 9112, section 5) and the names that are worth a number. Knows nothing of heads or
bodies. The caller owns the buffer; results are offsets into it.
"""

import cython
from cython.cimports.libc.stdint import int16_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy

KNOWN_NAMES: tuple[bytes, ...] = (
    # The first seven are those that the reader itself, or the engine, looks at: field.pxd counts on their places.
    b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"content-type", b"cookie",
    # What fronts say of the client. The first six the engine reads, if it believes whoever sent them; else it hands on none of them. field.pxd
    # counts on these places, too.
    b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip",
    b"cf-connecting-ip", b"front-end-https", b"true-client-ip", b"x-client-ip", b"x-cluster-client-ip", b"x-forwarded",
    b"x-forwarded-prefix", b"x-forwarded-protocol", b"x-forwarded-scheme", b"x-forwarded-server", b"x-forwarded-ssl",
    b"x-scheme", b"x-url-scheme",
    # What fronts, browsers and clients send: a name in this table costs its key in the environ nothing.
    b"accept", b"accept-charset", b"accept-datetime", b"accept-encoding", b"accept-language", b"access-control-request-headers",
    b"access-control-request-method", b"authorization", b"baggage", b"cache-control", b"cf-ipcountry", b"cf-ray", b"cf-visitor",
    b"content-disposition", b"content-encoding", b"content-language", b"content-location", b"content-range", b"date", b"dnt",
    b"early-data", b"from", b"grpc-timeout", b"http2-settings", b"idempotency-key", b"if-match", b"if-modified-since",
    b"if-none-match", b"if-range", b"if-unmodified-since", b"keep-alive", b"last-event-id", b"link", b"max-forwards", b"origin",
    b"pragma", b"prefer", b"priority", b"proxy-authorization", b"proxy-connection", b"range", b"referer", b"remote-user",
    b"save-data", b"sec-ch-ua", b"sec-ch-ua-arch", b"sec-ch-ua-mobile", b"sec-ch-ua-model", b"sec-ch-ua-platform",
    b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user", b"sec-gpc", b"sec-websocket-extensions",
    b"sec-websocket-key", b"sec-websocket-protocol", b"sec-websocket-version", b"te", b"traceparent", b"tracestate", b"trailer",
    b"upgrade", b"upgrade-insecure-requests", b"user-agent", b"via", b"warning", b"x-amzn-trace-id", b"x-api-key",
    b"x-b3-sampled", b"x-b3-spanid", b"x-b3-traceid", b"x-cloud-trace-context", b"x-correlation-id", b"x-csrf-token",
    b"x-csrftoken", b"x-http-method-override", b"x-original-uri", b"x-original-url", b"x-request-id", b"x-request-start",
    b"x-requested-with", b"x-xsrf-token",
)  # fmt: skip
"""Header names, lower-cased, whose place `Field.known` tells."""

# What a byte of a name may be. LOWER: the lower-cased byte of a token (RFC 9110, 5.6.2), 0 for what no token has. NAMES: 0 for what no token has,
# 2 for `_`, 1 for the rest.
LOWER = cython.declare(cython.uchar[256])
NAMES = cython.declare(cython.uchar[256])

# The known names by hash, open addressing; four times as many slots as names keeps most probes at one.
_slot_of = cython.declare(int16_t[512])
_name_at = cython.declare(cython.p_const_uchar[128])
_name_size = cython.declare(uint16_t[128])


@cython.cfunc
def _fill_tables() -> cython.void:
    byte: cython.int
    for byte in range(256):
        LOWER[byte] = 0
    for byte in b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz":
        LOWER[byte] = cython.cast(cython.uchar, byte)
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        LOWER[byte] = cython.cast(cython.uchar, byte + 32)
    for byte in range(256):
        NAMES[byte] = 1 if LOWER[byte] else 0
    NAMES[ord("_")] = 2


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _slot(name: cython.p_const_uchar, size: cython.Py_ssize_t) -> uint32_t:
    """Where to begin to look for a name: by its size, first, middle and last byte, whatever their case."""
    return (
        cython.cast(
            uint32_t,
            size * 37 + (name[0] | 0x20) * 5 + (name[size >> 1] | 0x20) * 17 + (name[size - 1] | 0x20) * 3,
        )
        & 511
    )


@cython.cfunc
def _fill_known() -> cython.void:
    if len(KNOWN_NAMES) > 128 or not all(
        c in b"abcdefghijklmnopqrstuvwxyz0123456789-" for name in KNOWN_NAMES for c in name
    ):
        raise AssertionError("KNOWN_NAMES are at most 128, of small letters, digits and `-`")
    i: cython.int
    for i in range(512):
        _slot_of[i] = -1
    place: cython.int = 0
    for name in KNOWN_NAMES:
        text: cython.p_const_uchar = name  # points into the constant, which lives as long as the module
        _name_at[place] = text
        _name_size[place] = cython.cast(uint16_t, len(name))
        slot: uint32_t = _slot(text, len(name))
        while _slot_of[slot] >= 0:
            slot = (slot + 1) & 511
        _slot_of[slot] = cython.cast(int16_t, place)
        place += 1


_fill_tables()
_fill_known()
if tuple(
    KNOWN_NAMES[place]
    for place in (HOST, CONTENT_TYPE, COOKIE, FORWARDED, X_FORWARDED_FOR, X_REAL_IP, LAST_OF_FRONTS)
) != (
    b"host",
    b"content-type",
    b"cookie",
    b"forwarded",
    b"x-forwarded-for",
    b"x-real-ip",
    b"x-url-scheme",
):
    raise AssertionError("field.pxd and KNOWN_NAMES disagree")


def lower(c):
    """`c` lower-cased if it may stand in a token (RFC 9110, 5.6.2), else 0."""
    return LOWER[c]


def same_word(text, size, lower):
    """Is `text` the word `lower` (lower-case, ending in NUL), whatever its case?"""
    i: cython.Py_ssize_t
    for i in range(size):
        # LOWER is 0 for what no token has, so NUL in `text` never equals the end of `lower`.
        if lower[i] == 0 or LOWER[text[i]] != cython.cast(cython.uchar, lower[i]):
            return False
    return lower[size] == 0


def line_end(buf, at, size):
    """`at` is a CR: where the next line begins, NEED_MORE, or BARE_CR."""
    if at + 1 >= size:
        return NEED_MORE
    return at + 2 if buf[at + 1] == 0x0A else BARE_CR


def blame(byte, otherwise):
    """The refusal for a byte that may not stand where it stands: an LF has a rule of its own."""
    return BARE_LF if byte == 0x0A else otherwise


def read_field(field, underscore, buf, at, size, bounds):
    """One field line, `name ":" OWS value OWS CRLF`, that begins at `at`: where the next line begins, NEED_MORE, or a refusal.

    `underscore` becomes true when the name has a `_`. RFC 9112, section 5.
    """
    stop: cython.Py_ssize_t = at + bounds.field_size + 1  # one more than allowed: the CR may stand there
    if stop > size:
        stop = size
    i: cython.Py_ssize_t = at
    end: cython.Py_ssize_t
    c: cython.uchar
    kind: cython.uchar
    kinds: cython.uchar = 0
    while i < stop:
        kind = NAMES[buf[i]]
        if kind == 0:
            break
        kinds |= kind
        i += 1
    if i == stop:
        return FIELD_TOO_LARGE if i - at > bounds.field_size else NEED_MORE
    c = buf[i]
    if c != 0x3A or i == at:  # not a colon, or nothing before it
        if i == at and (c == 0x20 or c == 0x09):
            return FOLDED_HEADER
        if c == 0x0D:
            end = line_end(buf, i, size)
            return end if end <= 0 else BAD_HEADER_NAME
        return blame(c, BAD_HEADER_NAME)
    if i - at > 0xFFFF:
        return FIELD_TOO_LARGE
    field.name = cython.cast(uint32_t, at)
    field.name_size = cython.cast(uint16_t, i - at)
    if kinds & 2:
        underscore[0] = True
    field.known = _look_up(buf + at, i - at)
    i += 1
    while i < stop and (buf[i] == 0x20 or buf[i] == 0x09):
        i += 1
    field.value = cython.cast(uint32_t, i)
    # Eight bytes at a time. `high` gets the high bit of each byte below 0x20 and of each 0x7f; a borrow may mark a byte above one that is
    # marked, never one below, so the lowest mark is true.
    word: uint64_t
    high: uint64_t
    ones: uint64_t = 0x01010101
    ones |= ones << 32
    while True:
        if i + 8 <= stop:
            memcpy(cython.address(word), buf + i, 8)
            high = (word - ones * 0x20) & ~word
            word ^= ones * 0x7F
            high = (high | ((word - ones) & ~word)) & (ones << 7)
            if high == 0:
                i += 8
                continue
            i += __builtin_ctzll(high) >> 3
        elif i == stop:
            return FIELD_TOO_LARGE if i - at > bounds.field_size else NEED_MORE
        c = buf[i]
        if (c < 0x20 and c != 0x09) or c == 0x7F:
            break
        i += 1
    if c != 0x0D:
        return blame(c, BAD_HEADER_VALUE)
    end = line_end(buf, i, size)
    if end <= 0:
        return end
    while i > field.value and (buf[i - 1] == 0x20 or buf[i - 1] == 0x09):
        i -= 1
    field.value_size = cython.cast(uint32_t, i - field.value)
    return end


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _look_up(name: cython.p_const_uchar, size: cython.Py_ssize_t) -> int16_t:
    slot: uint32_t = _slot(name, size)
    place: int16_t
    while True:
        place = _slot_of[slot]
        if place < 0:
            return UNKNOWN
        if _name_size[place] == size and _same_name(name, _name_at[place], size):
            return place
        slot = (slot + 1) & 511


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _same_name(
    name: cython.p_const_uchar, known: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.bint:
    """Is the token `name` the known name, whatever its case?

    Setting bit 0x20 makes capitals small and leaves small letters, digits and `-`, of which known names consist, as they are; no other byte
    that a token may have becomes one of these. The last eight bytes overlap those before, so that no byte beyond the name is read.
    """
    one: uint64_t
    other: uint64_t
    bits: uint64_t = 0x20202020
    bits |= bits << 32
    i: cython.Py_ssize_t = 0
    if size >= 8:
        while i + 8 < size:
            memcpy(cython.address(one), name + i, 8)
            memcpy(cython.address(other), known + i, 8)
            if (one | bits) != other:
                return False
            i += 8
        memcpy(cython.address(one), name + size - 8, 8)
        memcpy(cython.address(other), known + size - 8, 8)
        return (one | bits) == other
    while i < size:
        if (name[i] | 0x20) != known[i]:
            return False
        i += 1
    return True
