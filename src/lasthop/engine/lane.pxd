# What the threads of an engine share, and what each has for itself.
cimport cython
from libc.stdint cimport int64_t, uint64_t

from lasthop.engine.connection cimport Conn
from lasthop.engine.exchange cimport Exchange
from lasthop.engine.forwarded cimport Proxies
from lasthop.engine.poll cimport MOST_LISTENERS, Poll
from lasthop.http1.field cimport Bounds
from lasthop.http1.head cimport Head

@cython.final
cdef class Service:
    # The same for all threads, from the start to the end.
    cdef Poll poll
    cdef Bounds bounds
    cdef object application
    cdef list templates         # of the environ, one a listener
    cdef void* template_at[MOST_LISTENERS]  # the same, without a look at the list
    cdef list scopes            # of an ASGI application: the template of the scope, one a listener; None for WSGI
    cdef dict scope_peers       # the same, with a process in them
    cdef list last_fields       # by the number of their names: what requests had last, as scopes have it (scope.py)
    cdef object loop            # the event loop, while it serves
    cdef object websocket       # makes a WebSocket session of a handshake, or None
    cdef object state           # the lifespan's, or None
    cdef dict peers             # templates with a process in them, by listener and process
    cdef object access
    cdef object log
    cdef object on_retire
    cdef uint64_t retire_after
    cdef Proxies proxies        # whose word counts for who asked
    cdef object on_notice
    cdef int noticed            # bits of what it was told
    cdef int64_t strangers_told # when the log last told of those that were turned away
    cdef int generation         # of the process that serves (forks.py)
    cdef unsigned char[::1] slot    # keeps the memory that poll.count points into
    cdef unsigned char[::1] board   # keeps the memory that poll.board points to

    cdef log_error(self, str text)
    cdef log_failure(self, str text, object error)
    cdef notice(self, int bit, str kind, dict environ, str more)

cdef class Lane

# Has a coroutine of the application serve the request whose head is the first `took` of the `size` bytes at `base`; `whole`: they are all of it.
ctypedef int (*Caller)(Lane lane, Conn* conn, const unsigned char* base, Py_ssize_t took, Py_ssize_t size, bint whole) except -1

# What is told once, as bits of Service.noticed.
cdef enum:
    UNNAMED = 1
    UNBELIEVED = 2
    DISAGREE = 4
    MALFORMED_NAMES = 8
    UNPROXIED = 16
    UNSPOKEN = 32
    CONTRADICTED = 64
    OUTDATED = 128

@cython.final
cdef class Lane:
    # One thread's.
    cdef Service service
    cdef Poll* poll             # the service's
    cdef unsigned char* buf     # what it reads into, BUFFER bytes
    cdef Head head
    cdef Exchange exchange      # the one that is free
    cdef Py_ssize_t references  # to a free exchange (ASGI: a free cycle) and its parts, when the application kept none of them
    # Of an ASGI application
    cdef Caller call            # NULL: it is a WSGI application
    cdef object spare           # a cycle that served a request and can serve another; it has the next one
    cdef int spares             # how many they are
    cdef list late              # cycles that have given something which is not sent yet
    cdef dict tasks             # those that run, and their holders
    cdef set dialogues          # WebSockets whose connections are open
    cdef bint stands_by         # coroutines begin in a task that stands by; else each is made a task
    cdef object standby         # that task's, or None
    cdef object on_done         # called when one has ended
    cdef object context         # in this context, of nobody's own
    cdef object turn            # called by the loop when connections are ready
    cdef bint turning           # that goes on
    cdef bint due               # the loop will call it in its next round

    cdef Exchange fresh(self)
    cdef void give_back(self, Exchange exchange)
    cdef int settle(self) except -1

cdef enum:
    BUFFER = 65536              # bytes that a thread reads at a time
