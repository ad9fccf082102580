# What the workers of a server know of each other: a few numbers of each, in memory that they share.
from libc.stdint cimport int64_t

cdef enum:
    MOST_SHARES = 255       # workers that take part; further ones neither hold back nor are waited for
    SLACK = 1               # connections that one may have more than another
    TAKEN_SLACK = 8         # connections that one may have been given more than another that has no more open

# A cache line each, so that writers do not disturb one another.
cdef struct Share:
    int used                # of the first, which is nobody's: the number of shares after it that were ever in use
    int open                # connections
    int listens             # atomic: it waits for new connections
    int ready               # atomic: one of its threads waits, or has just turned
    int64_t taken           # connections accepted, so that all count alike whenever they began
    int surcharge           # connections that count more: its kept ones bring more requests than the others'
    int padding
    int64_t rate            # requests a second, smoothed
    char rest[24]

cdef void open_share(Share* board, Share* mine) noexcept nogil
cdef void close_share(Share* mine) noexcept nogil
cdef void level_share(Share* board, Share* mine) noexcept nogil
cdef int64_t taken_by_all(Share* board) noexcept nogil
cdef bint leaves_to_another(Share* board, Share* mine) noexcept nogil
cdef bint another_has_fewer(Share* board, Share* mine) noexcept nogil
cdef bint is_asked_more(Share* board, Share* mine) noexcept nogil
cdef bint another_is_ready(Share* board, Share* mine) noexcept nogil
