# An awaitable that need not be awaited: its value is there.
cimport cython

@cython.final
@cython.freelist(64)
cdef class Ready:
    cdef object value

cdef object NOTHING
cdef object ready(object value)
