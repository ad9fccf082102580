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
from cython.cimports.lasthop.engine.linux import AF_INET, AF_INET6, PyDict_SetDefault, inet_ntop
from cython.cimports.lasthop.http1.field import COOKIE, HOST, Field, same_word
from cython.cimports.libc.string import memcmp

from lasthop.http1.field import KNOWN_NAMES


def key_of(name: bytes) -> str:
    """The environ's key for the header `name` (RFC 3875, 4.1.18)."""
    text = name.decode("latin-1").upper().replace("-", "_")
    return sys.intern(text if text in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + text)


_keys: list = [key_of(name) for name in KNOWN_NAMES]
_methods: dict = {
    name.encode(): sys.intern(name)
    for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
}
_PATH_INFO = sys.intern("PATH_INFO")
_RAW_URI = sys.intern("RAW_URI")
_QUERY_STRING = sys.intern("QUERY_STRING")
_REQUEST_METHOD = sys.intern("REQUEST_METHOD")
_SERVER_PROTOCOL = sys.intern("SERVER_PROTOCOL")
_REMOTE_ADDR = sys.intern("REMOTE_ADDR")
_REMOTE_PORT = sys.intern("REMOTE_PORT")
_HTTP_HOST = sys.intern("HTTP_HOST")


@cython.cfunc
@cython.inline
def _text(buf: cython.p_const_uchar, size: cython.Py_ssize_t) -> object:
    """Bytes as a native string (PEP 3333, "Unicode Issues": latin-1 characters stand for bytes)."""
    return PyUnicode_DecodeLatin1(cython.cast(cython.p_const_char, buf), size, cython.NULL)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _hex(c: cython.uchar) -> cython.int:
    if 0x30 <= c <= 0x39:
        return c - 0x30
    c |= 0x20
    return c - 0x57 if 0x61 <= c <= 0x66 else -1


@cython.cfunc
def _unescape(buf: cython.p_const_uchar, size: cython.Py_ssize_t) -> object:
    """The path with its percent-escapes undone (RFC 3986, 2.1); what is no escape stays as it is."""
    plain: bytes = PyBytes_FromStringAndSize(cython.NULL, size)
    to: cython.p_uchar = cython.cast(cython.p_uchar, PyBytes_AS_STRING(plain))
    count: cython.Py_ssize_t = 0
    i: cython.Py_ssize_t = 0
    while i < size:
        if buf[i] == 0x25 and i + 2 < size and _hex(buf[i + 1]) >= 0 and _hex(buf[i + 2]) >= 0:
            to[count] = cython.cast(cython.uchar, _hex(buf[i + 1]) << 4 | _hex(buf[i + 2]))
            i += 3
        else:
            to[count] = buf[i]
            i += 1
        count += 1
    return _text(to, count)


@cython.cfunc
def _note_peer(environ: dict, conn: cython.pointer(Conn)) -> cython.int:
    """REMOTE_ADDR and REMOTE_PORT of a TCP peer, made once for a connection. A UNIX socket's peer has neither: the template's stay."""
    text: cython.char[64]
    if conn.address == cython.NULL:
        if inet_ntop(conn.family, conn.raw_address, text, 64) == cython.NULL:
            return 0
        address = cython.cast(cython.p_char, text).decode("ascii")
        if address.startswith("::ffff:") and "." in address:
            address = address[7:]  # an IPv4 peer of a socket for both versions
        port = str(conn.raw_port)
        Py_INCREF(address)
        Py_INCREF(port)
        conn.address = cython.cast(cython.p_void, address)
        conn.port = cython.cast(cython.p_void, port)
    PyDict_SetItem(
        environ, _REMOTE_ADDR, cython.cast(object, cython.cast(cython.pointer(PyObject), conn.address))
    )
    PyDict_SetItem(
        environ, _REMOTE_PORT, cython.cast(object, cython.cast(cython.pointer(PyObject), conn.port))
    )
    return 0


def build_environ(template, head, buf, conn):
    """A new environ for the request whose head lies in `buf`."""
    environ: dict = PyDict_Copy(template)
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
        if known > COOKIE:
            key = _keys[known]
        elif known >= 0:
            key = _keys[known]
            if known == HOST and head.authority_size:
                continue
        elif field.name_size == 5 and same_word(buf + field.name, 5, b"proxy"):
            continue  # HTTP_PROXY would be read as the proxy of whatever client the application uses (CVE-2016-5385)
        else:
            key = key_of(buf[field.name : field.name + field.name_size])
        value = _text(buf + field.value, field.value_size)
        there = PyDict_SetDefault(environ, key, value)
        if there != cython.cast(cython.pointer(PyObject), value):
            first = cython.cast(object, there)
            # RFC 9110, 5.3: a list, in order; RFC 6265, 5.4 for Cookie
            PyDict_SetItem(environ, key, first + ("; " if known == COOKIE else ",") + value)
    if head.authority_size:
        PyDict_SetItem(environ, _HTTP_HOST, _text(buf + head.authority, head.authority_size))
    return environ


def build_stub(template, conn):
    """The environ of a request that was refused: who sent it, and nothing of what it said."""
    environ: dict = PyDict_Copy(template)
    environ[_REQUEST_METHOD] = "-"
    environ[_RAW_URI] = "-"
    if conn.family == AF_INET or conn.family == AF_INET6:
        _note_peer(environ, conn)
    return environ
