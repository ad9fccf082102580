# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What a WSGI application is told of a request: the environ (PEP 3333, "environ Variables").

Knows a request's head and who sent it; makes a dict, as a copy of the listener's template with what is the request's own put in. A key
that stands for a known header is looked up by the place that the reader found, never built.
"""

import sys

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.cpython.dict import PyDict_Copy, PyDict_SetItem
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_INCREF
from cython.cimports.cpython.unicode import PyUnicode_DecodeLatin1
from cython.cimports.lasthop.engine.connection import Conn
from cython.cimports.lasthop.engine.lane import (
    CONTRADICTED,
    DISAGREE,
    MALFORMED_NAMES,
    UNBELIEVED,
    UNNAMED,
    Service,
)
from cython.cimports.lasthop.engine.linux import AF_INET, AF_INET6, AF_UNIX, PyDict_SetDefault, inet_ntop
from cython.cimports.lasthop.engine.peers import Credentials, note_of
from cython.cimports.lasthop.http1.field import (
    COOKIE,
    FORWARDED,
    HOST,
    LAST_OF_FRONTS,
    X_REAL_IP,
    Field,
    same_word,
)
from cython.cimports.lasthop.http1.head import unescape
from cython.cimports.libc.string import memcmp, memcpy, memset

from lasthop.http1.field import KNOWN_NAMES


def key_of(name: bytes) -> str:
    """The environ's key for the header `name` (RFC 3875, 4.1.18)."""
    text = name.decode("latin-1").upper().replace("-", "_")
    return sys.intern(text if text in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + text)


_keys = cython.declare(list, [key_of(name) for name in KNOWN_NAMES])
_methods = cython.declare(
    dict,
    {
        name.encode(): sys.intern(name)
        for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
    },
)
_PATH_INFO = cython.declare(str, sys.intern("PATH_INFO"))
_RAW_URI = cython.declare(str, sys.intern("RAW_URI"))
_QUERY_STRING = cython.declare(str, sys.intern("QUERY_STRING"))
_REQUEST_METHOD = cython.declare(str, sys.intern("REQUEST_METHOD"))
_SERVER_PROTOCOL = cython.declare(str, sys.intern("SERVER_PROTOCOL"))
_REMOTE_ADDR = cython.declare(str, sys.intern("REMOTE_ADDR"))
_REMOTE_PORT = cython.declare(str, sys.intern("REMOTE_PORT"))
_HTTP_HOST = cython.declare(str, sys.intern("HTTP_HOST"))


@cython.cfunc
@cython.inline
def _text(buf: cython.p_const_uchar, size: cython.Py_ssize_t) -> object:
    """Bytes as a native string (PEP 3333, "Unicode Issues": latin-1 characters stand for bytes)."""
    return PyUnicode_DecodeLatin1(cython.cast(cython.p_const_char, buf), size, cython.NULL)


@cython.cfunc
def _unescape(buf: cython.p_const_uchar, size: cython.Py_ssize_t) -> object:
    """The path with its percent-escapes undone."""
    plain: bytes = PyBytes_FromStringAndSize(cython.NULL, size)
    to: cython.p_uchar = cython.cast(cython.p_uchar, PyBytes_AS_STRING(plain))
    return _text(to, unescape(to, buf, size))


def write_address(conn):
    """REMOTE_ADDR and REMOTE_PORT of a TCP peer as texts, made once for a connection: are they there?"""
    text: cython.char[64]
    if conn.address == cython.NULL:
        if inet_ntop(conn.family, conn.raw_address, text, 64) == cython.NULL:
            return False
        address = cython.cast(cython.p_char, text).decode("ascii")
        if address.startswith("::ffff:") and "." in address:
            address = address[7:]  # an IPv4 peer of a socket for both versions
        port = str(conn.raw_port)
        Py_INCREF(address)
        Py_INCREF(port)
        conn.address = cython.cast(cython.p_void, address)
        conn.port = cython.cast(cython.p_void, port)
    return True


@cython.cfunc
def _note_peer(environ: dict, conn: cython.pointer(Conn)) -> cython.int:
    """REMOTE_ADDR and REMOTE_PORT of a TCP peer. A UNIX socket's peer has neither: the template's stay."""
    if not write_address(conn):
        return 0
    PyDict_SetItem(
        environ, _REMOTE_ADDR, cython.cast(object, cython.cast(cython.pointer(PyObject), conn.address))
    )
    PyDict_SetItem(
        environ, _REMOTE_PORT, cython.cast(object, cython.cast(cython.pointer(PyObject), conn.port))
    )
    return 0


_MOST_TEMPLATES = cython.declare(cython.Py_ssize_t, 64)
"""Processes whose templates are kept for their next connections: fronts have few."""


@cython.cfunc
def _template_of(service: Service, conn: cython.pointer(Conn)) -> dict:
    """What the environs of a connection have in common. Over a UNIX socket with `lasthop.peer`, the process at the other end.

    All connections of a process share one, so that a request costs nothing more for it, and a connection only its look-up.
    """
    template: dict
    if service.poll.listeners[conn.listener].family != AF_UNIX:
        return cython.cast(dict, cython.cast(cython.pointer(PyObject), service.template_at[conn.listener]))
    if conn.peer == cython.NULL or service.scopes is not None:
        # The kernel's own bytes are the key: making a Peer for each connection would cost more than the look-up.
        raw: cython.char[16]
        memset(raw, 0, 16)
        memcpy(raw, cython.address(conn.who), cython.sizeof(Credentials))
        memcpy(raw + 12, cython.address(conn.listener), 2)
        key: bytes = raw[:16]
        template = service.peers.get(key)
        if template is None:
            template = PyDict_Copy(service.templates[conn.listener])
            template["lasthop.peer"] = note_of(cython.address(conn.who))
            if len(service.peers) >= _MOST_TEMPLATES:
                service.peers.clear()
            service.peers[key] = template
        if service.scopes is not None:
            return template  # ASGI: what the connection keeps is the template of its scopes
        Py_INCREF(template)
        conn.peer = cython.cast(cython.p_void, template)
    return cython.cast(dict, cython.cast(cython.pointer(PyObject), conn.peer))


def is_trusted(service, conn):
    """Is the peer believed when it says for whom it asks? Looked up once for a connection."""
    address: cython.uchar[16]
    trusted: cython.bint
    if conn.trusted == 0:
        if conn.family == AF_INET6:
            trusted = service.proxies.holds(conn.raw_address)
        elif conn.family == AF_INET:
            memset(address, 0, 10)
            memset(address + 10, 0xFF, 2)
            memcpy(address + 12, conn.raw_address, 4)
            trusted = service.proxies.holds(address)
        else:
            trusted = service.poll.listeners[conn.listener].believed
        conn.trusted = 1 if trusted else -1
    return conn.trusted > 0


_BITS = cython.declare(dict, {"disagree": DISAGREE, "contradicted": CONTRADICTED})
"""Of what is told; all else is malformed."""


@cython.cfunc
def _believe(
    service: Service,
    environ: dict,
    told: cython.pointer(cython.pointer(PyObject)),
    has_port: cython.bint,
) -> cython.int:
    """A trusted peer said for whom it asks: put it where it belongs."""
    said = service.proxies.heed(environ, told, has_port)
    if said is not None:
        for kind, more in said:
            service.notice(_BITS.get(kind, MALFORMED_NAMES), kind, environ, more)
    return 0


def build_environ(service, head, buf, conn):
    """A new environ for the request whose head lies in `buf`."""
    environ: dict = PyDict_Copy(_template_of(service, conn))
    told: cython.pointer(PyObject)[
        6
    ]  # what the front says, in the order of its known names; all belong to the environ
    is_told: cython.bint = False
    dropped: cython.bint = False
    field: cython.pointer(cython.const[Field])
    i: cython.int
    known: cython.int
    there: cython.pointer(PyObject)
    raw: object = _text(buf + head.target, head.target_size)

    PyDict_SetItem(environ, _RAW_URI, raw)
    if head.query_size:
        PyDict_SetItem(environ, _QUERY_STRING, _text(buf + head.query, head.query_size))
    if head.escaped:
        PyDict_SetItem(environ, _PATH_INFO, _unescape(buf + head.path, head.path_size))
    elif head.path_size == head.target_size:
        PyDict_SetItem(environ, _PATH_INFO, raw)
    elif head.path_size or (head.target_size == 1 and head.authority_size == 0):
        # `OPTIONS *` speaks of no path at all
        PyDict_SetItem(environ, _PATH_INFO, _text(buf + head.path, head.path_size))
    if head.method_size != 3 or memcmp(buf + head.method, b"GET", 3) != 0:
        word: bytes = PyBytes_FromStringAndSize(
            cython.cast(cython.p_const_char, buf + head.method), head.method_size
        )
        method = _methods.get(word)
        PyDict_SetItem(environ, _REQUEST_METHOD, word.decode("ascii") if method is None else method)
    if head.minor == 0:
        PyDict_SetItem(environ, _SERVER_PROTOCOL, "HTTP/1.0")
    if conn.family == AF_INET or conn.family == AF_INET6:
        _note_peer(environ, conn)

    for i in range(cython.cast(cython.int, head.nfields)):
        field = cython.address(head.fields[i])
        known = field.known
        if known > LAST_OF_FRONTS:
            key = _keys[known]
        elif known > COOKIE:
            if not is_trusted(service, conn):
                dropped = True
                continue
            key = _keys[known]
            if known <= X_REAL_IP and not is_told:
                memset(told, 0, cython.sizeof(told))
                is_told = True
        elif known >= 0:
            key = _keys[known]
            if known == HOST and head.authority_size:
                continue
        elif field.name_size == 5 and same_word(buf + field.name, 5, b"proxy"):
            continue  # HTTP_PROXY would be read as the proxy of whatever client the application uses (CVE-2016-5385)
        elif (
            field.name_size > 11
            and same_word(buf + field.name, 11, b"x-forwarded")
            and not is_trusted(service, conn)
        ):
            dropped = True
            continue
        else:
            key = key_of(buf[field.name : field.name + field.name_size])
        value = _text(buf + field.value, field.value_size)
        there = PyDict_SetDefault(environ, key, value)
        if there != cython.cast(cython.pointer(PyObject), value):
            first = cython.cast(object, there)
            # RFC 9110, 5.3: a list, in order; RFC 6265, 5.4 for Cookie
            value = first + ("; " if known == COOKIE else ",") + value
            PyDict_SetItem(environ, key, value)
            there = cython.cast(cython.pointer(PyObject), value)
        if FORWARDED <= known <= X_REAL_IP:
            told[known - FORWARDED] = there
    if head.authority_size:
        PyDict_SetItem(environ, _HTTP_HOST, _text(buf + head.authority, head.authority_size))
    if is_told:
        _believe(service, environ, told, conn.family != AF_UNIX)
    elif dropped:
        if not service.noticed & UNBELIEVED:
            service.notice(UNBELIEVED, "unbelieved", environ, "")
    elif conn.family == AF_UNIX and not service.noticed & UNNAMED:
        service.notice(UNNAMED, "unnamed", environ, "")
    return environ


def build_stub(service, conn):
    """The environ of a request that was refused: who sent it, and nothing of what it said."""
    environ: dict = PyDict_Copy(_template_of(service, conn))
    environ[_REQUEST_METHOD] = "-"
    environ[_RAW_URI] = "-"
    if conn.family == AF_INET or conn.family == AF_INET6:
        _note_peer(environ, conn)
    return environ
