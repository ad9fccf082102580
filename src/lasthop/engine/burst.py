# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A burst: many connections that begin at the same moment, and what becomes of each.

What it is for: a full queue refuses at once over a socket file and delays over TCP. All sockets are made beforehand, then one loop connects them without a
pause; each sends one request, reads the reply and closes. Both times run from before connect(): to the connection, and to the reply's last byte.
"""

import errno as numbers
import os
import threading

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.lasthop.engine.histogram import close_histogram, open_histogram, record, sparse
from cython.cimports.lasthop.engine.linux import (
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_MOD,
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    MSG_NOSIGNAL,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    recv,
    send,
)
from cython.cimports.lasthop.engine.poll import clock_ns
from cython.cimports.lasthop.engine.remote import connect_socket, open_socket, read_address, socket_error
from cython.cimports.lasthop.engine.replies import COMPLETE, close_reading, end_reply, read_reply
from cython.cimports.libc.errno import EAGAIN, EALREADY, ECONNREFUSED, EINPROGRESS, EINTR, errno
from cython.cimports.libc.stdint import int64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memset
from cython.cimports.posix.time import CLOCK_MONOTONIC
from cython.cimports.posix.unistd import close

from lasthop.engine.remote import need_descriptors

_SIGNALS_NS = cython.declare(int64_t, 100000000)
_MOST = 1_000_000
_LONGEST = 86400.0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _watch(
    volley: cython.pointer(Volley), shot: cython.pointer(Shot), operation: cython.int, writing: cython.bint
) -> cython.int:
    wanted: epoll_event
    memset(cython.address(wanted), 0, cython.sizeof(epoll_event))
    wanted.events = EPOLLOUT if writing else EPOLLIN
    wanted.data.ptr = shot
    return epoll_ctl(volley.set, operation, shot.fd, cython.address(wanted))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _end(volley: cython.pointer(Volley), shot: cython.pointer(Shot)) -> cython.void:
    close(shot.fd)
    shot.fd = -1
    close_reading(cython.address(shot.reading))
    volley.open -= 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _fail(volley: cython.pointer(Volley), shot: cython.pointer(Shot), number: cython.int) -> cython.void:
    volley.errors[number if 0 < number < NUMBERS else 0] += 1
    _end(volley, shot)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _connected(volley: cython.pointer(Volley), shot: cython.pointer(Shot), now: int64_t) -> cython.void:
    shot.connected = True
    volley.connected += 1
    record(cython.address(volley.connects), now - shot.begun)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _fire(volley: cython.pointer(Volley)) -> cython.void:
    """Connect all, then ask on those that stand already."""
    i: cython.int
    error: cython.int
    shot: cython.pointer(Shot)
    for i in range(volley.nshots):
        shot = cython.address(volley.shots[i])
        shot.begun = clock_ns(CLOCK_MONOTONIC)
        error = connect_socket(cython.address(volley.remote), shot.fd)
        if error == EINPROGRESS:
            # Over loopback it stands by now, most often, and asking again says so; the set would tell only when all have begun.
            error = connect_socket(cython.address(volley.remote), shot.fd)
        if error == 0:
            _connected(volley, shot, clock_ns(CLOCK_MONOTONIC))
        elif error != EALREADY:
            _fail(volley, shot, error)
    for i in range(volley.nshots):
        shot = cython.address(volley.shots[i])
        if shot.fd < 0:
            continue
        if _watch(volley, shot, EPOLL_CTL_ADD, True) < 0:
            _fail(volley, shot, errno)
        elif shot.connected:
            _ask(volley, shot)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _ask(volley: cython.pointer(Volley), shot: cython.pointer(Shot)) -> cython.void:
    """Send the request, as far as the server takes it."""
    n: cython.Py_ssize_t
    while shot.sent < volley.request_bytes:
        n = send(shot.fd, volley.request + shot.sent, volley.request_bytes - shot.sent, MSG_NOSIGNAL)
        if n >= 0:
            shot.sent += cython.cast(cython.size_t, n)
        elif errno == EAGAIN:
            return
        elif errno != EINTR:
            # It may have answered before it went: what is there to be read will tell.
            shot.sent = volley.request_bytes
    _watch(volley, shot, EPOLL_CTL_MOD, False)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _hear(volley: cython.pointer(Volley), shot: cython.pointer(Shot)) -> cython.void:
    n: cython.Py_ssize_t = recv(shot.fd, volley.buffer, BUFFER_BYTES, 0)
    if n < 0:
        if errno != EAGAIN and errno != EINTR:
            _fail(volley, shot, errno)
        return
    if n == 0:
        if not end_reply(cython.address(shot.reading)):
            volley.early_end += 1
            _end(volley, shot)
            return
    elif (
        read_reply(
            cython.address(shot.reading), cython.address(volley.known), volley.buffer, n, volley.is_head
        )
        < 0
    ):
        volley.malformed += 1
        _end(volley, shot)
        return
    if shot.reading.stage == COMPLETE:
        volley.replied += 1
        volley.statuses[shot.reading.head.status] += 1
        record(cython.address(volley.replies), clock_ns(CLOCK_MONOTONIC) - shot.begun)
        _end(volley, shot)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _handle(volley: cython.pointer(Volley), shot: cython.pointer(Shot), events: cython.uint) -> cython.void:
    error: cython.int
    if not shot.connected:
        error = socket_error(shot.fd) if events & (EPOLLERR | EPOLLHUP) else 0
        if error:
            _fail(volley, shot, error)
            return
        _connected(volley, shot, clock_ns(CLOCK_MONOTONIC))
    if shot.sent < volley.request_bytes:
        _ask(volley, shot)
    else:
        _hear(volley, shot)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _collect(volley: cython.pointer(Volley), until: int64_t) -> cython.bint:
    """Go on until the time `until` or a signal: is there nothing more to wait for?"""
    events: epoll_event[TAKEN]
    n: cython.int
    i: cython.int
    now: int64_t
    while True:
        now = clock_ns(CLOCK_MONOTONIC)
        if volley.open == 0 or now >= volley.until_ns:
            return True
        if now >= until:
            return False
        until = until if until < volley.until_ns else volley.until_ns
        n = epoll_wait(volley.set, events, TAKEN, cython.cast(cython.int, (until - now) // 1000000 + 1))
        if n < 0:
            return False
        for i in range(n):
            _handle(volley, cython.cast(cython.pointer(Shot), events[i].data.ptr), events[i].events)


def burst(address, count, request, *, seconds=10.0):
    """Begin `count` connections at once, send `request` on each, and tell what became of them within `seconds`.

    Each is refused, replied, timed out (in whatever it waited for), or something else went wrong: then it stands in `other` by the name of its errno, as
    `early_end` (the server closed before its reply was whole) or as `malformed`.
    """
    i: cython.int
    volley: cython.pointer(Volley)
    is_done: cython.bint = False
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"count is a whole number, not {count!r}")
    if not 1 <= count <= _MOST:
        raise ValueError(f"count is {count}, but it must be 1 to {_MOST}")
    if type(request) is not bytes:
        raise TypeError(f"a request is bytes, not {type(request).__name__}")
    if not request:
        raise ValueError("the request is empty")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"seconds is a number of seconds, not {seconds!r}")
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"seconds is {seconds!r}, but it must be more than 0 and at most a day")
    patience: int64_t = int(seconds * 1e9)
    is_main: cython.bint = threading.current_thread() is threading.main_thread()
    need_descriptors(count)
    volley = cython.cast(cython.pointer(Volley), calloc(1, cython.sizeof(Volley)))
    if volley == cython.NULL:
        raise MemoryError
    try:
        volley.set = -1
        read_address(cython.address(volley.remote), address)
        text: cython.p_const_uchar = request
        volley.request = text
        volley.request_bytes = len(request)
        volley.is_head = request.startswith(b"HEAD ")
        volley.buffer = cython.cast(cython.p_uchar, malloc(BUFFER_BYTES))
        volley.shots = cython.cast(cython.pointer(Shot), calloc(count, cython.sizeof(Shot)))
        if (
            volley.buffer == cython.NULL
            or volley.shots == cython.NULL
            or open_histogram(cython.address(volley.connects)) < 0
            or open_histogram(cython.address(volley.replies)) < 0
        ):
            raise MemoryError(f"a burst of {count} connections has no room")
        volley.set = epoll_create1(EPOLL_CLOEXEC)
        if volley.set < 0:
            raise OSError(errno, f"{os.strerror(errno)}: a burst needs an epoll set")
        for i in range(count):
            volley.shots[i].fd = open_socket(cython.address(volley.remote))
            if volley.shots[i].fd < 0:
                raise OSError(errno, f"{os.strerror(errno)}: no room for socket {i + 1} of {count}")
            volley.nshots += 1
            volley.open += 1
        volley.until_ns = clock_ns(CLOCK_MONOTONIC) + patience
        with cython.nogil:
            _fire(volley)
        while not is_done:
            with cython.nogil:
                is_done = _collect(
                    volley, clock_ns(CLOCK_MONOTONIC) + _SIGNALS_NS if is_main else volley.until_ns
                )
            PyErr_CheckSignals()
        other: dict = {
            numbers.errorcode.get(i, "unknown"): volley.errors[i]
            for i in range(NUMBERS)
            if volley.errors[i] and i not in (ECONNREFUSED, EAGAIN)
        }
        other |= {"early_end": volley.early_end} if volley.early_end else {}
        other |= {"malformed": volley.malformed} if volley.malformed else {}
        return {
            "asked": count,
            "connected": volley.connected,
            "refused": volley.errors[ECONNREFUSED] + volley.errors[EAGAIN],
            "other": other,
            "replied": volley.replied,
            "statuses": {i: volley.statuses[i] for i in range(1000) if volley.statuses[i]},
            "timed_out": volley.open,
            "slowest_connect_ns": volley.connects.max_ns,
            "slowest_reply_ns": volley.replies.max_ns,
            "connect": sparse(cython.address(volley.connects)),
            "reply": sparse(cython.address(volley.replies)),
        }
    finally:
        for i in range(volley.nshots):
            if volley.shots[i].fd >= 0:
                _end(volley, cython.address(volley.shots[i]))
        if volley.set >= 0:
            close(volley.set)
        close_histogram(cython.address(volley.connects))
        close_histogram(cython.address(volley.replies))
        free(volley.shots)
        free(volley.buffer)
        free(volley)
