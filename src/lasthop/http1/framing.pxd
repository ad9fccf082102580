# What header values say, in C.
from libc.stdint cimport int64_t

cdef bint good_host(const unsigned char* text, Py_ssize_t size) noexcept nogil
cdef void hear_connection(bint* keep_alive, bint* closing, const unsigned char* text, Py_ssize_t size) noexcept nogil
cdef int judge_coding(const unsigned char* text, Py_ssize_t size) noexcept nogil
cdef bint read_length(int64_t* length, const unsigned char* text, Py_ssize_t size) noexcept nogil
