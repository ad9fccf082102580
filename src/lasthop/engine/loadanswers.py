# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What comes back on the connections of a load: replies are completed and counted, and what is none has failed.

Knows what the epoll set told of a connection and the bytes that it read; asking is loadline.py's, and what a reply is, replies.py's. All connections are read
into the same place, since what is kept of a reply is what it counts as.
"""

import cython
from cython.cimports.lasthop.engine.histogram import record
from cython.cimports.lasthop.engine.linux import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, recv
from cython.cimports.lasthop.engine.loadline import (
    CLOSING,
    CONNECTING,
    OPEN,
    READ_BYTES,
    ROUNDS,
    Line,
    Run,
    fail,
    flush,
    go_on,
    lose,
    reconnect,
    watch,
)
from cython.cimports.lasthop.engine.poll import clock_ns
from cython.cimports.lasthop.engine.remote import (
    EARLY_END,
    MALFORMED,
    OTHER,
    WRONG_BODY,
    failure_of,
    socket_error,
)
from cython.cimports.lasthop.engine.replies import COMPLETE, end_reply, next_reply, read_reply
from cython.cimports.libc.errno import EAGAIN, EINTR, errno
from cython.cimports.libc.stdint import int64_t
from cython.cimports.posix.time import CLOCK_MONOTONIC


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _complete(run: cython.pointer(Run), line: cython.pointer(Line), now: int64_t) -> cython.void:
    """A whole reply was read."""
    status: cython.int = line.reading.head.status
    is_wrong: cython.bint = run.expected >= 0 and line.reading.body != run.expected and 200 <= status < 300
    if run.counting:
        run.ended += 1
        if not is_wrong:
            run.statuses[status] += 1
            run.body_bytes += line.reading.body
    if run.counting or run.waiting:
        if is_wrong:
            run.failures[WRONG_BODY] += 1
        elif line.begun[line.oldest] >= run.timed_from:
            record(cython.address(run.latency), now - line.begun[line.oldest])
    line.oldest += 1
    if line.oldest == run.pipeline:
        line.oldest = 0
    line.outstanding -= 1
    run.outstanding -= 1
    line.since = now
    line.failures = 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _finish(run: cython.pointer(Run), line: cython.pointer(Line)) -> cython.bint:
    """The last reply of this connection was read: does the server still have to close it?"""
    # What it was asked beyond that, it will not answer.
    lose(run, line, EARLY_END)
    if line.reading.head.closes and not line.deaf:
        # It closes first, so that the ports that have to rest (TIME_WAIT) are its, not ours.
        line.state = CLOSING
        line.send_at = line.send_end
        return True
    reconnect(run, line)
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _take(run: cython.pointer(Run), line: cython.pointer(Line), size: cython.Py_ssize_t) -> cython.bint:
    """Read the bytes in the buffer: is the connection still the same?"""
    now: int64_t = 0
    at: cython.Py_ssize_t = 0
    used: cython.Py_ssize_t
    if line.state == CLOSING:
        return True  # RFC 9112, 9.6: whatever comes after the last reply is none
    while at < size:
        if line.outstanding == 0:
            # It says something unasked.
            fail(run, line, MALFORMED, clock_ns(CLOCK_MONOTONIC))
            return False
        used = read_reply(
            cython.address(line.reading), cython.address(run.known), run.buffer + at, size - at, run.is_head
        )
        if used < 0:
            fail(run, line, MALFORMED, clock_ns(CLOCK_MONOTONIC))
            return False
        at += used
        if line.reading.stage != COMPLETE:
            break
        if now == 0:
            now = clock_ns(CLOCK_MONOTONIC)
        if at < size and line.outstanding == 1 and not line.reading.head.closes:
            # More than was asked for: then this one cannot be trusted either.
            fail(run, line, MALFORMED, now)
            return False
        _complete(run, line, now)
        if line.reading.head.closes or not run.keep_alive or line.deaf:
            return _finish(run, line)
        next_reply(cython.address(line.reading))
    if now:
        go_on(run, line, now)
        return line.state == OPEN
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _end(run: cython.pointer(Run), line: cython.pointer(Line)) -> cython.void:
    """The server has closed the connection."""
    now: int64_t = clock_ns(CLOCK_MONOTONIC)
    if line.state == OPEN and line.outstanding:
        if not end_reply(cython.address(line.reading)):
            fail(run, line, failure_of(line.deaf) if line.deaf else EARLY_END, now)
            return
        _complete(run, line, now)
        lose(run, line, EARLY_END)
    reconnect(run, line)


def handle(run, line, events):
    """Do what the set told of the line."""
    n: cython.Py_ssize_t
    error: cython.int
    rounds: cython.int = 0
    if line.fd < 0:
        return  # it was closed while this event waited for its turn
    if line.state == CONNECTING:
        if events & (EPOLLERR | EPOLLHUP):
            error = socket_error(line.fd)
            if error:
                fail(run, line, failure_of(error), clock_ns(CLOCK_MONOTONIC))
                return
        if not events & EPOLLOUT:
            return
        line.state = OPEN
        line.since = clock_ns(CLOCK_MONOTONIC)
        if line.outstanding == 0:
            watch(run, line, False)
            go_on(run, line, line.since)
            return
    if events & EPOLLOUT and line.send_at < line.send_end:
        if flush(run, line):
            fail(run, line, OTHER, clock_ns(CLOCK_MONOTONIC))
            return
        if line.send_at == line.send_end and line.outstanding < run.pipeline:
            go_on(run, line, clock_ns(CLOCK_MONOTONIC))
    if not events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        return
    while True:
        n = recv(line.fd, run.buffer, READ_BYTES, 0)
        if n < 0:
            if errno == EAGAIN:
                return
            if errno == EINTR:
                continue
            if line.state == CLOSING or line.outstanding == 0:
                reconnect(run, line)
            else:
                fail(run, line, failure_of(errno), clock_ns(CLOCK_MONOTONIC))
            return
        if n == 0:
            _end(run, line)
            return
        if run.counting:
            run.bytes_in += n
        if not _take(run, line, n):
            return
        if n < READ_BYTES:
            if not events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
                return
            if line.state == CLOSING:
                reconnect(run, line)
                return
        rounds += 1
        if rounds == ROUNDS:
            watch(run, line, line.writing)
            return
