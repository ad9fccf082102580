# A connection in C, and the wheel that knows when its peer has had time enough.
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from lasthop.engine.linux cimport pthread_mutex_t
from lasthop.engine.peers cimport Credentials
from lasthop.http1.body cimport Body
from lasthop.http1.head cimport Progress
from lasthop.http1.reply cimport Out

# Who has the connection. Only the attendant takes it from WAITING to EXPIRED, only a thread with the GIL does all the others.
cdef enum State:
    WAITING     # nobody: its next event puts it on the ready list
    READY       # it is on the ready list
    BUSY        # a thread works for it
    HELD        # its reply is finished and held back
    EXPIRED     # the attendant has shut it down: the next thread that sees it closes it

# What a connection that nobody has waits for, and so which time-out runs.
cdef enum Phase:
    FIRST       # the first byte of its first request: head_timeout
    HEAD        # the rest of a head: head_timeout from its first byte
    BODY        # more of a body that is gathered before the application is called: body_timeout from the last byte
    IDLE        # the next request: keep_alive
    SENDING     # the peer to read more of the reply: reply_timeout from the last byte it took
    DRAIN       # the rest of a body that the application did not want: body_timeout
    LINGER      # the peer's end after ours: a few seconds
    CALLED      # a coroutine of the application has it, and its Holder hears what happens: no time-out
    CALLED_BODY # the same, and it waits for more of the request's body: body_timeout
    CALLED_SENDING  # the same, and the peer is to take more of what it gave: reply_timeout

cdef struct Conn:
    int fd
    int state               # a State; atomic
    int phase
    uint32_t events         # epoll's, seen while nobody could take them
    int64_t deadline        # CLOCK_MONOTONIC_COARSE, ns
    int64_t due             # the wheel's tick at which the deadline is looked at
    Conn* before            # neighbours in the wheel's spoke
    Conn* after
    Conn* next              # in the ready list, or in the list of held replies
    unsigned char* pending  # bytes that came and are not used up
    uint32_t pending_at
    uint32_t pending_end
    uint32_t pending_room
    uint32_t wanted         # while gathering a body of known length: how many bytes of `pending` make the request complete
    uint32_t scanned        # while gathering a chunked body: how many bytes of `pending` have been looked at
    Progress progress
    Body* body              # of what is gathered or drained
    Out* held               # the held reply
    Py_ssize_t held_at      # how much of it is sent; -1: the peer is gone
    void* exchange          # an Exchange (owned): the reply that the peer does not take fast enough
    void* holder            # a Holder (owned, ending.pxd): a coroutine of the application has the connection
    void* address           # REMOTE_ADDR and REMOTE_PORT as str (owned), made when first asked for
    void* port
    void* client            # of an ASGI scope: (address, port), a tuple (owned), made when first asked for
    void* peer              # of a UNIX socket: the template of its environs (a dict) or scopes (owned), found when first asked for
    Credentials who         # the same as the kernel tells it
    unsigned char raw_address[16]
    uint16_t raw_port
    uint16_t family
    int trusted             # the peer is believed when it says for whom it asks: 1, -1: it is not, 0: nobody has looked
    uint16_t listener       # its place among the engine's
    bint registered         # with epoll: 1 for input, 2 for input and room to write
    bint expired            # the attendant shut it down
    bint half_closed        # the peer will send no more
    bint drained            # the last read took all there was
    bint unproxied          # the front has yet to say, by the PROXY protocol, for whom it connected
    bint unparsed           # `pending` has been looked at by nobody yet

cdef enum:
    SPOKES = 256
    TICK_NS = 125000000     # of the wheel

cdef struct Wheel:
    pthread_mutex_t lock    # guards the spokes, and with them that a connection found there is not freed
    Conn* spokes[SPOKES]
    int64_t turned          # the last tick that was looked at
    int open

cdef int open_wheel(Wheel* wheel, int64_t now) noexcept nogil
cdef void close_wheel(Wheel* wheel) noexcept nogil
cdef Conn* open_conn(Wheel* wheel, int fd, int64_t deadline) noexcept nogil
cdef void free_conn(Conn* conn) noexcept nogil
cdef void set_deadline(Wheel* wheel, Conn* conn, int64_t deadline) noexcept nogil
cdef void place(Wheel* wheel, Conn* conn) noexcept nogil
cdef void unplace(Wheel* wheel, Conn* conn) noexcept nogil
cdef int keep_bytes(Conn* conn, const unsigned char* text, Py_ssize_t size) noexcept nogil
cdef void drop_bytes(Conn* conn) noexcept nogil
