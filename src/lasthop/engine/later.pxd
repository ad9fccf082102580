# An awaitable of what a holder does not have yet.
cimport cython
from cpython.object cimport PyObject

from lasthop.engine.ending cimport Holder

@cython.final
@cython.freelist(64)
cdef class Later:
    cdef Holder holder          # None when it has been awaited
    cdef bint receiving
    cdef int _leave_off(self) except -1

cdef PyObject* step(PyObject* awaited) except? NULL
cdef object later(Holder holder, bint receiving)
