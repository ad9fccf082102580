# A burst in C.
from libc.stdint cimport int64_t, uint64_t

from lasthop.engine.histogram cimport Histogram
from lasthop.engine.remote cimport Remote
from lasthop.engine.replies cimport Known, Reading

cdef enum:
    TAKEN = 128             # events taken from epoll at a time
    BUFFER_BYTES = 65536
    NUMBERS = 256           # of errnos that are told apart

cdef struct Shot:           # one connection of a burst
    int fd
    int64_t begun
    bint connected
    size_t sent
    Reading reading

cdef struct Volley:
    Remote remote
    const unsigned char* request
    size_t request_bytes
    bint is_head
    int set
    int nshots
    int open                # shots of which there is still something to come
    Shot* shots
    unsigned char* buffer
    Known known
    int64_t until_ns
    int64_t connected
    int64_t replied
    int64_t early_end
    int64_t malformed
    uint64_t errors[NUMBERS]    # by errno
    uint64_t statuses[1000]
    Histogram connects
    Histogram replies
