# Reading replies, in C: where one stands.
from libc.stdint cimport int64_t

from lasthop.http1.body cimport Body

cdef enum:
    MOST_HEAD = 65536       # bytes of a reply's head
    MOST_KNOWN = 4096       # bytes of a head that is remembered

# How far a reply was read.
cdef enum Stage:
    IN_HEAD
    BY_LENGTH               # in its body, whose length is known
    BY_CHUNKS
    TO_THE_END              # in its body, which ends with the connection
    COMPLETE

# What a head says of its reply.
cdef struct Head:
    int stage               # after the head
    int status
    bint closes             # the connection ends with this reply
    int64_t length          # BY_LENGTH

cdef struct Known:          # the last head that came, and what was made of it
    Head head
    Py_ssize_t size         # 0: there is none
    unsigned char text[MOST_KNOWN]

cdef struct Reading:
    int stage
    Head head
    int64_t left            # BY_LENGTH: bytes to come
    int64_t body            # bytes of content that came
    Body chunks
    unsigned char* held     # a head that came in pieces
    Py_ssize_t nheld
    Py_ssize_t room

cdef Py_ssize_t read_reply(Reading* reading, Known* known, const unsigned char* text, Py_ssize_t size, bint is_head) noexcept nogil
cdef bint end_reply(Reading* reading) noexcept nogil
cdef void next_reply(Reading* reading) noexcept nogil
cdef void close_reading(Reading* reading) noexcept nogil
