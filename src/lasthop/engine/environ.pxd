from lasthop.engine.connection cimport Conn
from lasthop.engine.lane cimport Service
from lasthop.http1.head cimport Head

cdef dict build_environ(Service service, const Head* head, const unsigned char* buf, Conn* conn)
cdef dict build_stub(Service service, Conn* conn)
cdef bint is_trusted(Service service, Conn* conn) noexcept
cdef bint write_address(Conn* conn) except -1
