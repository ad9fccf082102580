# The head of a reply in C: a growing buffer of bytes, and what the application said of its body.
from libc.stdint cimport int64_t

cdef struct Out:
    unsigned char* data
    Py_ssize_t size
    Py_ssize_t room

cdef enum Framing:
    BODILESS        # no body: 204, 304
    BY_LENGTH       # Content-Length
    BY_CHUNKS       # Transfer-Encoding: chunked
    BY_CLOSE        # until the connection ends

cdef struct Reply:
    int status
    int64_t length      # Content-Length as the application gave it, or -1
    bint dated          # the application gave Date
    bint named          # the application gave Server
    bint closing        # the application gave Connection: close
    bint upgrading      # 426, and the application gave Upgrade

cdef void free_out(Out* out) noexcept nogil
cdef int reserve(Out* out, Py_ssize_t more) except -1
cdef int put(Out* out, const void* text, Py_ssize_t size) except -1
cdef int put_head(Out* out, Reply* reply, object status, object headers) except -1
cdef int put_start(Out* out, Reply* reply, object status, object headers) except -1
cdef int put_raw_field(Out* out, Reply* reply, object name, object value) except -1
cdef int put_end(Out* out, const Reply* reply, Framing framing, int64_t length, const char* date, int minor, bint keep_alive) except -1
cdef int put_chunk_size(Out* out, Py_ssize_t size) except -1
cdef int put_refusal(Out* out, int status, const char* date) except -1
cdef bint is_clean(const unsigned char* text, Py_ssize_t size) noexcept nogil

cdef enum:
    DATE_SIZE = 37      # `Date: Sun, 06 Nov 1994 08:49:37 GMT` and CRLF
