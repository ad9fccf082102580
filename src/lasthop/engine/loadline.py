# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The connections of a load: each asks, waits for the whole reply and asks again, or waits for the next request that is due.

Knows descriptors, requests as bytes and times. What comes back is read in loadanswers.py, the loop around both is loadloop.py's. All of it is C without Python
objects: it runs without the GIL, and allocates nothing for a request.

**Edge-triggered.** A connection enters the epoll set once. A read that filled less than was offered took all there was; the end of the server's bytes
comes as EPOLLRDHUP. Room to write is only asked for while something waits to be written: over a socket file every read of the server would be told.

**After a failure a line rests**, a millisecond first and up to a hundred, so that a server that refuses is asked now and then, not in a busy loop.
"""

import cython
from cython.cimports.lasthop.engine.linux import (
    EPOLL_CTL_ADD,
    EPOLL_CTL_MOD,
    EPOLLET,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    MSG_NOSIGNAL,
    epoll_ctl,
    epoll_event,
    send,
)
from cython.cimports.lasthop.engine.poll import clock_ns
from cython.cimports.lasthop.engine.remote import (
    CONNECT_TIMED_OUT,
    TIMED_OUT,
    connect_socket,
    failure_of,
    open_socket,
)
from cython.cimports.lasthop.engine.replies import next_reply
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


def watch(run, line, writing):
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


def lose(run, line, failure):
    """What was asked on this line and not answered has failed."""
    if run.counting:
        run.ended += line.outstanding
    if run.counting or run.waiting:
        run.failures[failure] += line.outstanding
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


def fail(run, line, failure, now):
    """The connection is of no use any more: it goes, with all that was asked on it, and the line rests."""
    pause: int64_t = _MS << (line.failures if line.failures < _MOST_DOUBLINGS else _MOST_DOUBLINGS)
    lose(run, line, failure)
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
        watch(run, line, line.state == CONNECTING)
    if line.state != CONNECTING:
        go_on(run, line, now)


# Asking.


def flush(run, line):
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
            watch(run, line, False)
            return 0
    if not line.watched or line.writing != (line.send_at < line.send_end):
        if watch(run, line, line.send_at < line.send_end) < 0:
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
            fail(run, line, failure_of(error), now)
            return
    line.send_at = run.starts[run.kind]
    line.send_end = run.starts[run.kind + count]
    run.kind = (run.kind + count) % run.kinds
    error = flush(run, line)
    if error:
        fail(run, line, failure_of(error), now)


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


def reconnect(run, line):
    """The connection has ended as it should: on with another."""
    _close(run, line)
    if run.counting:
        run.reconnects += 1
    go_on(run, line, clock_ns(CLOCK_MONOTONIC))


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
                fail(run, line, CONNECT_TIMED_OUT, now)
        elif line.state == CLOSING:
            if now - line.since > _CLOSING_NS:
                reconnect(run, line)
        elif line.outstanding and now - line.since > run.reply_ns:
            fail(run, line, TIMED_OUT, now)


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
