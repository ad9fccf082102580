# The connections of a load in C, and what they share.
from libc.stdint cimport int64_t, uint64_t

from lasthop.engine.histogram cimport Histogram
from lasthop.engine.remote cimport NO_FAILURE, Remote
from lasthop.engine.replies cimport Known, Reading

cdef enum:
    READ_BYTES = 262144     # read at once, of all connections into the same place
    ROUNDS = 4              # reads for one event, before others have their turn
    STATUSES = 1000

cdef enum State:
    UNCONNECTED
    CONNECTING
    OPEN
    CLOSING                 # the reply said that the server closes; it has not yet
    RESTING                 # after a failure

cdef struct Line:           # one connection, or the place of one
    int fd
    int state
    bint watched            # it is in the set
    bint writing            # the set tells of room to write, too
    int deaf                # the errno with which the server took no more requests; its reply may have come
    bint listed             # in Run.spare or Run.resting
    int failures            # one after the other
    int oldest              # place in `begun` of the request that is answered next
    int outstanding         # requests without their whole reply
    int64_t* begun          # Run.pipeline times, in turn: when each was due, or sent
    int64_t since           # what the state's time-out counts from; RESTING: until when
    Py_ssize_t send_at      # what is still to be sent, in Run.text
    Py_ssize_t send_end
    Reading reading
    Line* next              # in Run.spare or Run.resting

cdef struct Run:
    # What is asked of whom
    Remote remote
    const unsigned char* text       # the requests, and as many again from the first as go out at once
    Py_ssize_t* starts              # of each in `text`, and of the end
    int kinds                       # how many requests there are
    int kind                        # which is next
    int pipeline
    bint keep_alive
    bint is_head
    int64_t expected                # bytes of content of a good reply, or -1
    int64_t connect_ns
    int64_t reply_ns
    # The schedule. Request k is due at start_ns + (k + 1/2) * interval_ns.
    double interval_ns              # 0: none, a line asks again as soon as it may
    int64_t start_ns
    int64_t issued                  # requests begun so far
    int64_t limit                   # never more than so many
    # The lines
    int set
    unsigned char* buffer
    Known known
    Line* lines
    int nlines
    int64_t* begun                  # of all lines
    Line* spare                     # with a schedule: lines that can take a request, the one that waited longest first
    Line* last_spare
    Line* resting
    int64_t wake_ns                 # when the first of them has rested
    int64_t outstanding
    # What is counted while `counting`
    bint counting
    bint waiting                    # after the window, for what was begun in it: failures and latency count still
    int64_t ended                   # with a reply or without
    uint64_t statuses[STATUSES]
    uint64_t failures[NO_FAILURE]
    uint64_t bytes_in
    uint64_t bytes_out
    uint64_t body_bytes
    uint64_t reconnects
    Histogram latency
    int64_t timed_from              # only of requests begun then or later

cdef int64_t due_by(const Run* run, int64_t now) noexcept nogil
cdef int64_t due_at(const Run* run, int64_t number) noexcept nogil
cdef void open_line(Run* run, Line* line) noexcept nogil
cdef void go_on(Run* run, Line* line, int64_t now) noexcept nogil
cdef void serve_due(Run* run, int64_t now) noexcept nogil
cdef void look_at_times(Run* run, int64_t now) noexcept nogil
cdef void wake_rested(Run* run, int64_t now) noexcept nogil
cdef int watch(Run* run, Line* line, bint writing) noexcept nogil
cdef int flush(Run* run, Line* line) noexcept nogil
cdef void lose(Run* run, Line* line, int failure) noexcept nogil
cdef void fail(Run* run, Line* line, int failure, int64_t now) noexcept nogil
cdef void reconnect(Run* run, Line* line) noexcept nogil
