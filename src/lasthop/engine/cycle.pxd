# One request of an ASGI application and its reply.
cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t

from lasthop.engine.connection cimport Conn
from lasthop.engine.ending cimport Holder
from lasthop.engine.exchange cimport Exchange
from lasthop.engine.lane cimport Lane, Service
from lasthop.engine.poll cimport Poll

# How far the reply is.
cdef enum Stage:
    UNSTARTED
    STARTED         # http.response.start was sent
    BODY            # a part of the body was sent
    TRAILERS        # the body is sent, trailers are to follow
    BROKEN          # it cannot be completed any more
    COMPLETE

cdef struct Parts:
    # Of a message, borrowed from it; NULL is not in there.
    PyObject* kind
    PyObject* status
    PyObject* headers
    PyObject* trailers
    PyObject* body
    PyObject* more_body

@cython.final
cdef class Cycle(Holder):
    cdef Exchange exchange
    cdef int stage
    cdef bint in_turn           # the turn of the connection goes on: what follows is left to it
    cdef bint body_taken        # the last of the request's body was received
    cdef bint left              # the peer will send no more
    cdef bint told              # and so was the application, by http.disconnect
    cdef bint lost              # the peer went before the reply was complete
    cdef bint with_trailers     # the application promised trailers
    cdef bytes trailer
    cdef bint pushed            # something of the reply may have left
    cdef bint copying           # a file is being sent: nothing may come between
    cdef bint late              # something is given and not sent, to be sent at the end of the round
    cdef int dropped            # messages since the peer went
    cdef int64_t began
    cdef object next_spare      # while it serves no request
    # Bound methods, made once
    cdef object receiver
    cdef object sender

    cdef object _start(self, object status, object headers, object trailers)
    cdef object _body(self, object body, object more_body)
    cdef object _file(self, dict message, bint whole)
    cdef object _hint(self, dict message)
    cdef object _trailers(self, dict message)
    cdef object _drop(self)
    cdef object _pushed(self)
    cdef int push(self) except -2
    cdef void _note_pushed(self) noexcept
    cdef int _complete(self) except -1
    cdef int _account(self) except -1
    cdef int _leave(self) except -1
    cdef int _rest(self) except -1
    cdef int _refuse_body(self) except -1
    cdef int give_up(self) except -1
