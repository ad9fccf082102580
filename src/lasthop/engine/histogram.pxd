# How often each time came, in C.
from libc.stdint cimport int64_t, uint64_t

cdef extern from * nogil:
    int __builtin_clzll(unsigned long long)

cdef enum:
    BUCKETS = 33792         # up to 2**42 ns, which is more than an hour

cdef struct Histogram:
    uint64_t* counts        # BUCKETS
    uint64_t count
    int64_t sum_ns
    int64_t max_ns          # exact

cdef int open_histogram(Histogram* histogram) noexcept nogil
cdef void close_histogram(Histogram* histogram) noexcept nogil
cdef void record(Histogram* histogram, int64_t ns) noexcept nogil
cdef list sparse(const Histogram* histogram)
