# What an ASGI application is told of a request.
cimport cython

from lasthop.engine.connection cimport Conn
from lasthop.engine.lane cimport Service
from lasthop.http1.head cimport Head

@cython.final
cdef class Template:
    # What the scopes of a listener, or of a process that connects over a UNIX socket, have in common.
    cdef dict scope             # copied for each request
    cdef dict extensions        # each has its own of these, too
    cdef dict asgi
    cdef str root               # before each path
    cdef bytes raw_root

@cython.final
cdef class Parts:
    # What a scope may have of one before it, when the application has left it as it was.
    cdef dict extensions
    cdef dict asgi

# `parts`: those of a plain request; None: it asks for a WebSocket.
cdef dict build_scope(Service service, const Head* head, const unsigned char* buf, Conn* conn, dict environ, Parts parts)
cdef bint asks_for_websocket(const Head* head, const unsigned char* buf) except -1
cdef bint needs_environ(Service service, const Head* head, Conn* conn) noexcept
cdef object client_of(Conn* conn)
cdef Template template_of(object server, str root_path, bint has_state)
