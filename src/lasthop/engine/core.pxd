# The engine of a worker, whatever it calls the application by.
from lasthop.engine.lane cimport Service

cdef class Core:
    cdef Service service
    cdef bint opened

    cdef int begin_drain(self) except -1
    cdef int tell_of_strangers(self) except -1
    cdef void wake(self) noexcept
