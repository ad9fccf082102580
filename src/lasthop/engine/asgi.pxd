# The engine of a worker that serves an ASGI application.
cimport cython

from lasthop.engine.core cimport Core
from lasthop.engine.lane cimport Lane

@cython.final
cdef class Engine(Core):
    cdef Lane lane
    cdef object over            # a future: serve() returns when it is done
    cdef double cancelled_seconds
    cdef object pulse           # the timer of the WebSockets
