# The head of a request in C: what `head.py` fills in and `body.py`, `reader.py` and the engine read.
from libc.stdint cimport int64_t, uint32_t

from lasthop.http1.field cimport Bounds, Field

cdef struct Head:
    uint32_t method_size        # the method begins at `method`
    uint32_t method
    uint32_t target
    uint32_t target_size
    uint32_t path               # of origin-form, or of what follows the authority in absolute-form
    uint32_t path_size          # 0 for `*` and for absolute-form without a path
    uint32_t query              # after the `?`
    uint32_t query_size
    uint32_t authority          # of absolute-form: it stands for Host (RFC 9112, 3.2.2)
    uint32_t authority_size
    int minor                   # HTTP/1.minor, 0 or 1
    bint escaped                # the path has a `%`
    bint keep_alive             # what the peer wishes
    bint expect_continue
    bint chunked
    int64_t length              # Content-Length, or -1 when there is none
    uint32_t nfields            # fields to hand on: names with `_` are passed over and not among them
    Field* fields

# Where the reading of a head that has not wholly come yet goes on.
cdef struct Progress:
    uint32_t line               # where the line begins that was not complete
    uint32_t fields             # how many fields came before it

cdef Py_ssize_t read_head(Head* head, Progress* progress, const unsigned char* buf, Py_ssize_t size, const Bounds* bounds) noexcept nogil
cdef Py_ssize_t unescape(unsigned char* to, const unsigned char* text, Py_ssize_t size) noexcept nogil
