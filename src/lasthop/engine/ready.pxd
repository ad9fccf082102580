# An awaitable that need not be awaited: its value is there.
cimport cython
from cpython.object cimport PyObject

cdef extern from "Python.h":
    ctypedef struct TypeObject "PyTypeObject":
        PyObject* (*tp_iternext)(PyObject*) except? NULL

@cython.final
@cython.freelist(64)
cdef class Ready:
    cdef object value

cdef object NOTHING
cdef object ready(object value)
