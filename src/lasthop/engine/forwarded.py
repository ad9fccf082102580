# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What a trusted front says of the client, put where an application looks for it: REMOTE_ADDR, the scheme, the host.

Knows which headers count, which of them wins, and whose hops are skipped; the grammar is `http1.hops`'. Whether the peer that sent them is to be believed was
decided before (`environ`). Pure: an environ in, the same environ changed, no socket. The rules are in docs/design/trust.md; in short:

- the client is the right-most hop that is not one of ours; X-Forwarded-For wins over X-Real-IP, and both over Forwarded;
- a value that is malformed as far as it is read counts for nothing, as a whole, and does not reach the application;
- nor does one that contradicts the one that won.
"""

import sys

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.cpython.dict import PyDict_DelItem, PyDict_GetItem, PyDict_SetItem
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.unicode import (
    PyUnicode_1BYTE_DATA,
    PyUnicode_DecodeLatin1,
    PyUnicode_GET_LENGTH,
    PyUnicode_KIND,
)
from cython.cimports.lasthop.engine.linux import AF_INET, AF_INET6, inet_ntop
from cython.cimports.lasthop.http1.field import (
    FORWARDED,
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PORT,
    X_FORWARDED_PROTO,
    X_REAL_IP,
)
from cython.cimports.lasthop.http1.framing import good_host
from cython.cimports.lasthop.http1.hops import (
    ADDRESS,
    LOCAL,
    MALFORMED,
    UNTOLD,
    Element,
    Node,
    Span,
    last_element,
    last_item,
    read_node,
    read_port,
    read_scheme,
)
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.string import memcmp, memcpy

_NOTHING = cython.declare(cython.int, -1)
"""Beside hops.Kind: no hop is told."""

_FORWARDED = cython.declare(str, sys.intern("HTTP_FORWARDED"))
_FOR = cython.declare(str, sys.intern("HTTP_X_FORWARDED_FOR"))
_PROTO = cython.declare(str, sys.intern("HTTP_X_FORWARDED_PROTO"))
_HOST = cython.declare(str, sys.intern("HTTP_X_FORWARDED_HOST"))
_PORT = cython.declare(str, sys.intern("HTTP_X_FORWARDED_PORT"))
_REAL = cython.declare(str, sys.intern("HTTP_X_REAL_IP"))
_REMOTE_ADDR = cython.declare(str, sys.intern("REMOTE_ADDR"))
_REMOTE_PORT = cython.declare(str, sys.intern("REMOTE_PORT"))
_HTTP_HOST = cython.declare(str, sys.intern("HTTP_HOST"))
_SERVER_NAME = cython.declare(str, sys.intern("SERVER_NAME"))
_SERVER_PORT = cython.declare(str, sys.intern("SERVER_PORT"))
_SCHEME = cython.declare(str, sys.intern("wsgi.url_scheme"))


def table_of(networks) -> bytes:
    """Addresses and networks as the engine compares them: in IPv6's form, an address and a mask of 16 bytes each."""
    import ipaddress  # only where it is needed: it takes 5 ms

    rows = []
    for text in networks:
        network = ipaddress.ip_network(text)
        base, bits = network.network_address.packed, network.prefixlen
        if network.version == 4:
            base, bits = bytes(10) + b"\xff\xff" + base, bits + 96
        rows.append(base + ((1 << 128) - (1 << (128 - bits))).to_bytes(16, "big"))
    return b"".join(rows)


_KEYS = cython.declare(tuple, (_FORWARDED, _FOR, _PROTO, _HOST, _PORT, _REAL))
"""In the order of http1.field's known names."""


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _text_of(
    value: cython.pointer(PyObject), text: cython.pointer(cython.p_const_uchar)
) -> cython.Py_ssize_t:
    """The bytes of a value, and their number; -1 when it is not there. The environ's values come from bytes, one each."""
    if value == cython.NULL:
        return -1
    if PyUnicode_KIND(cython.cast(object, value)) != 1:
        return 0
    text[0] = cython.cast(cython.p_const_uchar, PyUnicode_1BYTE_DATA(cython.cast(object, value)))
    return PyUnicode_GET_LENGTH(cython.cast(object, value))


@cython.cfunc
def _slice(text: cython.p_const_uchar, size: cython.Py_ssize_t) -> object:
    return PyUnicode_DecodeLatin1(cython.cast(cython.p_const_char, text), size, cython.NULL)


@cython.cfunc
def _written(node: cython.pointer(Node)) -> object:
    """An address in its canonical form."""
    text: cython.char[64]
    inet_ntop(
        AF_INET6 if node.six else AF_INET,
        node.address + (0 if node.six else 12),
        text,
        64,
    )
    return cython.cast(cython.p_char, text).decode("ascii")


@cython.cfunc
@cython.exceptval(check=False)
def _pick(
    item: cython.pointer(Span), text: cython.p_const_uchar, size: cython.Py_ssize_t, place: cython.Py_ssize_t
) -> cython.bint:
    """The element of a list that the hop at `place` (0: the last) wrote: as many from the end; or the only one there is. False: there is none."""
    left: cython.Py_ssize_t = size
    seen: cython.Py_ssize_t = 0
    next_: Span
    item.size = -1
    while seen <= place:
        left = last_item(cython.address(next_), text, left)
        if next_.size < 0:
            return seen == 1
        item[0] = next_
        seen += 1
    return True


@cython.cfunc
@cython.exceptval(check=False)
def _good_authority(text: cython.p_const_uchar, size: cython.Py_ssize_t) -> cython.bint:
    """A host, and perhaps a port that there can be."""
    at: cython.Py_ssize_t = size
    if size <= 0 or not good_host(text, size):
        return False
    while at > 0 and 0x30 <= text[at - 1] <= 0x39:
        at -= 1
    if at > 0 and text[at - 1] == 0x3A and not (text[0] == 0x5B and text[size - 1] == 0x5D):
        return at > 1 and read_port(text + at, size - at) > 0
    return True


@cython.cfunc
def _drop(environ: dict, key: object, said: object) -> object:
    """Take out what counts for nothing; what is to be said of it."""
    value = environ[key]
    PyDict_DelItem(environ, key)
    shown = value.encode("unicode_escape").decode("ascii")
    if len(shown) > 100:
        shown = shown[:100] + "..."
    if said is None:
        said = []
    said.append(("malformed", f"{key[5:].replace('_', '-').title()}: {shown}"))
    return said


class Proxies:
    """The hops that are ours: `texts` are addresses, networks and `unix`."""

    def __init__(self, texts=()):
        texts = list(texts)
        self.local = "unix" in texts
        networks = [text for text in texts if text != "unix"]
        self.table = table_of(networks) if networks else b""
        self.first = cython.cast(cython.p_const_uchar, PyBytes_AS_STRING(self.table))
        self.count = len(self.table) // 32
        self.host = ""
        self.name = ""
        self.port = -1
        self.good = False

    def __contains__(self, text):
        """Is this address one of them?"""
        node: Node
        raw: bytes = text.encode("latin-1")
        read_node(cython.address(node), raw, len(raw), True)
        if node.kind == LOCAL:
            return self.local
        return node.kind == ADDRESS and self.holds(node.address)

    def holds(self, address):
        """Is the address, in IPv6's form, in one of the networks?"""
        i: cython.Py_ssize_t
        given: uint64_t[2]
        row: uint64_t[4]
        memcpy(given, address, 16)
        for i in range(self.count):
            memcpy(row, self.first + 32 * i, 32)
            if (given[0] & row[2]) == row[0] and (given[1] & row[3]) == row[1]:
                return True
        return False

    def _walk(self, node, text, size, place, at, length):
        """The right-most hop of X-Forwarded-For that is not ours, or the left-most when all are: what it is, where it stands and how many are right of it."""
        item: Span
        left: cython.Py_ssize_t = size
        place[0] = -1
        node.kind = _NOTHING
        while True:
            left = last_item(cython.address(item), text, left)
            if item.size < 0:
                break
            place[0] += 1
            at[0] = item.at
            length[0] = item.size
            read_node(node, text + item.at, item.size, True)
            if node.kind == LOCAL:
                if not self.local:
                    break
            elif node.kind != ADDRESS or not self.holds(node.address):
                break
        if node.kind == LOCAL:
            node.kind = UNTOLD
        return node.kind

    def _forwarded(self, text):
        """What Forwarded says: (kind, address or None, port, scheme, host or None), or None when it is malformed."""
        # Copied: an element's places are counted from the beginning of a text that nobody changes meanwhile.
        raw: bytes = text.encode("latin-1")
        base: cython.p_const_uchar = raw
        left: cython.Py_ssize_t = len(raw)
        element: Element
        node: Node
        scheme: cython.int = 0
        node.kind = _NOTHING
        node.port = -1
        node.six = False
        element.proto.size = -1
        element.host.size = -1
        while True:
            left = last_element(cython.address(element), base, left)
            if left == -1:
                break  # none is left: all were ours, and `element` is the first of them
            if left < 0:
                return None
            if element.client.size < 0:
                node.kind = _NOTHING
                break
            read_node(cython.address(node), base + element.client.at, element.client.size, False)
            if node.kind == MALFORMED:
                return None
            if node.kind != ADDRESS or not self.holds(node.address):
                break
        if element.proto.size >= 0:
            scheme = read_scheme(base + element.proto.at, element.proto.size)
            if scheme == 0:
                return None
        host = None
        if element.host.size >= 0:
            if not _good_authority(base + element.host.at, element.host.size):
                return None
            host = _slice(base + element.host.at, element.host.size)
        address = _written(cython.address(node)) if node.kind == ADDRESS else None
        return node.kind, address, node.port, scheme, host

    def believe(self, environ):
        """Put what the headers say where it belongs: None, or pairs of what is to be told and about what."""
        told: cython.pointer(PyObject)[6]
        i: cython.int
        for i in range(6):
            told[i] = PyDict_GetItem(environ, _KEYS[i])
        return self.heed(environ, told, True)

    def heed(self, environ, told, has_port):
        """`believe`, for who knows the values already: `told` in the order of http1.field's known names, NULL for what did not come.

        `has_port`: whether the environ has the peer's own REMOTE_PORT.
        """
        text: cython.p_const_uchar = cython.NULL
        chain: cython.p_const_uchar = cython.NULL
        size: cython.Py_ssize_t
        chain_size: cython.Py_ssize_t
        node: Node
        real: Node
        item: Span
        kind: cython.int = _NOTHING
        place: cython.Py_ssize_t = 0
        at: cython.Py_ssize_t = 0
        length: cython.Py_ssize_t = 0
        client_port: cython.int = -1
        port: cython.int = -1
        scheme: cython.int = 0
        said: object = None
        client: object = None
        host: object = None

        chain_size = _text_of(told[X_FORWARDED_FOR - FORWARDED], cython.address(chain))
        if chain_size >= 0:
            kind = self._walk(
                cython.address(node),
                chain,
                chain_size,
                cython.address(place),
                cython.address(at),
                cython.address(length),
            )
            if kind == ADDRESS:
                client_port = node.port
                if not node.plain:
                    client = _written(cython.address(node))
                elif length == chain_size:
                    client = cython.cast(object, told[X_FORWARDED_FOR - FORWARDED])
                else:
                    client = _slice(chain + at, length)
            elif kind != UNTOLD:
                if kind == MALFORMED:
                    said = _drop(environ, _FOR, said)
                    chain_size = -1
                kind = _NOTHING
            if place < 0 or kind == _NOTHING:
                place = 0
        size = _text_of(told[X_REAL_IP - FORWARDED], cython.address(text))
        # Most often it is the client once more, and word for word.
        if size > 0 and not (kind == ADDRESS and size == length and memcmp(text, chain + at, size) == 0):
            read_node(cython.address(real), text, size, True)
            if real.kind == MALFORMED:
                said = _drop(environ, _REAL, said)
            elif kind == _NOTHING:
                kind = ADDRESS if real.kind == ADDRESS else UNTOLD
                if kind == ADDRESS:
                    client = environ[_REAL] if real.plain else _written(cython.address(real))
            elif real.kind != ADDRESS or not (
                (kind == ADDRESS and memcmp(real.address, node.address, 16) == 0)
                or _is_last(chain, chain_size, real.address)
            ):
                PyDict_DelItem(environ, _REAL)

        size = _text_of(told[X_FORWARDED_PROTO - FORWARDED], cython.address(text))
        if size > 0:
            if _pick(cython.address(item), text, size, place):
                scheme = read_scheme(text + item.at, item.size)
            if scheme == 0:
                said = _drop(environ, _PROTO, said)
        size = _text_of(told[X_FORWARDED_HOST - FORWARDED], cython.address(text))
        if size > 0:
            if _pick(cython.address(item), text, size, place):
                host = self._host_of(text + item.at, item.size)
            if host is None:
                said = _drop(environ, _HOST, said)
        size = _text_of(told[X_FORWARDED_PORT - FORWARDED], cython.address(text))
        if size > 0:
            if _pick(cython.address(item), text, size, place):
                port = read_port(text + item.at, item.size)
            if port < 0:
                said = _drop(environ, _PORT, said)

        if told[0] != cython.NULL and cython.cast(str, told[0]):
            forwarded = self._forwarded(cython.cast(str, told[0]))
            if forwarded is None:
                said = _drop(environ, _FORWARDED, said)
            elif kind == _NOTHING and scheme == 0 and port < 0 and host is None:
                kind, client, client_port, scheme, host = forwarded
            elif (
                (kind != _NOTHING and forwarded[0] != _NOTHING and forwarded[1] != client)
                or (scheme and forwarded[3] and forwarded[3] != scheme)
                or (host is not None and forwarded[4] is not None and forwarded[4] != host)
            ):
                PyDict_DelItem(environ, _FORWARDED)
                said = [] if said is None else said
                said.append(("disagree", ""))

        if kind != _NOTHING:
            PyDict_SetItem(environ, _REMOTE_ADDR, "" if client is None else client)
            if client is not None and client_port > 0:
                PyDict_SetItem(environ, _REMOTE_PORT, str(client_port))
            elif has_port and PyDict_GetItem(environ, _REMOTE_PORT) != cython.NULL:
                PyDict_DelItem(environ, _REMOTE_PORT)
        if host is not None:
            if not self.contradicted and environ.get(_HTTP_HOST, host) != host:
                self.contradicted = True
                said = [] if said is None else said
                said.append(("contradicted", f"{host}, and Host says {environ[_HTTP_HOST]}"))
            PyDict_SetItem(environ, _HTTP_HOST, host)
        if scheme:
            PyDict_SetItem(environ, _SCHEME, "https" if scheme == 2 else "http")
        if scheme or port > 0 or host is not None:
            self._name_server(
                environ, host, port, scheme == 2 or (not scheme and environ[_SCHEME] == "https")
            )
        return said

    def _host_of(self, text, size):
        """A host, and perhaps a port, as a text; None where it is none. Fronts seldom name another one than the last time."""
        known: cython.p_const_uchar = cython.cast(cython.p_const_uchar, PyUnicode_1BYTE_DATA(self.host))
        if self.good and size == PyUnicode_GET_LENGTH(self.host) and memcmp(text, known, size) == 0:
            return self.host
        if not _good_authority(text, size):
            return None
        self._remember(_slice(text, size), True)
        return self.host

    def _remember(self, host, good):
        """Take a host apart, for as long as it stays the same."""
        text: cython.p_const_uchar = cython.cast(cython.p_const_uchar, PyUnicode_1BYTE_DATA(host))
        size: cython.Py_ssize_t = PyUnicode_GET_LENGTH(host)
        start: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t = 0
        if size and text[0] == 0x5B:
            start = 1
            while end < size and text[end] != 0x5D:
                end += 1
            name = _slice(text + start, end - start)
            end += 1
        else:
            while end < size and text[end] != 0x3A:
                end += 1
            name = _slice(text, end)
        self.port = read_port(text + end + 1, size - end - 1) if end + 1 < size else -1
        self.host, self.name, self.good = host, name, good

    def _name_server(self, environ, host, port, is_https):
        """SERVER_NAME and SERVER_PORT as the client addressed them: by the Host, else by what the scheme stands for."""
        own: cython.int = -1
        if host is None:
            there: cython.pointer(PyObject) = PyDict_GetItem(environ, _HTTP_HOST)
            host = None if there == cython.NULL else cython.cast(object, there)
        if host:
            if host is not self.host:
                self._remember(host, False)
            PyDict_SetItem(environ, _SERVER_NAME, self.name)
            own = self.port
        if port < 0:
            port = own
        if port < 0:
            port = 443 if is_https else 80
        PyDict_SetItem(environ, _SERVER_PORT, "443" if port == 443 else "80" if port == 80 else str(port))


@cython.cfunc
@cython.exceptval(check=False)
def _is_last(
    chain: cython.p_const_uchar, size: cython.Py_ssize_t, address: cython.p_const_uchar
) -> cython.bint:
    """Is this the last hop of X-Forwarded-For?"""
    item: Span
    node: Node
    if size <= 0:
        return False
    last_item(cython.address(item), chain, size)
    if item.size < 0:
        return False
    read_node(cython.address(node), chain + item.at, item.size, True)
    return node.kind == ADDRESS and memcmp(node.address, address, 16) == 0
