# What becomes of a connection when a reply is complete, or will never be.
from libc.stdint cimport uint32_t

from lasthop.engine.connection cimport Conn
from lasthop.engine.exchange cimport Exchange
from lasthop.engine.lane cimport Lane, Service
from lasthop.engine.poll cimport Poll

cdef class Holder:
    cdef Lane lane
    cdef Service service
    cdef Poll* poll
    cdef Conn* conn             # NULL when the connection is not ours any more
    cdef dict scope
    cdef dict environ           # for the access log, or None
    cdef object reading         # a future of who waits in receive(), a list of several, or None
    cdef object writing         # the same in send()
    cdef bint taking            # a message of the application's is being taken

    cdef object take(self, dict message)
    cdef object message(self)
    cdef bint has_room(self) except -1
    cdef object wait(self, bint receiving)
    cdef int leave_off(self, bint receiving) except -1
    cdef int overdue(self) except -1
    cdef int wake(self, uint32_t events) except -1
    cdef void lose(self) noexcept
    cdef int finish(self, object error) except -1

cdef object named(dict scope)
cdef int only_parent(Service service) except -1
cdef bint seize(Conn* conn) noexcept
cdef object wake_all(object waiting)
cdef close_sent(Service service, Exchange exchange)
cdef int go_on(Lane lane, Conn* conn, Exchange exchange) except -1
cdef int begin_linger(Poll* poll, Conn* conn) except -1
cdef int idle(Poll* poll, Conn* conn) except -1
cdef int drain_body(Lane lane, Conn* conn) except -1
cdef int linger(Lane lane, Conn* conn) except -1
cdef int refuse(Lane lane, Conn* conn, int code) except -1
cdef int refuse_late(Service service, Conn* conn, int status) except -1
cdef void end(Service service, Conn* conn) noexcept
