# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""How often each time came: counts in buckets whose width is at most a thousandth of what is in them.

Buckets lie as in HdrHistogram with three significant digits and 1 ns as the smallest difference: one for each ns below 2,048, then 1,024 for each
doubling. So what is given back here falls into the same buckets there. Knows no clock and no requests.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free

_HALF_BITS = cython.declare(cython.int, 10)
_HALF = cython.declare(int64_t, 1024)
_HIGHEST = cython.declare(int64_t, (1 << 42) - 1)
"""What is longer is counted as this; `max_ns` keeps what it was."""


def open_histogram(histogram):
    """Make an empty one: 0, or -1 when there is no memory."""
    histogram.count = 0
    histogram.sum_ns = 0
    histogram.max_ns = 0
    histogram.counts = cython.cast(cython.pointer(uint64_t), calloc(BUCKETS, cython.sizeof(uint64_t)))
    return 0 if histogram.counts != cython.NULL else -1


def close_histogram(histogram):
    free(histogram.counts)
    histogram.counts = cython.NULL


def record(histogram, ns):
    """Count one time; one below 0 (two clocks were read in the wrong order) as 0."""
    shift: cython.int
    kept: int64_t
    if ns < 0:
        ns = 0
    kept = ns if ns < _HIGHEST else _HIGHEST
    if kept < 2 * _HALF:
        histogram.counts[kept] += 1
    else:
        # 1,024 to 2,047 are left when so many bits are dropped.
        shift = 63 - __builtin_clzll(cython.cast(cython.ulonglong, kept)) - _HALF_BITS
        histogram.counts[shift * _HALF + (kept >> shift)] += 1
    histogram.count += 1
    histogram.sum_ns += ns
    if ns > histogram.max_ns:
        histogram.max_ns = ns


def sparse(histogram):
    """[(middle of the bucket in ns, how many), ...] of those that are not empty, ascending."""
    found: list = []
    place: int64_t
    shift: int64_t
    for place in range(BUCKETS):
        if histogram.counts[place]:
            shift = place // _HALF - 1 if place >= 2 * _HALF else 0
            # The bucket begins at (place - shift * 1,024) << shift and is 1 << shift wide.
            found.append((((place - shift * _HALF) << shift) + ((1 << shift) >> 1), histogram.counts[place]))
    return found
