# One WebSocket of an ASGI application.
cimport cython
from libc.stdint cimport int64_t

from lasthop.engine.connection cimport Conn
from lasthop.engine.ending cimport Holder
from lasthop.engine.exchange cimport Exchange
from lasthop.engine.lane cimport Lane, Service
from lasthop.engine.poll cimport Poll
from lasthop.engine.websocket cimport Session

# How far it is.
cdef enum Step:
    ASKED       # the handshake is to be answered
    DENYING     # it is answered by an ordinary reply, whose body is not complete
    TALKING     # it is accepted
    OVER        # nothing is to be said any more

@cython.final
cdef class Dialogue(Holder):
    cdef Exchange exchange      # what is to be written
    cdef Session session
    cdef int step
    cdef bint connected         # websocket.connect was received
    cdef bint in_turn
    cdef bint unheard           # the application's coroutine has ended: messages are dropped
    cdef bint lost              # the peer went before the handshake was answered
    cdef bint full              # no more is read until messages are taken
    cdef bint pinged
    cdef int64_t due            # CLOCK_MONOTONIC, ns: the next ping, or the end of patience with its answer
    cdef int64_t began

    cdef object _accept(self, dict message)
    cdef object _deny(self, dict message)
    cdef object _denial(self, dict message)
    cdef int _refuse(self, int status, object headers, bytes body) except -1
    cdef int _account(self) except -1
    cdef int _read(self) except -1
    cdef int _drop(self) except -1
    cdef int _rest(self) except -1
    cdef int _write(self) except -1
    cdef int _push(self) except -2
    cdef object _finish_reply(self)
    cdef object _push_head(self)
    cdef object _feed_rest(self)
    cdef object _resume(self)
    cdef object _part(self)
    cdef object _leave(self)
    cdef int keep_alive(self, int64_t now) except -1
    cdef int leave(self, int code) except -1
    cdef int begin(self) except -1
    cdef int _collect(self) except -1

cdef Dialogue open_dialogue(Lane lane, Conn* conn, const unsigned char* base, Py_ssize_t took, Py_ssize_t size, dict scope, dict environ)
