# Replies that are finished and not sent yet.
from lasthop.engine.connection cimport Conn
from lasthop.engine.exchange cimport Exchange
from lasthop.engine.poll cimport Poll

cdef enum:
    HOLD_NS = 200000    # how long a reply may be held back

cdef bint hold(Poll* poll, Exchange exchange) except -1
cdef Conn* take_held(Poll* poll) noexcept nogil
cdef int send_held(Conn* conn) noexcept nogil
cdef void send_all_held(Poll* poll) noexcept nogil
