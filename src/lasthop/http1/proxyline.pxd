# The PROXY protocol, in C.
from libc.stdint cimport uint16_t

cdef enum:
    MOST_PROXIED = 4112     # bytes of what a connection may begin with
    BROKEN = -1

# Which versions are understood.
cdef enum:
    VERSION_1 = 1
    VERSION_2 = 2

cdef struct Proxied:        # for whom the connection was made
    int size                # of the address: 4, 16, or 0: not told, so the connection speaks for itself
    uint16_t port
    unsigned char address[16]

cdef Py_ssize_t read_proxied(Proxied* proxied, const unsigned char* text, Py_ssize_t size, int versions) noexcept nogil
