# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What an ASGI application is told of a request: the scope (ASGI 3.0, "HTTP Connection Scope" and "WebSocket Connection Scope").

Knows a request's head and who sent it; makes a dict, as a copy of the listener's template. What a trusted front says of the client is `environ`'s and
`forwarded`'s business: where it says anything, or something is to be said of it, the environ is made too, and the scope takes it from there.
"""

from urllib.parse import quote

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.cpython.dict import PyDict_Copy
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_INCREF
from cython.cimports.cpython.unicode import PyUnicode_DecodeUTF8
from cython.cimports.lasthop.engine.connection import Conn
from cython.cimports.lasthop.engine.environ import is_trusted, write_address
from cython.cimports.lasthop.engine.lane import UNNAMED, Service
from cython.cimports.lasthop.engine.linux import AF_INET, AF_INET6, AF_UNIX, entries_of, is_dict, next_entry
from cython.cimports.lasthop.engine.peers import Credentials, note_of
from cython.cimports.lasthop.http1.field import COOKIE, HOST, LAST_OF_FRONTS, Field, lower, same_word
from cython.cimports.lasthop.http1.head import Head, unescape
from cython.cimports.libc.string import memcmp, memcpy, memset

from lasthop.http1.field import KNOWN_NAMES

_names = cython.declare(list, list(KNOWN_NAMES))
_methods = cython.declare(
    dict,
    {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")},
)
_UPGRADE = cython.declare(cython.int, KNOWN_NAMES.index(b"upgrade"))
_CONNECTION = cython.declare(cython.int, KNOWN_NAMES.index(b"connection"))
_REPEATED = cython.declare(
    frozenset,
    frozenset(
        KNOWN_NAMES.index(name)
        for name in b"host connection content-type x-forwarded-proto x-forwarded-host x-forwarded-port accept accept-charset accept-encoding"
        b" accept-language cache-control dnt origin pragma priority save-data sec-ch-ua sec-ch-ua-arch sec-ch-ua-mobile sec-ch-ua-model"
        b" sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc te upgrade-insecure-requests user-agent via"
        b" x-requested-with".split()
    ),
)
"""Fields that one request after another sends alike, and that are no secrets: what they were last is kept."""
_is_repeated = cython.declare(cython.bint[128])
_LONGEST_REPEATED = cython.declare(cython.Py_ssize_t, 256)
_MOST_TEMPLATES = cython.declare(cython.Py_ssize_t, 64)
"""Processes whose templates are kept for their next connections: fronts have few."""


@cython.cfunc
def _fill_repeated() -> cython.void:
    known: cython.int
    for known in range(cython.cast(cython.int, len(KNOWN_NAMES))):
        _is_repeated[known] = known in _REPEATED


_fill_repeated()


class Template:
    pass


class Own:
    def __cinit__(self, pristine):
        if len(pristine) > MOST_ENTRIES:
            raise ValueError(f"{len(pristine)} entries; {MOST_ENTRIES} at most")
        self.pristine = pristine
        self.size = len(pristine)

    def is_unused(self):
        """Has nobody any of the dict any more, and is it as it was made?"""
        place: cython.Py_ssize_t = 0
        i: cython.int = 0
        key: cython.pointer(PyObject) = cython.NULL
        value: cython.pointer(PyObject) = cython.NULL
        made: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), self.made)
        # The template's scope has it, and we.
        if self.made is None or made.ob_refcnt != 2 or entries_of(made) != self.size:
            return False
        while next_entry(made, cython.address(place), cython.address(key), cython.address(value)):
            if key != self.keys[i] or value != self.values[i]:
                return False
            # Where it was there may be another by now.
            if self.is_inner[i] and not (is_dict(value) and entries_of(value) == 0 and value.ob_refcnt == 1):
                return False
            i += 1
        return True

    def make(self):
        """With the options of each extension its own, too: they are empty dicts."""
        place: cython.Py_ssize_t = 0
        i: cython.int = 0
        made: dict = {}
        for key, value in self.pristine.items():
            made[key] = {} if type(value) is dict and not value else value
        while next_entry(
            cython.cast(cython.pointer(PyObject), made), cython.address(place), self.keys + i, self.values + i
        ):
            self.is_inner[i] = is_dict(self.values[i]) and entries_of(self.values[i]) == 0
            i += 1
        self.made = made
        return made


def template_of(server, root_path, has_state, pathsend):
    """Of a listener: `server` is its address and port, or its path and None. `pathsend`: replies may be files, by their paths."""
    template: Template = Template()
    template.asgi = Own({"version": "3.0", "spec_version": "2.3"})
    extensions = {
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
        "http.response.trailers": {},
        "http.response.early_hint": {},
    }
    if not pathsend:
        del extensions["http.response.pathsend"]
    template.extensions = Own(extensions)
    template.root = root_path
    template.raw_root = quote(root_path, safe="/:@!$&'()*+,;=~").encode()
    template.scope = {
        "type": "http",
        "asgi": None,
        "http_version": "1.1",
        "server": server,
        "client": None,
        "scheme": "http",
        "root_path": root_path,
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": None,
        "extensions": None,
    }
    if has_state:
        template.scope["state"] = None
    return template


@cython.cfunc
def _template(service: Service, conn: cython.pointer(Conn)) -> Template:
    template: Template
    of_listener: Template = cython.cast(Template, service.scopes[conn.listener])
    raw: cython.char[16]
    if service.poll.listeners[conn.listener].family != AF_UNIX:
        return of_listener
    if conn.peer == cython.NULL:
        memset(raw, 0, 16)
        memcpy(raw, cython.address(conn.who), cython.sizeof(Credentials))
        memcpy(raw + 12, cython.address(conn.listener), 2)
        key: bytes = raw[:16]
        template = service.scope_peers.get(key)
        if template is None:
            template = Template()
            template.scope = PyDict_Copy(of_listener.scope)
            template.asgi = Own(of_listener.asgi.pristine)
            template.root = of_listener.root
            template.raw_root = of_listener.raw_root
            template.extensions = Own(
                of_listener.extensions.pristine | {"lasthop.peer": note_of(cython.address(conn.who))}
            )
            if len(service.scope_peers) >= _MOST_TEMPLATES:
                service.scope_peers.clear()
            service.scope_peers[key] = template
        Py_INCREF(template)
        conn.peer = cython.cast(cython.p_void, template)
    return cython.cast(Template, cython.cast(cython.pointer(PyObject), conn.peer))


def client_of(conn):
    """The peer's address and port, as scopes have it; None over a UNIX socket. Made once for a connection."""
    if conn.client == cython.NULL:
        if (conn.family != AF_INET and conn.family != AF_INET6) or not write_address(conn):
            return None
        client = (cython.cast(object, cython.cast(cython.pointer(PyObject), conn.address)), conn.raw_port)
        Py_INCREF(client)
        conn.client = cython.cast(cython.p_void, client)
    return cython.cast(object, cython.cast(cython.pointer(PyObject), conn.client))


def needs_environ(service, head, conn):
    """Does a front say, or would it have to say, something of the client? Then `build_environ` decides what of it counts."""
    i: cython.int
    if conn.family == AF_UNIX and not service.noticed & UNNAMED:
        return True
    for i in range(cython.cast(cython.int, head.nfields)):
        if head.fields[i].known > COOKIE and head.fields[i].known <= LAST_OF_FRONTS:
            return True
    return False


@cython.cfunc
def _unescape(buf: cython.p_const_uchar, size: cython.Py_ssize_t) -> object:
    """The path as text, its percent-escapes undone; what is no UTF-8 becomes U+FFFD."""
    plain: bytes = PyBytes_FromStringAndSize(cython.NULL, size)
    to: cython.p_uchar = cython.cast(cython.p_uchar, PyBytes_AS_STRING(plain))
    return PyUnicode_DecodeUTF8(cython.cast(cython.p_char, to), unescape(to, buf, size), b"replace")


@cython.cfunc
def _lowered(text: cython.p_const_uchar, size: cython.Py_ssize_t) -> bytes:
    name: bytes = PyBytes_FromStringAndSize(cython.NULL, size)
    to: cython.p_char = PyBytes_AS_STRING(name)
    i: cython.Py_ssize_t
    for i in range(size):
        to[i] = cython.cast(cython.char, lower(text[i]))
    return name


@cython.cfunc
def _piece(text: cython.p_const_uchar, size: cython.Py_ssize_t) -> bytes:
    return PyBytes_FromStringAndSize(cython.cast(cython.p_const_char, text), size)


@cython.cfunc
def _repeated(last: list, known: cython.int, value: cython.p_const_uchar, size: cython.Py_ssize_t) -> tuple:
    """The field as a pair of name and value: the one that the request before had, if it is the same."""
    pair: tuple = cython.cast(tuple, last[known])
    if pair is not None:
        before: bytes = cython.cast(bytes, pair[1])
        if PyBytes_GET_SIZE(before) == size and memcmp(PyBytes_AS_STRING(before), value, size) == 0:
            return pair
    pair = (cython.cast(bytes, _names[known]), _piece(value, size))
    last[known] = pair
    return pair


@cython.cfunc
def _headers(
    service: Service,
    head: cython.pointer(cython.const[Head]),
    buf: cython.p_const_uchar,
    conn: cython.pointer(Conn),
    environ: object,
) -> list:
    """The header fields in their order, names lower-cased. What fronts say reaches the application only where it is believed."""
    headers: list = []
    field: cython.pointer(cython.const[Field])
    i: cython.int
    known: cython.int
    name: bytes
    for i in range(cython.cast(cython.int, head.nfields)):
        field = cython.address(head.fields[i])
        known = field.known
        if known >= 0:
            if (
                known > COOKIE
                and known <= LAST_OF_FRONTS
                and (environ is None or not _is_told(environ, known))
            ):
                continue
            if known == HOST and head.authority_size:
                continue  # RFC 9112, 3.2.2: the target's authority stands for it
            if _is_repeated[known] and field.value_size <= _LONGEST_REPEATED:
                headers.append(_repeated(service.last_fields, known, buf + field.value, field.value_size))
                continue
            name = cython.cast(bytes, _names[known])
        else:
            if field.name_size == 5 and same_word(buf + field.name, 5, b"proxy"):
                continue  # an application of CGI's or WSGI's kind would take it for a proxy of its own (CVE-2016-5385)
            if (
                field.name_size > 11
                and same_word(buf + field.name, 11, b"x-forwarded")
                and not is_trusted(service, conn)
            ):
                continue
            name = _lowered(buf + field.name, field.name_size)
        headers.append((name, _piece(buf + field.value, field.value_size)))
    return headers


_keys = cython.declare(list, [f"HTTP_{name.decode().upper().replace('-', '_')}" for name in KNOWN_NAMES])


@cython.cfunc
def _is_told(environ: dict, known: cython.int) -> cython.bint:
    return _keys[known] in environ


@cython.cfunc
def _believe(scope: dict, environ: dict, headers: list) -> cython.int:
    """Take from the environ what a trusted front has said of the client."""
    i: cython.int
    address = environ["REMOTE_ADDR"]
    if address:
        port = environ.get("REMOTE_PORT")
        scope["client"] = (address, int(port) if port else 0)
    scope["scheme"] = environ["wsgi.url_scheme"]
    host = environ.get("HTTP_HOST")
    if host is not None:
        value = host.encode("latin-1")
        for i in range(len(headers)):
            if headers[i][0] == b"host":
                if headers[i][1] != value:
                    headers[i] = (b"host", value)
                return 0
        headers.insert(0, (b"host", value))
    return 0


def asks_for_websocket(head, buf):
    """Is it a GET with `Upgrade: websocket` and `Connection: upgrade` (RFC 6455, 4.1), without a body, which would be taken for frames?"""
    i: cython.int
    upgrade: cython.bint = False
    connection: cython.bint = False
    field: cython.pointer(cython.const[Field])
    for i in range(cython.cast(cython.int, head.nfields)):
        if head.fields[i].known == _UPGRADE:
            upgrade = True
    if (
        not upgrade
        or head.chunked
        or head.length > 0
        or head.method_size != 3
        or memcmp(buf + head.method, b"GET", 3) != 0
    ):
        return False
    for i in range(cython.cast(cython.int, head.nfields)):
        field = cython.address(head.fields[i])
        if field.known == _UPGRADE:
            upgrade = _piece(buf + field.value, field.value_size).strip().lower() == b"websocket"
        elif field.known == _CONNECTION:
            words = _piece(buf + field.value, field.value_size).lower().split(b",")
            connection = connection or b"upgrade" in [word.strip() for word in words]
    return upgrade and connection


@cython.cfunc
def _copy_of(template: Template) -> dict:
    """A scope that shares nothing with those before it which could be changed. What it has of its own, the template's dict has till the next."""
    if not template.asgi.is_unused():
        template.scope["asgi"] = template.asgi.make()
    if not template.extensions.is_unused():
        template.scope["extensions"] = template.extensions.make()
    return PyDict_Copy(template.scope)


def build_scope(service, head, buf, conn, environ, is_websocket):
    """A new scope for the request whose head lies in `buf`; `environ` is what `build_environ` made of it, or None."""
    template: Template = _template(service, conn)
    scope: dict = _copy_of(template)
    headers: list = _headers(service, head, buf, conn, environ)
    raw: bytes
    if head.authority_size:
        headers.insert(0, (b"host", _piece(buf + head.authority, head.authority_size)))
    scope["headers"] = headers
    if head.path_size:
        raw = _piece(buf + head.path, head.path_size)
        path = (
            _unescape(buf + head.path, head.path_size)
            if head.escaped
            else PyUnicode_DecodeUTF8(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), b"replace")
        )
    elif head.target_size == 1 and buf[head.target] == 0x2A:
        raw = b"*"  # the server itself: no path, before which anything could stand
        path = "*"
    else:
        raw = b"/"
        path = "/"
    if template.raw_root and path != "*":
        path = template.root + path
        raw = template.raw_root + raw
    scope["path"] = path
    scope["raw_path"] = raw
    if head.query_size:
        scope["query_string"] = _piece(buf + head.query, head.query_size)
    if head.method_size != 3 or memcmp(buf + head.method, b"GET", 3) != 0:
        word: bytes = _piece(buf + head.method, head.method_size)
        method = _methods.get(word)
        scope["method"] = word.decode("ascii") if method is None else method
    if head.minor == 0:
        scope["http_version"] = "1.0"
    if conn.family == AF_INET or conn.family == AF_INET6:
        scope["client"] = client_of(conn)
    if environ is not None:
        _believe(scope, environ, headers)
    if service.state is not None:
        scope["state"] = PyDict_Copy(service.state)
    if is_websocket:
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        del scope["method"]
        scope["extensions"] = {"websocket.http.response": {}}
        if "lasthop.peer" in template.extensions.pristine:
            scope["extensions"]["lasthop.peer"] = template.extensions.pristine["lasthop.peer"]
    return scope
