# A load: an object around a run.
cimport cython
from libc.stdint cimport int64_t

from lasthop.engine.loadline cimport Run
from lasthop.engine.loadloop cimport Window

@cython.final
cdef class Load:
    cdef Run asked          # what is asked of whom
    cdef Run going          # a copy of it, and all that belongs to the run that is under way
    cdef Window window
    cdef bytes text
    cdef list begins        # where each request begins in `text`, and where the last one ends
    cdef int connections
    cdef int64_t tick_ns    # how often time-outs are looked at
    cdef int bell           # an eventfd that stop() rings
    cdef bint running

    cdef int _begin(self, list pids) except -1
    cdef void _end(self) noexcept
    cdef dict _result(self, list pids)
