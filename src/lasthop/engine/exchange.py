# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One request and its reply: what WSGI asks for (PEP 3333) on one side, a connection's descriptor on the other.

Knows start_response, write and the framing of the reply; the request's body is its `intake`. Does not know how the application is called, nor when
the connection is ready again.

**Sending.** Small pieces are gathered in `out`; pieces of COPIED bytes and more are sent from where the application put them (`sendmsg`), files by
`sendfile`. What the peer does not take at once stays here and is sent when epoll says so, by whatever thread is free: only an *iterable* that has
more than AHEAD bytes under way holds its thread, since code of the application is only ever run where it began (thread-locals, context variables).

This module is long because what was given of a reply and what of it was sent are one state, for WSGI and for ASGI.
"""

import io
import os
import stat

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.cpython.pythread import PyThread_get_thread_ident
from cython.cimports.lasthop.engine.intake import PEER_GONE, Intake
from cython.cimports.lasthop.engine.linux import (
    MSG_NOSIGNAL,
    POLLOUT,
    iovec,
    msghdr,
    pollfd,
    send,
    sendfile,
    sendmsg,
)
from cython.cimports.lasthop.engine.linux import poll as wait_for
from cython.cimports.lasthop.engine.poll import clock_ns
from cython.cimports.lasthop.http1.reply import (
    BODILESS,
    BY_CHUNKS,
    BY_CLOSE,
    BY_LENGTH,
    Reply,
    free_out,
    put,
    put_chunk_size,
    put_end,
    put_head,
)
from cython.cimports.libc.errno import EAGAIN, EINTR, errno
from cython.cimports.libc.stdint import int64_t
from cython.cimports.libc.string import memmove, memset
from cython.cimports.posix.time import CLOCK_MONOTONIC
from cython.cimports.posix.types import off_t

COPIED = cython.declare(cython.Py_ssize_t, 16384)
"""A piece of the reply's body shorter than this is copied behind the head: cheaper than a second element for the kernel."""
_PIECES = cython.declare(cython.Py_ssize_t, 64)
_UNLOCKED = cython.declare(int64_t, 65536)
"""From this many bytes on, copying them into the kernel takes longer than letting go of the GIL and taking it again."""

_PLAIN = frozenset((io.FileIO, io.BufferedReader, io.BufferedRandom))
"""Files whose bytes are what their descriptor gives. A GzipFile, say, has a descriptor too, and other bytes."""


class Exchange:
    """The start_response and the write of one request. A new one is made only when the application kept the last."""

    def __cinit__(self):
        memset(cython.address(self.out), 0, cython.sizeof(self.out))
        self.conn = cython.NULL
        self.intake = Intake()
        self.parts = []
        self.file = None
        self.closing = None
        self.starter = self.start_response
        self.writer = self.write

    def __dealloc__(self):
        free_out(cython.address(self.out))

    def begin(self, conn, head, is_head):
        """A new request: its head, and whether its method is HEAD."""
        self.conn = conn
        self.out.size = 0
        self.out_at = 0
        self.unfinished = 0
        self.body_bytes = 0
        self.reply.status = 0
        self.minor = head.minor
        self.is_head = is_head
        self.keep_alive = head.keep_alive
        self.started = False
        self.head_out = False
        self.silent = False
        self.overrun = False
        self.over = False
        self.thread = PyThread_get_thread_ident()

    def finish(self):
        """The application has had its say: what it calls from now on comes too late."""
        self.over = True
        self.intake.over = True

    def forget(self):
        """The exchange is over, its object may serve again."""
        self.conn = cython.NULL
        self.intake.conn = cython.NULL
        if self.part or len(self.parts):
            self.parts = []
            self.part = 0
            self.part_at = 0
        self.unsent = 0
        self.unfinished = 0
        self.file = None
        self.file_left = 0
        if self.out.room > 65536:
            free_out(cython.address(self.out))

    def retire(self):
        """The exchange is over and the application kept a part of it: it is left to the application, and answers no more."""
        self.forget()
        self.retire_methods()

    def retire_methods(self):
        """Let go of the bound methods, which refer back to the exchange: it will serve no other request."""
        self.starter = None
        self.writer = None

    # What the application calls.

    def start_response(self, status, headers, exc_info=None):
        """PEP 3333, "The start_response() Callable"."""
        if self.over:
            raise RuntimeError("start_response was called after its request had ended")
        try:
            if exc_info is not None and exc_info:
                if self.head_out:
                    raise exc_info[1].with_traceback(exc_info[2])
            elif self.started:
                raise AssertionError("start_response was called a second time without exc_info")
            self.out.size = 0
            self.started = False
            put_head(cython.address(self.out), cython.address(self.reply), status, headers)
            self.started = True
        finally:
            exc_info = None  # PEP 3333: no circular reference through the traceback
        return self.writer

    def write(self, data):
        """PEP 3333, "The write() Callable": sends before it returns, or keeps what the peer does not take yet."""
        if self.over:
            raise RuntimeError("write was called after its request had ended")
        if not self.started:
            raise AssertionError("write was called before start_response")
        if type(data) is not bytes:
            raise TypeError(f"write takes bytes, not {type(data).__name__}")
        if PyThread_get_thread_ident() != self.thread:
            raise RuntimeError("write was called by another thread than the one that serves the request")
        if self.intake.failure == PEER_GONE:
            raise BrokenPipeError("the peer has closed the connection")
        if len(data):
            self.give(data)
            if self.flush_within(AHEAD) == GONE:
                self.intake.failure = PEER_GONE
                raise BrokenPipeError("the peer closed the connection before it had read the reply")

    # The reply.

    def end_head(self, known):
        """Finish the head. `known` is the length of the whole body, or -1."""
        length: int64_t = -1
        reply: cython.pointer(Reply) = cython.address(self.reply)
        if not self.started:
            raise AssertionError("the application returned a body before it called start_response")
        if reply.status == 204 or reply.status == 304:
            self.framing = BODILESS
            length = reply.length
        elif reply.status == 205:
            self.framing = BY_LENGTH  # RFC 9110, 15.3.6: it has no content, and says so
            length = 0
        elif reply.length >= 0:
            self.framing = BY_LENGTH
            length = reply.length
        elif known >= 0 and not (self.is_head and known == 0):
            self.framing = BY_LENGTH
            length = known
        elif self.is_head:
            self.framing = BODILESS
        elif self.minor == 1:
            self.framing = BY_CHUNKS
        else:
            self.framing = BY_CLOSE
        self.left = length
        self.promised = length
        self.silent = self.is_head or self.framing == BODILESS or reply.status == 205
        if self.keep_alive:
            self.keep_alive = (
                self.framing != BY_CLOSE
                and not reply.closing
                and not self.poll.draining
                and self.poll.idle_ns > 0
                and self.intake.can_keep()
            )
            if self.keep_alive and self.poll.shedding and self.intake.is_last():
                # Another worker is to have the peer's next connection (balance.py); what it has sent already is answered on this one.
                self.poll.shedding = 0
                self.keep_alive = False
        put_end(
            cython.address(self.out), reply, self.framing, length, self.poll.date, self.minor, self.keep_alive
        )
        self.unfinished = 0
        self.head_out = True
        self.intake.answered = True
        return 0

    def give(self, chunk):
        """A piece of the body: to be sent with the next flush."""
        size: cython.Py_ssize_t = PyBytes_GET_SIZE(chunk)
        if not self.head_out:
            self.end_head(-1)
        if size == 0 or self.silent:
            return 0
        if self.framing == BY_LENGTH:
            if size > self.left:
                self.overrun = True
                chunk = chunk[: self.left]
                size = cython.cast(cython.Py_ssize_t, self.left)
                if size == 0:
                    return 0
            self.left -= size
        self.body_bytes += size
        if size < COPIED and self.unsent == 0:
            if self.framing == BY_CHUNKS:
                put_chunk_size(cython.address(self.out), size)
            put(cython.address(self.out), PyBytes_AS_STRING(chunk), size)
            if self.framing == BY_CHUNKS:
                put(cython.address(self.out), b"\r\n", 2)
            return 0
        if self.framing == BY_CHUNKS:
            if self.unsent == 0:
                put_chunk_size(cython.address(self.out), size)
            else:
                self._queue(b"%x\r\n" % size)
            self._queue(chunk)
            self._queue(b"\r\n")
        else:
            self._queue(chunk)
        return 0

    def _queue(self, piece):
        self.parts.append(piece)
        self.unsent += PyBytes_GET_SIZE(piece)
        return 0

    def give_file(self, wrapper):
        """The body is the rest of a file: 1 when it will be sent by sendfile, 0 when the file is none that the kernel can read."""
        file = wrapper.filelike
        if type(file).__name__ == "_TemporaryFileWrapper":
            file = file.file
        if type(file) not in _PLAIN:
            return 0
        try:
            fd: cython.int = file.fileno()
            facts = os.fstat(fd)
            at: off_t = file.tell()
        except (AttributeError, OSError, ValueError):
            return 0
        if not stat.S_ISREG(facts.st_mode):
            return 0
        size: int64_t = facts.st_size - at
        if size < 0:
            size = 0
        if not self.head_out:
            self.end_head(size)
        if self.silent:
            return 1
        if self.framing == BY_LENGTH:
            if size > self.left:
                size = self.left
            self.left -= size
        elif self.framing == BY_CHUNKS:
            return 0  # write() was called before, so the head left without a length
        self.body_bytes += size
        self.file = wrapper
        self.file_fd = fd
        self.file_at = at
        self.file_left = size
        return 1

    def give_descriptor(self, file, fd, at, count, whole):
        """Up to `count` bytes (negative: to its end) of the regular file `fd` from `at` on, by sendfile; `file` is kept until they are sent.

        `whole`: they are the whole body. Nothing may be given before they are sent.
        """
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("only a regular file can be sent from its descriptor")
        size: int64_t = facts.st_size - at
        if size < 0:
            size = 0
        if count >= 0 and size > count:
            size = count
        if not self.head_out:
            self.end_head(size if whole else -1)
        if self.silent:
            return 0
        if self.framing == BY_LENGTH:
            if size > self.left:
                self.overrun = True
                size = self.left
            self.left -= size
        if size == 0:
            return 0
        if self.framing == BY_CHUNKS:
            self._queue(b"%x\r\n" % size)
        self.body_bytes += size
        self.file = file
        self.file_fd = fd
        self.file_at = at
        self.file_left = size
        return 0

    def give_break(self):
        """The chunk that a file was is complete."""
        put(cython.address(self.out), b"\r\n", 2)
        return 0

    def give_trailer(self, lines):
        """The body is complete, and these field lines follow it."""
        if not self.head_out:
            self.end_head(-1)
        if self.framing == BY_CHUNKS and not self.silent:
            self._queue(b"0\r\n%b\r\n" % lines)
        return 0

    def take_back(self):
        """Nothing of what was given has left, and nothing of it shall: another reply is to be given."""
        self.out.size = 0
        self.out_at = 0
        self.unfinished = 0
        self.parts = []
        self.part = 0
        self.part_at = 0
        self.unsent = 0
        self.body_bytes = 0
        self.head_out = False
        self.silent = False
        self.overrun = False
        return 0

    def check_piece(self, size, last):
        """May a piece of the body of so many bytes be given, as the last one? RuntimeError if the body is not as long as the application said."""
        total: int64_t = self.body_bytes + size
        status: cython.int = self.reply.status
        if self.reply.length < 0 or self.is_head or status == 204 or status == 205 or status == 304:
            return 0
        if total > self.reply.length:
            raise RuntimeError(
                f"the body of the reply is longer than its Content-Length of {self.reply.length} bytes"
            )
        if last and total < self.reply.length:
            raise RuntimeError(
                f"the body of the reply is {self.reply.length - total} bytes shorter than its Content-Length of {self.reply.length}"
            )
        return 0

    def check_length(self):
        """What was given must be as long as the application said: else the peer could take what follows for a part of it. RuntimeError if it is not."""
        if not self.overrun and (self.framing != BY_LENGTH or self.left == 0 or self.silent):
            return 0
        self.keep_alive = False
        if self.overrun:
            raise RuntimeError(
                f"the body of the reply is longer than its Content-Length of {self.promised} bytes"
            )
        raise RuntimeError(
            f"the body of the reply is {self.left} bytes shorter than its Content-Length of {self.promised}"
        )

    def give_end(self):
        """The body is complete as far as the application is concerned. A reply that fell short of its length cannot keep the connection."""
        if not self.head_out:
            self.end_head(0)
        if self.framing == BY_CHUNKS and not self.silent:
            if self.unsent == 0 and self.file is None:
                put_chunk_size(cython.address(self.out), 0)
            else:
                self._queue(b"0\r\n\r\n")
        return 0

    def pending(self):
        """Bytes that are given, and may leave, and have not; without those of a file."""
        return self.unsent + (self.out.size - self.unfinished - self.out_at)

    def flush(self):
        """Send what the peer takes: SENT, BLOCKED or GONE."""
        whole: cython.Py_ssize_t = self.out.size - self.unfinished
        n: cython.Py_ssize_t
        count: cython.Py_ssize_t
        i: cython.Py_ssize_t
        fd: cython.int = self.conn.fd
        pieces: iovec[64]
        message: msghdr
        piece: bytes
        if self.unsent == 0:
            while self.out_at < whole:
                n = send(
                    fd,
                    self.out.data + self.out_at,
                    cython.cast(cython.size_t, whole - self.out_at),
                    MSG_NOSIGNAL,
                )
                if n < 0:
                    if errno == EINTR:
                        continue
                    return self._blocked() if errno == EAGAIN else GONE
                self.out_at += n
        else:
            memset(cython.address(message), 0, cython.sizeof(msghdr))
            while self.unsent or self.out_at < self.out.size:
                count = 0
                if self.out_at < self.out.size:
                    pieces[0].iov_base = self.out.data + self.out_at
                    pieces[0].iov_len = cython.cast(cython.size_t, self.out.size - self.out_at)
                    count = 1
                i = self.part
                while i < len(self.parts) and count < _PIECES:
                    piece = self.parts[i]
                    n = self.part_at if i == self.part else 0
                    pieces[count].iov_base = PyBytes_AS_STRING(piece) + n
                    pieces[count].iov_len = cython.cast(cython.size_t, PyBytes_GET_SIZE(piece) - n)
                    count += 1
                    i += 1
                message.msg_iov = pieces
                message.msg_iovlen = cython.cast(cython.size_t, count)
                if self.unsent >= _UNLOCKED and self.poll.threads > 1:
                    with cython.nogil:
                        n = sendmsg(fd, cython.address(message), MSG_NOSIGNAL)
                else:
                    n = sendmsg(fd, cython.address(message), MSG_NOSIGNAL)
                if n < 0:
                    if errno == EINTR:
                        continue
                    return self._blocked() if errno == EAGAIN else GONE
                self._advance(n)
        if self.out.size and not self.unfinished:
            self.out.size = 0
            self.out_at = 0
        if self.part:
            self.parts.clear()
            self.part = 0
        return SENT if self.file is None else self._flush_file()

    def _blocked(self):
        """The peer takes no more now: let go of what it took, so that a long stream does not grow what waits."""
        if self.out_at > COPIED:
            memmove(
                self.out.data,
                self.out.data + self.out_at,
                cython.cast(cython.size_t, self.out.size - self.out_at),
            )
            self.out.size -= self.out_at
            self.out_at = 0
        if self.part > _PIECES:
            del self.parts[: self.part]
            self.part = 0
        return BLOCKED

    def _advance(self, n):
        """`n` bytes of `out` and the parts are sent."""
        rest: cython.Py_ssize_t = self.out.size - self.out_at
        piece: bytes
        if n < rest:
            self.out_at += n
            return 0
        self.out_at = self.out.size
        n -= rest
        self.unsent -= n
        while n:
            piece = self.parts[self.part]
            rest = PyBytes_GET_SIZE(piece) - self.part_at
            if n < rest:
                self.part_at += n
                return 0
            n -= rest
            self.parts[self.part] = None  # a large piece is not kept longer than it is needed
            self.part += 1
            self.part_at = 0
        return 0

    def _flush_file(self):
        n: cython.Py_ssize_t
        fd: cython.int = self.conn.fd
        while self.file_left:
            with cython.nogil:
                n = sendfile(
                    fd,
                    self.file_fd,
                    cython.address(self.file_at),
                    cython.cast(cython.size_t, self.file_left if self.file_left < 1 << 30 else 1 << 30),
                )
            if n < 0:
                if errno == EINTR:
                    continue
                return BLOCKED if errno == EAGAIN else GONE
            if n == 0:
                return GONE  # the file became shorter: the promised length cannot be kept
            self.file_left -= n
        self.file = None
        return SENT

    def flush_within(self, most):
        """Send until at most `most` bytes wait for the peer, with patience for `reply_timeout` between two bytes: SENT, BLOCKED or GONE."""
        result: cython.int = self.flush()
        waiting: pollfd
        until: int64_t = 0
        left: int64_t = 0
        before: int64_t = -1
        while result == BLOCKED:
            left = self.pending() + self.file_left
            if left <= most:
                break
            if left != before:
                before = left
                until = clock_ns(CLOCK_MONOTONIC) + self.poll.reply_ns
            elif clock_ns(CLOCK_MONOTONIC) > until:
                return GONE
            waiting.fd = self.conn.fd
            waiting.events = POLLOUT
            waiting.revents = 0
            with cython.nogil:
                wait_for(cython.address(waiting), 1, 500)
            if self.poll.stopping:
                return GONE
            result = self.flush()
        return result


def as_bytes(value, what):
    """What an ASGI application may give as bytes, as such. TypeError for anything else: `what` says what it was to be."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{what} must be bytes, not {type(value).__name__}")
    return bytes(value)
