# Weak references to an object, counted.

cdef Py_ssize_t count_weak(object held) noexcept
