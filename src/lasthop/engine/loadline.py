# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The connections of a load: each asks, waits for the whole reply and asks again, or waits for the next request that is due.

Knows descriptors, requests as bytes, replies and times; the loop around it is in load.py. All of it is C without Python objects: it runs
without the GIL, and allocates nothing for a request.

**Edge-triggered.** A connection enters the epoll set once. A read that filled less than was offered took all there was; the end of the server's bytes
comes as EPOLLRDHUP. Room to write is only asked for while something waits to be written: over a socket file every read of the server would be told.

**After a failure a line rests**, a millisecond first and up to a hundred, so that a server that refuses is asked now and then, not in a busy loop.
"""

import cython
from cython.cimports.lasthop.engine.histogram import record
from cython.cimports.lasthop.engine.linux import (
    EPOLL_CTL_ADD,
    EPOLL_CTL_MOD,
    EPOLLERR,
    EPOLLET,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    MSG_NOSIGNAL,
    epoll_ctl,
    epoll_event,
    recv,
    send,
)
from cython.cimports.lasthop.engine.poll import clock_ns
from cython.cimports.lasthop.engine.remote import (
    CONNECT_TIMED_OUT,
    EARLY_END,
    MALFORMED,
    OTHER,
    TIMED_OUT,
    WRONG_BODY,
    connect_socket,
    failure_of,
    open_socket,
    socket_error,
)
from cython.cimports.lasthop.engine.replies import COMPLETE, end_reply, next_reply, read_reply
from cython.cimports.libc.errno import EAGAIN, EINPROGRESS, EINTR, errno
from cython.cimports.libc.stdint import int64_t
from cython.cimports.libc.string import memset
from cython.cimports.posix.time import CLOCK_MONOTONIC
from cython.cimports.posix.unistd import close

_MS = cython.declare(int64_t, 1000000)
_MOST_DOUBLINGS = cython.declare(cython.int, 7)
_LONGEST_REST = cython.declare(int64_t, 100000000)
_CLOSING_NS = cython.declare(int64_t, 1000000000)
"""How long a server that has said it closes may take to do it."""
_NEVER = cython.declare(int64_t, (1 << 63) - 1)


def due_by(run, now):
    """How many requests the schedule has had by now."""
    if now <= run.start_ns:
        return 0
    due: int64_t = cython.cast(int64_t, (now - run.start_ns) / run.interval_ns + 0.5)
    return due if due < run.limit else run.limit


def due_at(run, number):
    """When the schedule has its request `number`."""
    return run.start_ns + cython.cast(int64_t, (number + 0.5) * run.interval_ns)


# The life of a connection.


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _watch(run: cython.pointer(Run), line: cython.pointer(Line), writing: cython.bint) -> cython.int:
    """Say what the set is to tell of the line; it also tells what is so already, and anew."""
    operation: cython.int = EPOLL_CTL_MOD if line.watched else EPOLL_CTL_ADD
    wanted: epoll_event
    memset(cython.address(wanted), 0, cython.sizeof(epoll_event))
    wanted.events = EPOLLIN | EPOLLRDHUP | EPOLLET
    if writing:
        wanted.events |= EPOLLOUT
    wanted.data.ptr = line
    line.writing = writing
    line.watched = True
    return epoll_ctl(run.set, operation, line.fd, cython.address(wanted))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _close(run: cython.pointer(Run), line: cython.pointer(Line)) -> cython.void:
    close(line.fd)
    line.fd = -1
    line.state = UNCONNECTED
    line.watched = False
    line.deaf = 0
    line.send_at = 0
    line.send_end = 0
    next_reply(cython.address(line.reading))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _lose(run: cython.pointer(Run), line: cython.pointer(Line), failure: cython.int) -> cython.void:
    """What was asked on this line and not answered has failed."""
    if run.counting:
        run.failures[failure] += line.outstanding
        run.ended += line.outstanding
    run.outstanding -= line.outstanding
    line.outstanding = 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _rest(run: cython.pointer(Run), line: cython.pointer(Line)) -> cython.void:
    line.next = run.resting
    run.resting = line
    line.listed = True
    if line.since < run.wake_ns:
        run.wake_ns = line.since


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _make_spare(run: cython.pointer(Run), line: cython.pointer(Line)) -> cython.void:
    line.next = cython.NULL
    line.listed = True
    if run.spare == cython.NULL:
        run.spare = line
    else:
        run.last_spare.next = line
    run.last_spare = line


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _fail(
    run: cython.pointer(Run), line: cython.pointer(Line), failure: cython.int, now: int64_t
) -> cython.void:
    """The connection is of no use any more: it goes, with all that was asked on it, and the line rests."""
    pause: int64_t = _MS << (line.failures if line.failures < _MOST_DOUBLINGS else _MOST_DOUBLINGS)
    _lose(run, line, failure)
    if line.fd >= 0:
        _close(run, line)
    line.failures += 1
    line.state = RESTING
    line.since = now + (pause if pause < _LONGEST_REST else _LONGEST_REST)
    if not line.listed:
        _rest(run, line)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _connect(run: cython.pointer(Run), line: cython.pointer(Line), now: int64_t) -> cython.int:
    """Begin to connect: 0, or the errno that it failed with."""
    error: cython.int
    line.fd = open_socket(cython.address(run.remote))
    if line.fd < 0:
        return errno
    error = connect_socket(cython.address(run.remote), line.fd)
    if error != 0 and error != EINPROGRESS:
        _close(run, line)
        return error
    line.state = OPEN if error == 0 else CONNECTING
    line.since = now
    return 0


def open_line(run, line):
    """Connect a line that has nothing to ask yet. Should that fail, the first request on it will tell."""
    now: int64_t = clock_ns(CLOCK_MONOTONIC)
    if _connect(run, line, now) == 0:
        _watch(run, line, line.state == CONNECTING)
    if line.state != CONNECTING:
        go_on(run, line, now)


# Asking.


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _flush(run: cython.pointer(Run), line: cython.pointer(Line)) -> cython.int:
    """Send what waits to be sent, as far as the server takes it: 0, or the errno with which it could not be reached."""
    n: cython.Py_ssize_t
    while line.send_at < line.send_end:
        n = send(
            line.fd,
            run.text + line.send_at,
            cython.cast(cython.size_t, line.send_end - line.send_at),
            MSG_NOSIGNAL,
        )
        if n >= 0:
            line.state = (
                OPEN  # a connection over loopback stands most often by now, though connect() did not say so
            )
            line.send_at += n
            if run.counting:
                run.bytes_out += n
        elif errno == EAGAIN:
            break
        elif line.state == CONNECTING:
            return errno
        elif errno != EINTR:
            # It may have answered before it went: the set will tell of what is there to be read.
            line.deaf = errno
            line.send_at = line.send_end
            _watch(run, line, False)
            return 0
    if not line.watched or line.writing != (line.send_at < line.send_end):
        if _watch(run, line, line.send_at < line.send_end) < 0:
            return errno
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _ask(
    run: cython.pointer(Run), line: cython.pointer(Line), count: cython.int, begun: int64_t, now: int64_t
) -> cython.void:
    """Send the next `count` requests, at most as many as the line has room for, all begun at `begun`."""
    error: cython.int = 0
    i: cython.int
    place: cython.int = line.oldest + line.outstanding
    for i in range(count):
        if place >= run.pipeline:
            place -= run.pipeline
        line.begun[place] = begun
        place += 1
    if line.outstanding == 0:
        line.since = now
    line.outstanding += count
    run.outstanding += count
    run.issued += count
    if line.state == UNCONNECTED:
        error = _connect(run, line, now)
        if error != 0:
            _fail(run, line, failure_of(error), now)
            return
    line.send_at = run.starts[run.kind]
    line.send_end = run.starts[run.kind + count]
    run.kind = (run.kind + count) % run.kinds
    error = _flush(run, line)
    if error:
        _fail(run, line, failure_of(error), now)


def go_on(run, line, now):
    """The line may have room for a request: give it what is to be asked."""
    room: int64_t
    if run.interval_ns > 0:
        if not line.listed:
            _make_spare(run, line)
        serve_due(run, now)
        return
    if line.send_at < line.send_end or line.deaf or line.state == CONNECTING:
        return
    # On a connection that is not there yet one request goes first: should it be refused, that is one failure.
    room = run.pipeline - line.outstanding if line.state == OPEN else 1
    if room > run.limit - run.issued:
        room = run.limit - run.issued
    if room > 0:
        _ask(run, line, cython.cast(cython.int, room), now, now)


def serve_due(run, now):
    """Give the requests that are due to lines that can take them."""
    line: cython.pointer(Line)
    due: int64_t = due_by(run, now)
    while run.issued < due and run.spare != cython.NULL:
        line = run.spare
        run.spare = line.next
        line.listed = False
        if line.state != OPEN and line.state != UNCONNECTED:
            # Meanwhile it failed, or ends. It comes back when it has rested or is closed.
            if line.state == RESTING:
                _rest(run, line)
            continue
        if line.deaf or line.send_at < line.send_end or line.outstanding == run.pipeline:
            continue
        _ask(run, line, 1, due_at(run, run.issued), now)
        if run.pipeline > 1 and line.state == OPEN and not line.listed:
            _make_spare(run, line)


# Being answered.


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _complete(run: cython.pointer(Run), line: cython.pointer(Line), now: int64_t) -> cython.void:
    """A whole reply was read."""
    status: cython.int = line.reading.head.status
    if run.counting:
        run.ended += 1
        if run.expected >= 0 and line.reading.body != run.expected and 200 <= status < 300:
            run.failures[WRONG_BODY] += 1
        else:
            run.statuses[status] += 1
            run.body_bytes += line.reading.body
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
def _reconnect(run: cython.pointer(Run), line: cython.pointer(Line)) -> cython.void:
    """The connection has ended as it should: on with another."""
    _close(run, line)
    if run.counting:
        run.reconnects += 1
    go_on(run, line, clock_ns(CLOCK_MONOTONIC))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _finish(run: cython.pointer(Run), line: cython.pointer(Line)) -> cython.bint:
    """The last reply of this connection was read: does the server still have to close it?"""
    # What it was asked beyond that, it will not answer.
    _lose(run, line, EARLY_END)
    if line.reading.head.closes and not line.deaf:
        # It closes first, so that the ports that have to rest (TIME_WAIT) are its, not ours.
        line.state = CLOSING
        line.send_at = line.send_end
        return True
    _reconnect(run, line)
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
            _fail(run, line, MALFORMED, clock_ns(CLOCK_MONOTONIC))
            return False
        used = read_reply(
            cython.address(line.reading), cython.address(run.known), run.buffer + at, size - at, run.is_head
        )
        if used < 0:
            _fail(run, line, MALFORMED, clock_ns(CLOCK_MONOTONIC))
            return False
        at += used
        if line.reading.stage != COMPLETE:
            break
        if now == 0:
            now = clock_ns(CLOCK_MONOTONIC)
        if at < size and line.outstanding == 1 and not line.reading.head.closes:
            # More than was asked for: then this one cannot be trusted either.
            _fail(run, line, MALFORMED, now)
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
            _fail(run, line, failure_of(line.deaf) if line.deaf else EARLY_END, now)
            return
        _complete(run, line, now)
        _lose(run, line, EARLY_END)
    _reconnect(run, line)


def handle(run, line, events):
    """Do what the set told of the line."""
    n: cython.Py_ssize_t
    rounds: cython.int = 0
    if line.fd < 0:
        return  # it was closed while this event waited for its turn
    if line.state == CONNECTING:
        if events & (EPOLLERR | EPOLLHUP):
            _fail(run, line, failure_of(socket_error(line.fd)), clock_ns(CLOCK_MONOTONIC))
            return
        if not events & EPOLLOUT:
            return
        line.state = OPEN
        line.since = clock_ns(CLOCK_MONOTONIC)
        if line.outstanding == 0:
            _watch(run, line, False)
            go_on(run, line, line.since)
            return
    if events & EPOLLOUT and line.send_at < line.send_end:
        if _flush(run, line):
            _fail(run, line, OTHER, clock_ns(CLOCK_MONOTONIC))
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
                _reconnect(run, line)
            else:
                _fail(run, line, failure_of(errno), clock_ns(CLOCK_MONOTONIC))
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
                _reconnect(run, line)
                return
        rounds += 1
        if rounds == ROUNDS:
            _watch(run, line, line.writing)
            return


# Time.


def look_at_times(run, now):
    """End what takes too long."""
    i: cython.int
    line: cython.pointer(Line)
    for i in range(run.nlines):
        line = cython.address(run.lines[i])
        if line.fd < 0:
            continue
        if line.state == CONNECTING:
            if now - line.since > run.connect_ns:
                _fail(run, line, CONNECT_TIMED_OUT, now)
        elif line.state == CLOSING:
            if now - line.since > _CLOSING_NS:
                _reconnect(run, line)
        elif line.outstanding and now - line.since > run.reply_ns:
            _fail(run, line, TIMED_OUT, now)


def wake_rested(run, now):
    """Let the lines that have rested go on."""
    line: cython.pointer(Line) = run.resting
    after: cython.pointer(Line)
    run.resting = cython.NULL
    run.wake_ns = _NEVER
    while line != cython.NULL:
        after = line.next
        if line.since <= now:
            line.state = UNCONNECTED
            line.listed = False
            go_on(run, line, now)
        else:
            line.next = run.resting
            run.resting = line
            if line.since < run.wake_ns:
                run.wake_ns = line.since
        line = after
