# The thread that never takes the GIL.
from lasthop.engine.poll cimport Poll

cdef int start_attendant(Poll* poll) noexcept nogil
cdef void end_attendant(Poll* poll) noexcept nogil
