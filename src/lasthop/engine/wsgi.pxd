# The engine of a worker that serves a WSGI application.
cimport cython
from libc.stdint cimport int64_t, uint64_t

from lasthop.engine.connection cimport Conn
from lasthop.engine.exchange cimport Exchange
from lasthop.engine.poll cimport Poll
from lasthop.http1.head cimport Bounds, Head

@cython.final
cdef class Lane:
    # What one thread needs for itself.
    cdef unsigned char* buf     # what it reads into
    cdef Head head
    cdef Exchange exchange      # the one that is free
    cdef Py_ssize_t references  # to a free exchange and its methods, when the application kept none
    cdef Poll* poll
    cdef const Bounds* bounds

    cdef Exchange fresh(self)

@cython.final
cdef class Engine:
    cdef Poll poll
    cdef Bounds bounds
    cdef object application
    cdef list templates         # of the environ, one a listener
    cdef object access
    cdef object log
    cdef object on_retire
    cdef uint64_t retire_after
    cdef unsigned char[::1] slot    # keeps the memory that poll.count points into
    cdef bint opened

    cdef int _wait(self) except -1
    cdef void _wake_all(self) noexcept
    cdef int _handle(self, Lane lane, Conn* conn) except -1
    cdef int _read(self, Lane lane, Conn* conn) except -1
    cdef int _parse(self, Lane lane, Conn* conn, const unsigned char* base, Py_ssize_t size) except -1
    cdef int _gather(self, Lane lane, Conn* conn, const unsigned char* base, Py_ssize_t took, Py_ssize_t size, bint* whole) except -1
    cdef int _keep(self, Conn* conn, const unsigned char* base, Py_ssize_t size) except -1
    cdef int _serve_one(self, Lane lane, Conn* conn, const unsigned char* base, Py_ssize_t took, Py_ssize_t size, bint gathered) except -1
    cdef int _answer(self, Exchange exchange, object result) except -2
    cdef int _fail(self, Exchange exchange) except -2
    cdef int _park(self, Lane lane, Conn* conn, Exchange exchange) except -1
    cdef int _next(self, Conn* conn, Exchange exchange) except -1
    cdef int _resume(self, Lane lane, Conn* conn, unsigned int events) except -1
    cdef int _drain_body(self, Lane lane, Conn* conn) except -1
    cdef int _linger(self, Lane lane, Conn* conn) except -1
    cdef int _refuse(self, Conn* conn, int code) except -1
    cdef int _hold(self, Exchange exchange) except -1
    cdef int _release(self, Lane lane) except -1
    cdef void _end(self, Conn* conn) noexcept
    cdef _complain(self, Exchange exchange, str text)
    cdef _close_result(self, Exchange exchange, object result, int sent)
    cdef _close_sent(self, Exchange exchange)
    cdef _log_error(self, str text)
    cdef int _begin_linger(self, Conn* conn) except -1
    cdef int _idle(self, Conn* conn) except -1
