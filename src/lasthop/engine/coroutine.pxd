# A request becomes a coroutine of the ASGI application, and its task.
from lasthop.engine.connection cimport Conn
from lasthop.engine.lane cimport Lane

cdef int call_coroutine(Lane lane, Conn* conn, const unsigned char* base, Py_ssize_t took, Py_ssize_t size, bint whole) except -1
cdef list what_runs(Lane lane)
cdef object task_done(Lane lane, object task)
cdef int push_late(Lane lane) except -1
cdef Py_ssize_t baseline(Lane lane) except -1
