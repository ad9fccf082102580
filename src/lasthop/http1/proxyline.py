# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The PROXY protocol, versions 1 and 2: what a connection begins with when a front says for whom it made it. Bytes in, an address out.

Knows the format (HAProxy's doc/proxy-protocol.txt, sections 2.1 and 2.2) and nothing of who is to be believed; no socket. Strict: what is not exactly as
written there is broken. Resumable at any byte: the caller shows all that came, and a byte that cannot be right is refused as soon as it is there.
Bounded: a line of version 1 has at most 107 bytes, a header of version 2 at most MOST_PROXIED, extensions (which are passed over) included.
"""

import cython
from cython.cimports.lasthop.http1.hops import AF_INET, AF_INET6, inet_pton, read_port
from cython.cimports.libc.stdint import uint16_t
from cython.cimports.libc.string import memcmp, memcpy

_LONGEST_LINE = cython.declare(cython.Py_ssize_t, 107)


def read_proxied(proxied, text, size, versions):
    """How many bytes at `text` are the front's word; 0: more are needed; BROKEN."""
    signature: cython.p_const_char = b"\r\n\r\n\0\r\nQUIT\n"
    begin: cython.p_const_char = b"PROXY "
    proxied.size = 0
    if size == 0:
        return 0
    if text[0] == 0x0D:
        if not versions & VERSION_2 or memcmp(text, signature, size if size < 12 else 12) != 0:
            return BROKEN
        return _read_header(proxied, text, size)
    if not versions & VERSION_1 or memcmp(text, begin, size if size < 6 else 6) != 0:
        return BROKEN
    return _read_line(proxied, text, size)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_line(
    proxied: cython.pointer(Proxied), text: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """`PROXY TCP4 192.0.2.1 192.0.2.2 4711 80 CRLF`: source address, ours, source port, ours."""
    most: cython.Py_ssize_t = size if size < _LONGEST_LINE else _LONGEST_LINE
    end: cython.Py_ssize_t = 6
    words: cython.p_const_uchar[5]
    sizes: cython.Py_ssize_t[5]
    count: cython.int = 0
    start: cython.Py_ssize_t = 6
    length: cython.int
    there: cython.uchar[16]
    port: cython.int
    own: cython.int
    while end < most and text[end] != 0x0D:
        # Printable, so that nothing can hide in it; what stands after UNKNOWN is not looked at closer.
        if text[end] < 0x20 or text[end] > 0x7E:
            return BROKEN
        end += 1
    if end == most:
        return BROKEN if size >= _LONGEST_LINE else 0
    if end + 1 >= size:
        return BROKEN if end + 2 > _LONGEST_LINE else 0
    if text[end + 1] != 0x0A or end + 2 > _LONGEST_LINE:
        return BROKEN
    if end - 6 >= 7 and memcmp(text + 6, b"UNKNOWN", 7) == 0 and (end == 13 or text[13] == 0x20):
        return end + 2
    while start <= end:
        if count == 5:
            return BROKEN
        words[count] = text + start
        while start < end and text[start] != 0x20:
            start += 1
        sizes[count] = start - (words[count] - text)
        count += 1
        start += 1
    if count != 5 or sizes[0] != 4 or memcmp(words[0], b"TCP", 3) != 0:
        return BROKEN
    if words[0][3] == 0x34:
        length = 4
    elif words[0][3] == 0x36:
        length = 16
    else:
        return BROKEN
    # A port of 0 has no sense as a source, but the format allows it and some fronts write it for a socket without one.
    port = _number(words[3], sizes[3])
    own = _number(words[4], sizes[4])
    if (
        port < 0
        or own < 0
        or not _read_ip(proxied.address, words[1], sizes[1], length)
        or not _read_ip(there, words[2], sizes[2], length)
    ):
        return BROKEN
    proxied.size = length
    proxied.port = cython.cast(uint16_t, port)
    return end + 2


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _number(text: cython.p_const_uchar, size: cython.Py_ssize_t) -> cython.int:
    """A port from 0 to 65535 without leading zeros, or -1."""
    if size == 1 and text[0] == 0x30:
        return 0
    return -1 if size > 0 and text[0] == 0x30 else read_port(text, size)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_ip(
    address: cython.p_uchar, text: cython.p_const_uchar, size: cython.Py_ssize_t, length: cython.int
) -> cython.bint:
    word: cython.char[48]
    if size < 2 or size > 45:
        return False
    memcpy(word, text, cython.cast(cython.size_t, size))  # printable, so without a NUL
    word[size] = 0
    return inet_pton(AF_INET if length == 4 else AF_INET6, word, address) == 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_header(
    proxied: cython.pointer(Proxied), text: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Signature (12 bytes), version and command, family and transport, length of the rest, addresses, extensions."""
    length: cython.Py_ssize_t
    whole: cython.Py_ssize_t
    if size >= 13 and text[12] != 0x20 and text[12] != 0x21:
        return BROKEN
    if size < 16:
        return 0
    length = (cython.cast(cython.Py_ssize_t, text[14]) << 8) | text[15]
    whole = 16 + length
    if whole > MOST_PROXIED:
        return BROKEN
    if text[12] == 0x21:
        # TCP over IPv4 or IPv6; UNSPEC and UNIX sockets tell no address that could be used.
        if text[13] == 0x11:
            if length < 12:
                return BROKEN
            proxied.size = 4
        elif text[13] == 0x21:
            if length < 36:
                return BROKEN
            proxied.size = 16
        elif text[13] == 0x31:
            if length < 216:
                return BROKEN
        elif text[13] != 0x00:
            return BROKEN
    if size < whole:
        proxied.size = 0
        return 0
    if proxied.size == 4:
        memcpy(proxied.address, text + 16, 4)
        proxied.port = cython.cast(uint16_t, (text[24] << 8) | text[25])
    elif proxied.size == 16:
        memcpy(proxied.address, text + 16, 16)
        proxied.port = cython.cast(uint16_t, (text[48] << 8) | text[49])
    return whole


def describe(text: bytes, versions: int = 3):
    """The same as Python values, for people, tests and fuzzers: (bytes used, address or None, port); None: more are needed; ValueError."""
    proxied: Proxied
    took: cython.Py_ssize_t = read_proxied(cython.address(proxied), text, len(text), versions)
    if took == BROKEN:
        raise ValueError("this does not begin as the PROXY protocol has it")
    if took == 0:
        return None
    if proxied.size == 0:
        return took, None, 0
    return took, proxied.address[: proxied.size], proxied.port
