# The engine of a worker that serves a WSGI application.
cimport cython

from lasthop.engine.lane cimport Service

@cython.final
cdef class Engine:
    cdef Service service
    cdef bint opened

    cdef int _wait(self) except -1
    cdef int _begin_drain(self) except -1
    cdef int _park(self) except -1
    cdef int _tell_of_strangers(self) except -1
    cdef void _wake_all(self) noexcept
