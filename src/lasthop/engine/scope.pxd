# What an ASGI application is told of a request.
cimport cython
from cpython.object cimport PyObject

from lasthop.engine.connection cimport Conn
from lasthop.engine.lane cimport Service
from lasthop.http1.head cimport Head

cdef enum:
    MOST_ENTRIES = 8            # of a dict that each scope has for itself

@cython.final
cdef class Own:
    # A dict of which each scope has one for itself. One that was left as it was is given to the next scope.
    cdef dict pristine          # what each begins as
    cdef dict made              # the last one; the template's scope has it, too
    cdef PyObject* keys[MOST_ENTRIES]   # of `made`
    cdef PyObject* values[MOST_ENTRIES] # the same, as long as they are in there
    cdef bint is_inner[MOST_ENTRIES]    # a value that is a dict of its own, an empty one
    cdef int size               # entries

    cdef bint is_unused(self) noexcept
    cdef dict make(self)

@cython.final
cdef class Template:
    # What the scopes of a listener, or of a process that connects over a UNIX socket, have in common.
    cdef dict scope             # copied for each request
    cdef Own extensions
    cdef Own asgi
    cdef str root               # before each path
    cdef bytes raw_root

cdef dict build_scope(
    Service service, const Head* head, const unsigned char* buf, Conn* conn, dict environ, bint is_websocket
)
cdef bint asks_for_websocket(const Head* head, const unsigned char* buf) except -1
cdef bint needs_environ(Service service, const Head* head, Conn* conn) noexcept
cdef object client_of(Conn* conn)
cdef Template template_of(object server, str root_path, bint has_state, bint pathsend)
