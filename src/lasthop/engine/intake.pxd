# The body of a request, and the bytes that came of it.
cimport cython

from lasthop.engine.connection cimport Conn
from lasthop.engine.poll cimport Poll
from lasthop.http1.body cimport Body
from lasthop.http1.field cimport Bounds
from lasthop.http1.head cimport Head

cdef enum:
    PEER_GONE = -1              # a `failure`: nobody is left to be told

@cython.final
cdef class Intake:
    cdef Poll* poll
    cdef const Bounds* bounds
    cdef Conn* conn
    cdef Body body
    cdef const unsigned char* source    # bytes that came: the rest of the body, and perhaps the next request
    cdef Py_ssize_t source_at
    cdef Py_ssize_t source_end
    cdef unsigned char* spare   # a buffer for what comes later, made when it is needed
    cdef bint ended
    cdef bint gathered          # all of the body is in `source`
    cdef bint expecting         # the peer waits for `100 Continue`
    cdef bint over              # the application has had its say: whoever still reads has come too late
    cdef bint receiving         # a thread that let go of the GIL waits for more
    cdef bint answered          # the head of the reply is made: it is too late for an interim one
    cdef int failure            # the status that a body which cannot be read deserves: 400, 408, 413; or PEER_GONE; 0 while all is well

    cdef void begin(self, Conn* conn, const Head* head, const unsigned char* source, Py_ssize_t size, bint gathered) noexcept
    cdef bint can_keep(self) noexcept
    cdef bint is_last(self) noexcept
    cdef Py_ssize_t pull(self, unsigned char* to, Py_ssize_t size) except -1
    cdef object read_block(self, Py_ssize_t size)
    cdef object read_some(self, Py_ssize_t size)
    cdef int settle(self, bint kept) except -1
    cdef Py_ssize_t _receive(self, unsigned char* to, Py_ssize_t size) except -1
    cdef int _keep_rest(self) except -1
