# An awaitable that need not be awaited.
cimport cython
from cpython.object cimport PyObject

cdef extern from "Python.h":
    ctypedef struct TypeObject "PyTypeObject":
        PyObject* (*tp_iternext)(PyObject*) except? NULL

@cython.final
cdef class Ready:
    pass

cdef object NOTHING
cdef object as_raised(object kind, object value, object traceback)
