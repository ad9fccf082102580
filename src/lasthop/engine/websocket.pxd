# One WebSocket connection, without socket and loop.
from lasthop.engine.inbox cimport Inbox

cdef enum:
    OPENING         # the request is read, nothing accepted
    OPEN
    CLOSING         # our close frame is out, the peer's is not here
    CLOSED          # nothing more will be read

cdef class Session(Inbox):
    cdef readonly object terms
    cdef readonly list subprotocols
    cdef readonly object refusal
    cdef readonly str fault
    cdef readonly dict disconnect       # what the application was or will be told of the end, or None
    cdef readonly bint alive            # something has come from the peer since the last ping
    cdef int _state
    cdef bint _is_text                  # the message whose fragments are in `_parts`
    cdef bint _stalled                  # what is in `_rest` waits until messages are taken
    cdef bint _astray                   # the library has a frame that it will refuse
    cdef bint _eof                      # the peer has ended its side
    cdef bint _by_application           # who closed
    cdef bint _warm                     # something was compressed since the last ping
    cdef bint clogged                   # whoever writes says so: much waits for the peer, and pings are not answered meanwhile
    cdef Py_ssize_t _most
    cdef object _handshake
    cdef object _deflate
    cdef object _library
    cdef bytearray _parts               # fragments of a message, or None
    cdef list _out                      # what is to be written, or None
    cdef bytes _owed                    # a pong that was not written because of that, or None
    cdef unsigned char* _rest           # bytes that are no whole frame yet, or are stalled
    cdef Py_ssize_t _rest_size
    cdef Py_ssize_t _rest_room

    cpdef feed(self, data)
    cdef int feed_raw(self, const unsigned char* data, Py_ssize_t size) except -1
    cpdef dict receive(self)
    cpdef send(self, message)
    cpdef list take(self)
    cdef int _keep(self, const unsigned char* data, Py_ssize_t size) except -1
    cdef int _resume(self) except -1
    cdef Py_ssize_t _digest(self, const unsigned char* data, Py_ssize_t size) except -1
    cdef bint _read(self, unsigned char head, const unsigned char* payload, Py_ssize_t size) except -1
    cdef int _inflate(self, const unsigned char* payload, Py_ssize_t size, bint is_text) except -1
    cdef int _refuse_text(self, error) except -1
    cdef int _refuse(self, code, reason) except -1
    cdef int _need_library(self) except -1
    cdef int _judge(self, const unsigned char* data, Py_ssize_t size) except -1
    cdef int _take_frame(self, frame) except -1
    cdef int _finish_parts(self) except -1
    cdef int _collect(self) except -1
    cdef int _deliver(self, bint is_text, payload) except -1
    cdef int _end(self, int code, reason) except -1
    cdef int _tell_end(self, code, reason) except -1
    cdef int _finish_eof(self) except -1
    cdef int _refuse_send(self, kind) except -1
    cdef int _put(self, bint is_text, payload) except -1
    cdef int _close(self, code, reason) except -1
    cdef int _write(self, bytes piece) except -1
