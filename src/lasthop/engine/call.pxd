# A request becomes a call of the application.
from lasthop.engine.connection cimport Conn
from lasthop.engine.exchange cimport Exchange
from lasthop.engine.lane cimport Lane, Service

cdef enum:
    ON_HOLD = 2     # beside exchange.GONE, BLOCKED and SENT: the reply is held back

cdef int call_application(Lane lane, Conn* conn, const unsigned char* base, Py_ssize_t took, Py_ssize_t size, bint gathered) except -2
cdef object close_result(Service service, object result)
cdef object no_input()
cdef object leave_child(object error)
