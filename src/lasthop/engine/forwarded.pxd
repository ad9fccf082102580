# Whose word counts for who asked, and what it says.
cimport cython
from cpython.object cimport PyObject

from lasthop.http1.hops cimport Node

@cython.final
cdef class Proxies:
    cdef bytes table                # of each network its address and its mask, 16 bytes each
    cdef const unsigned char* first
    cdef Py_ssize_t count
    cdef readonly bint local        # a hop over a UNIX socket is one of them

    cdef bint holds(self, const unsigned char* address) noexcept
    # The host that was named last and what it says: fronts seldom name another.
    cdef str host
    cdef str name
    cdef int port                   # -1: it names none
    cdef bint good                  # it was looked at whether it is one
    cdef bint contradicted          # another host than the Host field's has counted

    cpdef list believe(self, dict environ)
    cdef list heed(self, dict environ, PyObject** told, bint has_port)
    cdef str _host_of(self, const unsigned char* text, Py_ssize_t size)
    cdef object _remember(self, str host, bint good)
    cdef object _name_server(self, dict environ, str host, int port, bint is_https)
    cdef int _walk(self, Node* node, const unsigned char* text, Py_ssize_t size, Py_ssize_t* place, Py_ssize_t* at, Py_ssize_t* length) noexcept
    cdef object _forwarded(self, str text)
