# The engine of a worker that serves a WSGI application.
cimport cython

from lasthop.engine.core cimport Core

@cython.final
cdef class Engine(Core):
    cdef int _wait(self) except -1
    cdef int _park(self) except -1
