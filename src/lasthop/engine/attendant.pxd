from lasthop.engine.connection cimport Conn
from lasthop.engine.poll cimport Poll

cdef int start_attendant(Poll* poll) noexcept nogil
cdef void end_attendant(Poll* poll) noexcept nogil
cdef int send_held(Conn* conn) noexcept nogil
