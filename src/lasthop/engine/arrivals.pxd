# What arrives at a worker: connections at its listeners, and events in its epoll set.
from lasthop.engine.poll cimport Poll

cdef void listen_on(Poll* poll) noexcept nogil
cdef void listen_anew(Poll* poll) noexcept nogil
cdef void listen_off(Poll* poll) noexcept nogil
cdef void listen_last(Poll* poll) noexcept nogil
cdef int accept_some(Poll* poll, int place, int most, bint rescue) noexcept nogil
cdef int collect(Poll* poll, int timeout) noexcept nogil
cdef int take_events(Poll* poll, void* events, int n) noexcept nogil
