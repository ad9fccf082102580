# One connection's turn.
from lasthop.engine.connection cimport Conn
from lasthop.engine.lane cimport Lane

cdef int take_turn(Lane lane, Conn* conn) except -1
cdef int release(Lane lane) except -1
