# The body of a request in C: where its decoding stands.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from lasthop.http1.field cimport Bounds
from lasthop.http1.head cimport Head

cdef enum:
    BODY_MORE = 0       # all bytes given are used up, and the body goes on
    BODY_DATA = 1       # some bytes of the body
    BODY_END = 2        # the body is complete

# The states. Those of a chunk line follow the grammar of RFC 9112, 7.1 and 7.1.1, without its blanks:
#   chunk-size *( ";" token [ "=" ( token / quoted-string ) ] ) CRLF
cdef enum State:
    FIXED
    SIZE
    NAME_FIRST
    NAME
    VALUE_FIRST
    VALUE
    QUOTED
    ESCAPED
    AFTER_QUOTED
    SIZE_LF
    DATA
    DATA_CR
    DATA_LF
    FIELD
    FIELD_NAME
    FIELD_VALUE
    FIELD_LF
    LAST_LF
    DONE

cdef struct Body:
    int state
    int digits          # of the chunk size so far
    uint64_t left       # bytes to come: of the body, or of this chunk
    int64_t taken       # bytes decoded so far
    uint32_t line       # bytes of this chunk line or trailer field so far
    uint32_t extensions # bytes of all chunk extensions so far
    uint32_t trailer    # bytes of the trailer so far
    uint32_t fields     # trailer fields so far

cdef void begin_body(Body* body, const Head* head) noexcept nogil
cdef int read_body(
    Body* body, const unsigned char* buf, Py_ssize_t size, const Bounds* bounds,
    Py_ssize_t* used, Py_ssize_t* data, Py_ssize_t* data_size) noexcept nogil
