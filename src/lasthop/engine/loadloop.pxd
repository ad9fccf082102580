# The loop of a load in C, and the time that it measures.
from libc.stdint cimport int64_t

from lasthop.engine.loadline cimport Run

cdef enum:
    BATCH = 128             # events taken from epoll at a time

# Where a run stands.
cdef enum:
    WARMING
    MEASURING
    SETTLING                # reading what was asked and not answered
    SETTLED

cdef struct Window:         # the measured time
    int stage
    int64_t until_ns        # when the stage ends
    int64_t tick_ns         # how often time-outs are looked at
    int64_t look_ns         # when they are looked at next
    int64_t length_ns
    bint waits              # for all that was begun in it
    int64_t most            # requests after which it ends; 0: no such number
    int64_t begin_ns
    int64_t end_ns
    int64_t due_before      # open loop: requests that the schedule had before it
    int64_t planned
    int64_t unanswered
    int64_t pending_ns
    int64_t busy_ns
    int pids
    int* clocks             # of the pids; 0: it is gone
    int64_t* used           # CPU time by each of them; -1: it is gone

cdef void start(Run* run, Window* window, int64_t warm) noexcept nogil
cdef bint drive(Run* run, Window* window, int64_t until) noexcept nogil
