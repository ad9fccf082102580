# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What four header values say: Connection, Transfer-Encoding, Content-Length, Host.

Knows their grammar (RFC 9110, 7.2 and 7.6.1; RFC 9112, 6.1, 6.2 and 9.3) and nothing of the head that they stand in.
"""

import cython
from cython.cimports.lasthop.http1.field import BAD_TRANSFER_ENCODING, UNKNOWN_TRANSFER_ENCODING, same_word
from cython.cimports.libc.stdint import int64_t

HOSTS = cython.declare(cython.uchar[256])
"""1 for what a host may have (RFC 3986, 3.2.2)."""


@cython.cfunc
def _fill_tables() -> cython.void:
    byte: cython.int
    for byte in range(256):
        HOSTS[byte] = 0
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=%":
        HOSTS[byte] = 1


_fill_tables()


def good_host(text, size):
    """Is `text` `uri-host [":" port]`? (RFC 9110, 7.2; an empty one is for a target that has no authority.)"""
    i: cython.Py_ssize_t = 0
    if size and text[0] == 0x5B:
        i = 1
        while i < size and (HOSTS[text[i]] or text[i] == 0x3A):
            i += 1
        if i == size or text[i] != 0x5D or i == 1:
            return False
        i += 1
    else:
        while i < size and HOSTS[text[i]]:
            i += 1
        if i == 0 and size:
            return False  # a port without a host
    if i == size:
        return True
    if text[i] != 0x3A:
        return False
    i += 1
    while i < size and 0x30 <= text[i] <= 0x39:
        i += 1
    return i == size


def hear_connection(keep_alive, closing, text, size):
    """Look for `close` and `keep-alive` in the list of a Connection field (RFC 9112, section 9.3)."""
    i: cython.Py_ssize_t = 0
    start: cython.Py_ssize_t
    end: cython.Py_ssize_t
    while i < size:
        while i < size and (text[i] == 0x20 or text[i] == 0x09 or text[i] == 0x2C):
            i += 1
        start = i
        while i < size and text[i] != 0x2C:
            i += 1
        end = i
        while end > start and (text[end - 1] == 0x20 or text[end - 1] == 0x09):
            end -= 1
        if same_word(text + start, end - start, b"close"):
            closing[0] = True
        elif same_word(text + start, end - start, b"keep-alive"):
            keep_alive[0] = True


def judge_coding(text, size):
    """0 when the Transfer-Encoding is `chunked`, or its refusal (RFC 9112, section 6.1)."""
    if same_word(text, size, b"chunked"):
        return 0
    # `gzip, chunked` is well-formed but not understood; anything that does not end in chunked, once, has no end that all would agree on.
    i: cython.Py_ssize_t = size - 7
    if i <= 0 or not same_word(text + i, 7, b"chunked"):
        return BAD_TRANSFER_ENCODING
    comma: cython.bint = False
    while i > 0 and (text[i - 1] == 0x20 or text[i - 1] == 0x09 or text[i - 1] == 0x2C):
        i -= 1
        if text[i] == 0x2C:
            comma = True
    if not comma or i == 0:
        return BAD_TRANSFER_ENCODING
    while i >= 7:
        if same_word(text + i - 7, 7, b"chunked"):
            return BAD_TRANSFER_ENCODING
        i -= 1
    return UNKNOWN_TRANSFER_ENCODING


def read_length(length, text, size):
    """Read a Content-Length of 1 to 18 digits, which always fits 63 bits."""
    n: int64_t = 0
    i: cython.Py_ssize_t
    if size < 1 or size > 18:
        return False
    for i in range(size):
        if text[i] < 0x30 or text[i] > 0x39:
            return False
        n = n * 10 + (text[i] - 0x30)
    length[0] = n
    return True
