# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The body of one request, on its way from a connection to `wsgi.input`.

Knows where the bytes are: those that came with the head, then those in the socket. Nothing is read before the application asks, and where the
length is known it is read straight into the bytes object that the application gets: no more of a body than that is ever held. Does not know
lines (`input` does) nor replies.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.cpython.mem import PyMem_RawFree, PyMem_RawMalloc
from cython.cimports.lasthop.engine.connection import Conn, drop_bytes, keep_bytes
from cython.cimports.lasthop.engine.linux import (
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_PEEK,
    POLLIN,
    pollfd,
    recv,
    send,
)
from cython.cimports.lasthop.engine.linux import poll as wait_for
from cython.cimports.lasthop.engine.poll import clock_ns
from cython.cimports.lasthop.http1.body import BODY_DATA, BODY_END, DONE, FIXED, Body, begin_body, read_body
from cython.cimports.libc.errno import EAGAIN, EINTR, errno
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc
from cython.cimports.libc.string import memcpy
from cython.cimports.posix.time import CLOCK_MONOTONIC

from lasthop.http1.refusals import refusal_of

_SPARE = cython.declare(cython.Py_ssize_t, 65536)
"""What is read at a time where the length is not known, or the application reads in small pieces."""
_DRAINABLE = cython.declare(uint64_t, 65536)
"""A body that the application did not read is read and dropped up to this size, to keep the connection; beyond, closing is cheaper."""

_TOO_LATE = "wsgi.input was read after its request had ended"


class Intake:
    def __cinit__(self):
        self.conn = cython.NULL
        self.spare = cython.NULL

    def __dealloc__(self):
        PyMem_RawFree(self.spare)

    def begin(self, conn, head, source, size, gathered):
        """The body that follows `head`, of which `size` bytes (and perhaps the next request) are at `source`; `gathered`: all of it."""
        self.conn = conn
        self.source = source
        self.source_at = 0
        self.source_end = size
        self.expecting = head.expect_continue
        self.answered = False
        self.failure = 0
        self.over = False
        self.receiving = False
        self.dry = False
        self.gathered = gathered
        self.ended = not head.chunked and head.length <= 0
        if not self.ended:
            begin_body(cython.address(self.body), head)

    def can_keep(self):
        """May the connection be kept although the application has not read the body?"""
        return (
            self.ended
            or self.gathered
            or (self.body.state == FIXED and self.body.left <= _DRAINABLE and not self.expecting)
        )

    def is_last(self):
        """Has the peer sent nothing that would be lost with the connection: neither a rest of this body nor another request?"""
        byte: cython.uchar
        return (
            self.ended
            and self.source_at == self.source_end
            and recv(self.conn.fd, cython.address(byte), 1, MSG_PEEK | MSG_DONTWAIT) < 0
            and errno == EAGAIN
        )

    def _receive(self, to, size):
        """At least one byte of the body from the socket, or 0 when it is `hasty` and nothing is there; raises an OSError when none will come."""
        n: cython.Py_ssize_t
        waiting: pollfd
        until: int64_t = 0
        while True:
            n = recv(self.conn.fd, to, cython.cast(cython.size_t, size), 0)
            if n > 0:
                self.conn.drained = n < size
                return n
            if n == 0:
                self.failure = PEER_GONE
                self.conn.half_closed = True
                raise ConnectionResetError(
                    f"the peer closed the connection in the body of its request, after {self.body.taken} bytes"
                )
            if errno == EINTR:
                continue
            if errno != EAGAIN:
                self.failure = PEER_GONE
                raise ConnectionResetError(
                    f"the connection broke in the body of the request, after {self.body.taken} bytes"
                )
            if self.expecting:
                # RFC 9110, 10.1.1: only now is it certain that the application wants the body, and that the peer waits for a word.
                self.expecting = False
                if self.hasty and self.answered:
                    pass  # it need not send it, but may; the application waits for whatever comes
                elif self.answered:
                    self.failure = PEER_GONE
                    raise ConnectionResetError(
                        "the peer was answered before it was asked for its body, and need not send it"
                    )
                elif send(self.conn.fd, b"HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25:
                    self.failure = PEER_GONE
                    raise ConnectionResetError("the peer closed the connection before it had sent its body")
            if self.hasty:
                self.conn.drained = True
                self.dry = True
                return 0
            if self.poll.stopping:
                self.failure = PEER_GONE
                raise ConnectionAbortedError("the server stops")
            if until == 0:
                until = clock_ns(CLOCK_MONOTONIC) + self.poll.body_ns
            elif clock_ns(CLOCK_MONOTONIC) > until:
                self.failure = 408
                raise TimeoutError(
                    f"the body of the request stalled for {self.poll.body_ns // 1000000000} s, after {self.body.taken} bytes"
                )
            waiting.fd = self.conn.fd
            waiting.events = POLLIN
            waiting.revents = 0
            self.receiving = True
            with cython.nogil:
                wait_for(cython.address(waiting), 1, 500)
            self.receiving = False
            if self.over:
                raise ConnectionResetError(_TOO_LATE)

    def pull(self, to, size):
        """Up to `size` bytes of the body's content into `to`, at least one; 0 at its end. Raises an OSError when the rest cannot be had."""
        used: cython.Py_ssize_t = 0
        place: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t = 0
        room: cython.Py_ssize_t
        result: cython.int
        if self.receiving:
            raise RuntimeError("wsgi.input was read while another thread was reading it")
        if self.failure:
            raise ConnectionResetError("the rest of the request's body cannot be read")
        while not self.ended:
            if self.over:
                raise ConnectionResetError(_TOO_LATE)
            room = self.source_end - self.source_at
            if room == 0 and self.body.state == FIXED and self.body.left:
                room = (
                    size
                    if cython.cast(uint64_t, size) < self.body.left
                    else cython.cast(cython.Py_ssize_t, self.body.left)
                )
                if size >= 4096 or cython.cast(uint64_t, size) >= self.body.left:
                    count = self._receive(to, room)
                    if count == 0:
                        return 0
                    self.body.left -= cython.cast(uint64_t, count)
                    self.body.taken += count
                    if self.body.left == 0:
                        self.body.state = DONE
                        self.ended = True
                    return count
                room = 0
            if (
                room == 0
                and self.body.state != DONE
                and not (self.body.state == FIXED and self.body.left == 0)
            ):
                if self.spare == cython.NULL:
                    self.spare = cython.cast(cython.p_uchar, PyMem_RawMalloc(_SPARE))
                    if self.spare == cython.NULL:
                        raise MemoryError
                room = _SPARE
                if self.body.state == FIXED and self.body.left < cython.cast(uint64_t, room):
                    room = cython.cast(cython.Py_ssize_t, self.body.left)
                room = self._receive(self.spare, room)
                if room == 0:
                    return 0
                self.source_end = room
                self.source_at = 0
                self.source = self.spare
            result = read_body(
                cython.address(self.body), self.source + self.source_at, room if room < size else size, self.bounds,
                cython.address(used), cython.address(place), cython.address(count),
            )  # fmt: skip
            if result < 0:
                name, status, sentence = refusal_of(result)
                self.failure = status
                raise OSError(f"the body of the request is refused ({name}): {sentence}")
            if result == BODY_DATA:
                memcpy(to, self.source + self.source_at + place, cython.cast(cython.size_t, count))
                self.source_at += used
                if self.body.state == DONE:
                    self.ended = True
                return count
            self.source_at += used
            if result == BODY_END:
                self.ended = True
        return 0

    def read_block(self, size):
        """Up to `size` bytes (at most 1 MiB) of content as bytes: as many unless the body ends; b"" at its end."""
        block: bytes
        got: cython.Py_ssize_t = 0
        n: cython.Py_ssize_t
        if self.over:
            raise ConnectionResetError(_TOO_LATE)
        if size > 1 << 20:
            size = 1 << 20
        if not self.ended and self.body.state == FIXED and cython.cast(uint64_t, size) > self.body.left:
            size = cython.cast(cython.Py_ssize_t, self.body.left)
        if size <= 0 or self.ended:
            return b""
        block = PyBytes_FromStringAndSize(cython.NULL, size)
        while got < size:
            n = self.pull(cython.cast(cython.p_uchar, PyBytes_AS_STRING(block)) + got, size - got)
            if n == 0:
                return block[:got]
            got += n
        return block

    def read_some(self, size):
        """What is there of the content, up to `size` bytes and at least one; b"" at its end."""
        block: bytes
        n: cython.Py_ssize_t
        if self.over:
            raise ConnectionResetError(_TOO_LATE)
        if self.ended:
            return b""
        if self.body.state == FIXED and cython.cast(uint64_t, size) > self.body.left:
            size = cython.cast(cython.Py_ssize_t, self.body.left)
        block = PyBytes_FromStringAndSize(cython.NULL, size)
        n = self.pull(cython.cast(cython.p_uchar, PyBytes_AS_STRING(block)), size)
        return block if n == size else block[:n]

    def read_now(self, size):
        """As `read_some`, without waiting: None when nothing is there. What ends the body is looked for, too, so that its last piece is known as the last."""
        block: bytes
        n: cython.Py_ssize_t
        self.dry = False
        if self.ended:
            return b""
        if self.body.state == FIXED and cython.cast(uint64_t, size) > self.body.left:
            size = cython.cast(cython.Py_ssize_t, self.body.left)
        block = PyBytes_FromStringAndSize(cython.NULL, size)
        n = self.pull(cython.cast(cython.p_uchar, PyBytes_AS_STRING(block)), size)
        if n == 0 and self.dry:
            return None
        if n and not self.ended and self.source_at < self.source_end:
            self._look_ahead()
        return block if n == size else block[:n]

    def _look_ahead(self):
        """Pass over what is there of the end of a chunked body, if that is what comes next."""
        body: Body = self.body
        used: cython.Py_ssize_t = 0
        place: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t = 0
        result: cython.int = read_body(
            cython.address(body), self.source + self.source_at, self.source_end - self.source_at, self.bounds,
            cython.address(used), cython.address(place), cython.address(count),
        )  # fmt: skip
        if result == BODY_END:
            self.body = body
            self.source_at += used
            self.ended = True
        return 0

    def keep_source(self):
        """What has come stays until it is read: it moves from the buffer that all connections share to the connection's own."""
        conn: cython.pointer(Conn) = self.conn
        if self.source == self.spare and self.spare != cython.NULL:
            return 0
        self._keep_rest()
        if conn.pending == cython.NULL:
            self.source_at = 0
            self.source_end = 0
            self.source = cython.NULL
        else:
            self.source = conn.pending
            self.source_at = conn.pending_at
            self.source_end = conn.pending_end
        return 0

    def settle(self, kept):
        """The application is done with the body: drop what came of it, keep what came of the next request, and note what is still to come
        when the connection is `kept`."""
        used: cython.Py_ssize_t = 0
        place: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t = 0
        result: cython.int
        while not self.ended and not self.failure:
            result = read_body(
                cython.address(self.body), self.source + self.source_at, self.source_end - self.source_at, self.bounds,
                cython.address(used), cython.address(place), cython.address(count),
            )  # fmt: skip
            self.source_at += used
            if result < 0:
                self.failure = 400
            elif result == BODY_END or self.body.state == DONE:
                self.ended = True
            elif result != BODY_DATA:
                break
        if not self.ended and not self.failure and kept:
            self.conn.body = cython.cast(cython.pointer(Body), calloc(1, cython.sizeof(Body)))
            if self.conn.body == cython.NULL:
                raise MemoryError
            self.conn.body[0] = self.body
        self._keep_rest()
        return 0

    def _keep_rest(self):
        """Bytes after this request wait at the connection; most often there are none, and no memory for them either."""
        conn: cython.pointer(Conn) = self.conn
        rest: cython.Py_ssize_t = self.source_end - self.source_at
        if conn.pending != cython.NULL:
            if rest and conn.pending <= self.source and self.source < conn.pending + conn.pending_room:
                conn.pending_at = cython.cast(uint32_t, self.source + self.source_at - conn.pending)
                return 0
            drop_bytes(conn)
        if rest and keep_bytes(conn, self.source + self.source_at, rest) < 0:
            raise MemoryError
        return 0
