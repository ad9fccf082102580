# Whose word counts for who asked, and what it says.
cimport cython

from lasthop.http1.hops cimport Node

@cython.final
cdef class Proxies:
    cdef bytes table                # of each network its address and its mask, 16 bytes each
    cdef const unsigned char* first
    cdef Py_ssize_t count
    cdef readonly bint local        # a hop over a UNIX socket is one of them

    cdef bint holds(self, const unsigned char* address) noexcept
    cpdef list believe(self, dict environ)
    cdef int _walk(self, Node* node, const unsigned char* text, Py_ssize_t size, Py_ssize_t* place, Py_ssize_t* at, Py_ssize_t* length) noexcept
    cdef object _forwarded(self, str text)
