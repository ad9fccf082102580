# The epoll set of a worker in C, and everything that its threads and the attendant share.
from libc.stdint cimport int64_t, uint16_t, uint64_t

from lasthop.engine.balance cimport Share
from lasthop.engine.connection cimport Conn, Wheel
from lasthop.engine.linux cimport pthread_mutex_t, pthread_t, sem_t
from lasthop.engine.peers cimport Allowed, Credentials

cdef enum:
    MOST_LISTENERS = 64
    BATCH = 64              # events taken from epoll at a time
    ACCEPTS = 32            # connections accepted for one event of a listener
    BELL = 4096             # what the bell's events carry; a listener's carry its place, a connection's its address, which is never so low

# Fields of the slot, in the order of `slot.SLOT_FIELDS`.
cdef enum:
    REQUESTS
    CONNECTIONS
    ACCEPTED
    IN_APPLICATION
    ERRORS
    REFUSED
    TIMED_OUT
    TURNED_NS
    SENT_BYTES
    HELD_REPLIES
    PROMOTED
    RESCUED
    STRANGERS

cdef struct Listener:
    int fd
    int family
    bint listening          # in the epoll set
    bint believed           # a UNIX socket: whoever connects is believed when it says for whom it asks

cdef struct Poll:
    int epoll
    int bell                # a pipe's end in the epoll set: what is written to the other wakes the waiter
    int bell_end
    int threads             # how many the engine was told to expect
    uint64_t* count         # the slot
    Wheel wheel
    # The ready list: connections with something to do, first come first served. The GIL guards it.
    Conn* first
    Conn* last
    # The clock, read once a round; the GIL guards it.
    int64_t now             # CLOCK_MONOTONIC_COARSE, ns
    int64_t second          # of `date`
    char date[40]           # the Date line
    # Waiting. Atomic: threads change them without the GIL.
    int waiting             # threads in poll(2) on the epoll descriptor: 0 or 1
    int surplus             # 1 when one of the running threads is to park, as the attendant saw
    int parked              # threads in sem_wait that nobody has promised to wake
    sem_t parking
    int serving             # threads in serve(), under the GIL
    bint looped             # an event loop waits, on this set among others: whether it does shows only by what it leaves undone
    # Listeners
    Listener listeners[MOST_LISTENERS]
    int nlisteners
    int most_open           # connections
    int accepting           # atomic: 1 while new connections are wanted
    pthread_mutex_t accept_lock     # one accepts at a time: a thread or the attendant
    int proxied             # which versions of the PROXY protocol (proxyline.pxd) each connection must begin with; 0: none
    Allowed allowed         # whom a UNIX socket's peer may be
    Credentials stranger    # the last that was turned away; accept_lock guards it
    uint64_t strangers      # how many were, that the log has not told of
    Share* board            # what the workers know of each other; NULL for an engine that knows of no others
    Share* share            # this worker's place there
    bint leaving            # the accepting is left to others: the listeners are not in the set (arrivals.py)
    int shedding            # atomic: a reply that can is to end its connection, so that the peer's next one goes to another worker
    int64_t insists         # CLOCK_MONOTONIC_COARSE, ns: until then it accepts whatever the others have
    # The attendant's own, CLOCK_MONOTONIC, ns
    int64_t seen            # since when connections have been waiting and nobody has taken any; 0: none waits
    int64_t seen_taken      # how many had been taken by then
    int64_t overdue         # when that was last too long
    int64_t insists_ns      # for how long it insisted then
    int64_t starved         # ns: no descriptor or memory was left at this time; accepting rests a while
    # Ending
    int draining            # atomic
    bint drain_begun        # a serving thread has done what is to be done at once
    int stopping            # atomic
    # Time-outs, ns
    int64_t head_ns
    int64_t body_ns
    int64_t reply_ns
    int64_t idle_ns
    int64_t linger_ns       # instead of idle_ns, once draining
    # Held replies: finished, not sent yet. The lock guards the list and what hangs on it.
    pthread_mutex_t held_lock
    Conn* held
    Conn* held_last
    int nheld
    int64_t held_since      # CLOCK_MONOTONIC, ns, of the oldest
    int holding             # whether holding pays, as the attendant saw it last (hold.pxd)
    # The attendant
    pthread_t attendant
    bint attended           # it runs
    bint attendant_ends     # it is asked to end
    int attendant_bell      # a pipe as well
    int attendant_bell_end
    int dozing              # atomic: it sleeps until rung, or long
    uint64_t turns          # events handled, under the GIL

cdef int64_t clock_ns(int clock) noexcept nogil
cdef int open_poll(Poll* poll) noexcept nogil
cdef void close_poll(Poll* poll) noexcept nogil
cdef void refresh_clock(Poll* poll) noexcept nogil
cdef void push(Poll* poll, Conn* conn) noexcept nogil
cdef Conn* pop(Poll* poll) noexcept nogil
cdef void rest(Poll* poll, Conn* conn, int phase, int64_t patience) noexcept nogil
cdef void rest_until(Poll* poll, Conn* conn, int phase, int64_t deadline) noexcept nogil
cdef int register_conn(Poll* poll, Conn* conn) noexcept nogil
cdef void rearm(Poll* poll, Conn* conn) noexcept nogil
cdef void close_conn(Poll* poll, Conn* conn) noexcept nogil
cdef void end_by_reset(Conn* conn) noexcept nogil
cdef void show_open(Poll* poll) noexcept nogil
cdef void ring(int bell) noexcept nogil
cdef void hear(int bell) noexcept nogil
