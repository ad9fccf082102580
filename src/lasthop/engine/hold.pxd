# Replies that are finished and not sent yet.
from lasthop.engine.connection cimport Conn
from lasthop.engine.exchange cimport Exchange
from lasthop.engine.poll cimport Poll

cdef enum:
    HOLD_NS = 200000    # how long a reply may be held back
    GROUP = 6           # how many replies of a quick application leave together

# `Poll.holding`: how the attendant sees the application
cdef enum:
    NOT_HELD            # it is blocked now and then: every reply leaves at once
    IN_GROUPS           # it only computes, for a few microseconds a request
    FOR_LONG            # it only computes, and takes long enough for a wake-up of the peer to matter

cdef bint is_time(Poll* poll) noexcept nogil
cdef bint hold(Poll* poll, Exchange exchange) except -1
cdef Conn* take_held(Poll* poll) noexcept nogil
cdef int send_held(Conn* conn) noexcept nogil
cdef void send_all_held(Poll* poll) noexcept nogil
