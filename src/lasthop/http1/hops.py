# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What headers say of the hops before us: X-Forwarded-For and its kin, and Forwarded (RFC 7239). Bytes in, places and addresses out.

Knows the grammar, and nothing of who is to be believed: no socket, no environ. Lists are read **from their end**: the last element was
written by the hop that is nearest to us, and what stands before it may be the client's own invention. A list that is well-formed is cut at
the same commas from either end; of one that is not, the good end can be read whatever was put before it, so that a client cannot
hide behind a quotation mark that it never closes. Linear: each byte is looked at a fixed number of times as the caller goes left.
"""

import cython
from cython.cimports.lasthop.http1.field import lower, same_word
from cython.cimports.libc.string import memcpy, memset


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _is_blank(c: cython.uchar) -> cython.bint:
    return c == 0x20 or c == 0x09


def last_item(item, text, size):
    """The last element of the comma-separated list `text`, blanks around it left out, empty ones passed over: the size of what stands before it.

    `item.size` is -1 when there is none.
    """
    end: cython.Py_ssize_t = size
    start: cython.Py_ssize_t
    comma: cython.p_const_uchar
    while end > 0 and (_is_blank(text[end - 1]) or text[end - 1] == 0x2C):
        end -= 1
    comma = cython.cast(cython.p_const_uchar, memrchr(text, 0x2C, cython.cast(cython.size_t, end)))
    start = comma - text + 1 if comma != cython.NULL else 0
    size = start
    while start < end and _is_blank(text[start]):
        start += 1
    item.at = start
    item.size = end - start if end else -1
    return size


def last_element(element, text, size):
    """The last element of a Forwarded list: the size of what stands before it; -1: there is none; -2: it is malformed."""
    end: cython.Py_ssize_t = size
    start: cython.Py_ssize_t
    slashes: cython.Py_ssize_t
    quoted: cython.bint = False
    while end > 0 and (_is_blank(text[end - 1]) or text[end - 1] == 0x2C):
        end -= 1
    if end == 0:
        return -1
    start = end
    while start > 0 and (quoted or text[start - 1] != 0x2C):
        start -= 1
        if text[start] == 0x22:
            if quoted:
                # A quotation mark that is escaped does not open the string that we are in: an odd number of backslashes stands before it.
                slashes = 0
                while slashes < start and text[start - 1 - slashes] == 0x5C:
                    slashes += 1
                quoted = slashes % 2 == 1
            else:
                quoted = True
    if quoted:
        return -2
    return start if _read_element(element, text, start, end) else -2


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_element(
    element: cython.pointer(Element),
    text: cython.p_const_uchar,
    at: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.bint:
    """`[ pair ] *( ";" [ pair ] )`, blanks around the semicolons let pass, no name twice. RFC 7239, section 4."""
    name: cython.Py_ssize_t
    size: cython.Py_ssize_t
    value: Span
    into: cython.pointer(Span)
    by: Span
    element.client.size = -1
    element.host.size = -1
    element.proto.size = -1
    by.size = -1
    while True:
        while at < end and (_is_blank(text[at]) or text[at] == 0x3B):
            at += 1
        if at == end:
            return True
        name = at
        while at < end and lower(text[at]) != 0:
            at += 1
        size = at - name
        if size == 0 or at == end or text[at] != 0x3D:
            return False
        at = _read_value(cython.address(value), text, at + 1, end)
        if at < 0:
            return False
        while at < end and _is_blank(text[at]):
            at += 1
        if at < end and text[at] != 0x3B:
            return False
        if same_word(text + name, size, b"for"):
            into = cython.address(element.client)
        elif same_word(text + name, size, b"host"):
            into = cython.address(element.host)
        elif same_word(text + name, size, b"proto"):
            into = cython.address(element.proto)
        elif same_word(text + name, size, b"by"):
            into = cython.address(by)
        else:
            continue
        if into.size >= 0:
            return False
        into[0] = value


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_value(
    value: cython.pointer(Span), text: cython.p_const_uchar, at: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """A token or a quoted string that begins at `at`: where it ends, or -1. What is escaped in a string stays so: no address or host needs it."""
    if at < end and text[at] == 0x22:
        at += 1
        value.at = at
        while at < end and text[at] != 0x22:
            if text[at] == 0x5C:
                at += 1
                if at == end:
                    return -1
            if (text[at] < 0x20 and text[at] != 0x09) or text[at] == 0x7F:
                return -1
            at += 1
        if at == end:
            return -1
        value.size = at - value.at
        return at + 1
    value.at = at
    while at < end and lower(text[at]) != 0:
        at += 1
    value.size = at - value.at
    return at if value.size else -1


def read_port(text, size):
    """A port from 1 to 65535, or -1."""
    number: cython.int = 0
    i: cython.Py_ssize_t
    if size < 1 or size > 5:
        return -1
    for i in range(size):
        if text[i] < 0x30 or text[i] > 0x39:
            return -1
        number = number * 10 + (text[i] - 0x30)
    return number if 1 <= number <= 65535 else -1


def read_scheme(text, size):
    """1 for http, 2 for https, 0 for what is neither. WebSocket's names for the two are theirs as well."""
    if size == 5:
        return 2 if same_word(text, size, b"https") else 0
    if size == 4:
        return 1 if same_word(text, size, b"http") else 0
    return 1 if same_word(text, size, b"ws") else 2 if same_word(text, size, b"wss") else 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_four(
    node: cython.pointer(Node), text: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.bint:
    """Four numbers up to 255 with dots between them, without leading zeros (RFC 3986, 3.2.2, IPv4address)."""
    i: cython.Py_ssize_t
    number: cython.int = -1
    place: cython.int = 12
    for i in range(size):
        if 0x30 <= text[i] <= 0x39 and number != 0:
            number = (0 if number < 0 else number * 10) + text[i] - 0x30
            if number > 255:
                return False
        elif text[i] == 0x2E and number >= 0 and place < 15:
            node.address[place] = cython.cast(cython.uchar, number)
            place += 1
            number = -1
        else:
            return False
    if number < 0 or place != 15:
        return False
    node.address[15] = cython.cast(cython.uchar, number)
    memset(node.address, 0, 10)
    node.address[10] = 0xFF
    node.address[11] = 0xFF
    node.six = False
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_six(node: cython.pointer(Node), text: cython.p_const_uchar, size: cython.Py_ssize_t) -> cython.bint:
    """An IPv6 address as inet_pton has it: no zone."""
    word: cython.char[48]
    i: cython.Py_ssize_t
    if size < 2 or size > 45:
        return False
    for i in range(size):
        if text[i] == 0:
            return False
    memcpy(word, text, cython.cast(cython.size_t, size))
    word[size] = 0
    if inet_pton(AF_INET6, word, node.address) != 1:
        return False
    # ::ffff:192.0.2.1 is IPv4's 192.0.2.1
    node.six = not _is_mapped(node.address)
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_mapped(address: cython.p_const_uchar) -> cython.bint:
    i: cython.int
    for i in range(10):
        if address[i] != 0:
            return False
    return address[10] == 0xFF and address[11] == 0xFF


def read_node(node, text, size, bare):
    """What one hop is called: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`, `unknown`, `_hidden`. RFC 7239, section 6.

    `bare`: IPv6 without brackets and nginx's `unix:` too, as X-Forwarded-For has them.
    """
    i: cython.Py_ssize_t
    colon: cython.Py_ssize_t = -1
    colons: cython.int = 0
    node.kind = MALFORMED
    node.port = -1
    node.six = False
    node.plain = False
    if size <= 0:
        return
    if 0x30 <= text[0] <= 0x39 and _read_four(node, text, size):
        node.plain = True
        node.kind = ADDRESS
        return
    if bare and _is_unix(text, size):
        node.kind = LOCAL
        return
    if text[0] == 0x5B:
        i = 1
        while i < size and text[i] != 0x5D:
            i += 1
        if i == size or not _read_six(node, text + 1, i - 1):
            return
        if i + 1 < size and not _read_node_port(node, text + i + 1, size - i - 1):
            return
        node.kind = ADDRESS
        return
    for i in range(size):
        if text[i] == 0x3A:
            colons += 1
            if colon < 0:
                colon = i
    if colons > 1:
        if bare and _read_six(node, text, size):
            node.kind = ADDRESS
        return
    if colons == 1:
        if not _read_node_port(node, text + colon, size - colon):
            return
        size = colon
    if size == 0:
        return
    if text[0] == 0x5F:
        node.kind = UNTOLD if _is_obfuscated(text, size) else MALFORMED
    elif same_word(text, size, b"unknown"):
        node.kind = UNTOLD
    elif _read_four(node, text, size):
        node.kind = ADDRESS


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_unix(text: cython.p_const_uchar, size: cython.Py_ssize_t) -> cython.bint:
    """Is it nginx's word for a client on a UNIX socket?"""
    return size == 5 and text[4] == 0x3A and same_word(text, 4, b"unix")


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _read_node_port(
    node: cython.pointer(Node), text: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.bint:
    """`:80`, or `:_hidden`, which tells no port."""
    if size < 2 or text[0] != 0x3A:
        return False
    if text[1] == 0x5F:
        return _is_obfuscated(text + 1, size - 1)
    node.port = read_port(text + 1, size - 1)
    return node.port > 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_obfuscated(text: cython.p_const_uchar, size: cython.Py_ssize_t) -> cython.bint:
    """`"_" 1*( ALPHA / DIGIT / "." / "_" / "-")`."""
    i: cython.Py_ssize_t
    c: cython.uchar
    for i in range(1, size):
        c = text[i]
        if not (0x30 <= c <= 0x39 or 0x61 <= (c | 0x20) <= 0x7A or c == 0x2E or c == 0x5F or c == 0x2D):
            return False
    return size > 1
