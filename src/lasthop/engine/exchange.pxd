# One request and its reply, between an application and a connection.
cimport cython
from libc.stdint cimport int64_t, uint64_t
from posix.types cimport off_t

from lasthop.engine.connection cimport Conn
from lasthop.engine.intake cimport Intake
from lasthop.engine.poll cimport Poll
from lasthop.http1.head cimport Head
from lasthop.http1.reply cimport Framing, Out, Reply

cdef enum:
    AHEAD = 262144  # bytes of a streamed reply that may wait for the peer before the thread that makes them waits too
    GONE = -1       # the peer will take no more
    BLOCKED = 0     # the peer takes no more now
    SENT = 1        # all is sent

@cython.final
cdef class Exchange:
    cdef Poll* poll
    cdef Conn* conn             # NULL once the exchange is over: whoever still calls has come too late
    # The reply
    cdef Out out                # head and small pieces of the body, to be sent first
    cdef Py_ssize_t out_at
    cdef Py_ssize_t unfinished  # bytes at the end of `out` that are a head which is not made: they do not leave
    cdef list parts             # large pieces, to be sent after `out`, in order
    cdef Py_ssize_t part        # the first of them that is not wholly sent
    cdef Py_ssize_t part_at
    cdef int64_t unsent         # bytes of the parts that are not sent
    cdef object file            # a file to be sent after the parts, or None
    cdef int file_fd
    cdef off_t file_at
    cdef int64_t file_left
    cdef object closing         # whose close() is due when the file is sent, or None
    cdef Reply reply
    cdef Framing framing
    cdef int64_t promised       # BY_LENGTH: the length of the body, as the head says it
    cdef int64_t left           # BY_LENGTH: bytes that the application still owes
    cdef int64_t body_bytes     # of the reply's body so far
    cdef int minor
    cdef bint is_head           # the method is HEAD
    cdef bint keep_alive        # what the peer wishes; once the head is made: what it was told
    cdef bint started           # start_response was called
    cdef bint head_out          # the head is made and cannot change
    cdef bint silent            # the reply has no body to send
    cdef bint over              # the application has had its say
    cdef unsigned long thread   # that serves the request: only it may send
    cdef bint overrun           # the application gave more than its Content-Length
    cdef Intake intake          # the request's body
    # Bound methods, made once
    cdef object starter
    cdef object writer

    cdef void begin(self, Conn* conn, const Head* head, bint is_head) noexcept
    cdef int end_head(self, int64_t known) except -1
    cdef int give(self, bytes chunk) except -1
    cdef int give_file(self, object wrapper) except -1
    cdef int give_descriptor(self, object file, int fd, off_t at, int64_t count, bint whole) except -1
    cdef int give_break(self) except -1
    cdef int give_trailer(self, bytes lines) except -1
    cdef int take_back(self) except -1
    cdef int check_piece(self, int64_t size, bint last) except -1
    cdef int check_length(self) except -1
    cdef int give_end(self) except -1
    cdef int64_t pending(self) noexcept
    cdef int flush(self) except -2
    cdef int _blocked(self) except -2
    cdef int _queue(self, bytes piece) except -1
    cdef int _advance(self, Py_ssize_t n) except -1
    cdef int _flush_file(self) except -2
    cdef int flush_within(self, int64_t most) except -2
    cdef void finish(self) noexcept
    cdef void forget(self) noexcept
    cdef void retire(self) noexcept
    cdef void retire_methods(self) noexcept

cdef bytes as_bytes(object value, str what)
