# What an ASGI application is told of a request.
from lasthop.engine.connection cimport Conn
from lasthop.engine.lane cimport Service
from lasthop.http1.head cimport Head

cdef dict build_scope(Service service, const Head* head, const unsigned char* buf, Conn* conn, dict environ, bint websocket)
cdef bint asks_for_websocket(const Head* head, const unsigned char* buf) except -1
cdef bint needs_environ(Service service, const Head* head, Conn* conn) noexcept
cdef object client_of(Conn* conn)
cpdef dict template_of(object server, str root_path, bint has_state)
