# Weak references to an object, counted.

from cpython.object cimport PyObject

cdef Py_ssize_t count_weak(PyObject* held) noexcept
