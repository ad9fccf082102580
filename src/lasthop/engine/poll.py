# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One epoll set a worker: what is ready, and who waits for more.

Knows descriptors, events and connections; no HTTP and no application. All of it is C that needs no Python object, so that a thread may
wait in it without the GIL and the attendant may use its part without ever taking it.

**The ready list.** Every connection is in the set once, edge-triggered, for as long as it lives: no call to epoll for each request. Whoever
finds the list empty takes up to BATCH events from epoll and puts their connections on it; the GIL guards it, so any thread may go on where
another was blocked. An event for a connection that a thread works for is noted on it and looked at when the thread is done (`rest`).

**Edge-triggered** means that whoever handles an event must read until less came than was asked for (`Conn.drained`), or put the
connection back on the list. The end of the peer's bytes comes as EPOLLRDHUP, so that a short read is enough to know.
"""

import cython
from cython.cimports.lasthop.engine.connection import (
    CALLED,
    CALLED_SENDING,
    READY,
    SENDING,
    WAITING,
    Conn,
    close_wheel,
    free_conn,
    open_wheel,
    set_deadline,
    unplace,
)
from cython.cimports.lasthop.engine.forks import has_forked
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_RELEASE,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_REALTIME_COARSE,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLLERR,
    EPOLLET,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    SHUT_RDWR,
    SO_LINGER,
    SOL_SOCKET,
    __atomic_store_n,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    linger_time,
    pipe2,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    sem_destroy,
    sem_init,
    setsockopt,
    shutdown,
)
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.libc.time import gmtime_r, strftime, time_t, tm
from cython.cimports.posix.fcntl import O_CLOEXEC, O_NONBLOCK
from cython.cimports.posix.time import clock_gettime, timespec
from cython.cimports.posix.unistd import close, read, write


def clock_ns(clock):
    at: timespec
    clock_gettime(clock, cython.address(at))
    return cython.cast(int64_t, at.tv_sec) * 1000000000 + at.tv_nsec


def refresh_clock(poll):
    """Read the coarse clock (it moves every 1 to 4 ms), and make the Date line anew when its second is over."""
    poll.now = clock_ns(CLOCK_MONOTONIC_COARSE)
    at: timespec
    clock_gettime(CLOCK_REALTIME_COARSE, cython.address(at))
    if at.tv_sec == poll.second:
        return
    poll.second = at.tv_sec
    parts: tm
    seconds: time_t = at.tv_sec
    gmtime_r(cython.address(seconds), cython.address(parts))
    # RFC 9110, 5.6.7. The process keeps the C locale for time unless the application changes it, so days and months are spelled out.
    memcpy(poll.date, b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 38)
    days: cython.p_const_char = b"SunMonTueWedThuFriSat"
    months: cython.p_const_char = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    memcpy(poll.date + 6, days + 3 * parts.tm_wday, 3)
    strftime(poll.date + 11, 4, b"%d ", cython.address(parts))
    memcpy(poll.date + 14, months + 3 * parts.tm_mon, 3)
    strftime(poll.date + 17, 20, b" %Y %H:%M:%S GMT\r", cython.address(parts))
    poll.date[35] = 0x0D
    poll.date[36] = 0x0A


def open_poll(poll):
    """Make the epoll set and what belongs to it: 0, or -1 with errno."""
    ready: epoll_event
    memset(cython.address(ready), 0, cython.sizeof(epoll_event))
    poll.epoll = epoll_create1(EPOLL_CLOEXEC)
    ends: cython.int[2]
    if poll.epoll < 0 or pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0:
        return -1
    poll.bell = ends[0]
    poll.bell_end = ends[1]
    if pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0:
        return -1
    poll.attendant_bell = ends[0]
    poll.attendant_bell_end = ends[1]
    ready.events = EPOLLIN
    ready.data.u64 = BELL
    if epoll_ctl(poll.epoll, EPOLL_CTL_ADD, poll.bell, cython.address(ready)) < 0:
        return -1
    refresh_clock(poll)
    open_wheel(cython.address(poll.wheel), poll.now)
    pthread_mutex_init(cython.address(poll.accept_lock), cython.NULL)
    pthread_mutex_init(cython.address(poll.held_lock), cython.NULL)
    sem_init(cython.address(poll.parking), 0, 0)
    return 0


def close_poll(poll):
    close(poll.epoll)
    close(poll.bell)
    close(poll.bell_end)
    close(poll.attendant_bell)
    close(poll.attendant_bell_end)
    close_wheel(cython.address(poll.wheel))
    pthread_mutex_destroy(cython.address(poll.accept_lock))
    pthread_mutex_destroy(cython.address(poll.held_lock))
    sem_destroy(cython.address(poll.parking))


def ring(bell):
    byte: cython.char = 0
    if write(bell, cython.address(byte), 1) < 0:
        return  # the pipe is full, which is as good as rung


def hear(bell):
    bytes_: cython.char[256]
    while read(bell, bytes_, 256) == 256:
        pass


def push(poll, conn):
    conn.next = cython.NULL
    if poll.last == cython.NULL:
        poll.first = conn
    else:
        poll.last.next = conn
    poll.last = conn


def pop(poll):
    conn: cython.pointer(Conn) = poll.first
    if conn != cython.NULL:
        poll.first = conn.next
        if poll.first == cython.NULL:
            poll.last = cython.NULL
    return conn


def register_conn(poll, conn):
    """See that the set tells of what `conn` waits for: 0, or -1 with errno."""
    ready: epoll_event
    wanted: cython.int = 2 if conn.phase == SENDING or conn.phase == CALLED_SENDING else 1
    if conn.registered == wanted:
        return 0
    memset(cython.address(ready), 0, cython.sizeof(epoll_event))
    # Room to write is asked for only while a reply waits for it: else each reply that a peer takes would be an event.
    ready.events = EPOLLIN | EPOLLRDHUP | EPOLLET
    if wanted == 2:
        ready.events |= EPOLLOUT
    ready.data.ptr = conn
    before: cython.int = conn.registered
    # First the note: as soon as the set has it, another thread may take the connection, end it and free it.
    conn.registered = wanted
    if epoll_ctl(poll.epoll, EPOLL_CTL_MOD if before else EPOLL_CTL_ADD, conn.fd, cython.address(ready)) < 0:
        conn.registered = before
        return -1
    return 0


def rest(poll, conn, phase, patience):
    """The thread is done with `conn` for now: it waits in `phase`, at most `patience` ns from now on, or is ready again at once."""
    poll.now = clock_ns(CLOCK_MONOTONIC_COARSE)  # the application may have taken its time
    rest_until(poll, conn, phase, poll.now + patience)


def rest_until(poll, conn, phase, deadline):
    """As `rest`, until `deadline`. The last that is done in a turn: afterwards another thread may have `conn`, or have freed it."""
    more: cython.bint
    conn.phase = phase
    set_deadline(cython.address(poll.wheel), conn, deadline)
    if phase == SENDING:
        more = (conn.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0
    elif phase >= CALLED:
        more = conn.events != 0
    else:
        more = conn.events != 0 or not conn.drained or conn.half_closed
    if not more:
        # First the state, then epoll: an event that comes between finds a connection that waits.
        __atomic_store_n(cython.address(conn.state), WAITING, __ATOMIC_RELEASE)
        if register_conn(poll, conn) == 0:
            return
        conn.expired = True  # the set has no room for it: whoever takes it from the list ends it
    __atomic_store_n(cython.address(conn.state), READY, __ATOMIC_RELEASE)
    push(poll, conn)


def rearm(poll, conn):
    """Have the set tell of `conn` anew, of everything. The wheel is locked, so the connection is open."""
    ready: epoll_event
    memset(cython.address(ready), 0, cython.sizeof(epoll_event))
    ready.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
    ready.data.ptr = conn
    epoll_ctl(poll.epoll, EPOLL_CTL_MOD, conn.fd, cython.address(ready))


def close_conn(poll, conn):
    """End `conn`: out of the set, closed, freed. Its Python objects have been let go."""
    # Under the wheel's lock, so that the attendant never acts on a number that has been given to another connection.
    pthread_mutex_lock(cython.address(poll.wheel.lock))
    # close() alone would leave it in the set for as long as another process has a copy of the descriptor (an application that forks).
    if conn.registered:
        epoll_ctl(poll.epoll, EPOLL_CTL_DEL, conn.fd, cython.NULL)
    if has_forked():
        shutdown(conn.fd, SHUT_RDWR)
    close(conn.fd)
    unplace(cython.address(poll.wheel), conn)
    poll.wheel.open -= 1
    _write_open(poll)
    pthread_mutex_unlock(cython.address(poll.wheel.lock))
    free_conn(conn)


def end_by_reset(conn):
    """When `conn` is closed, tell its peer that it broke off. TCP can; over a UNIX socket it is an end like any other."""
    at_once: linger_time
    at_once.l_onoff = 1
    at_once.l_linger = 0
    setsockopt(conn.fd, SOL_SOCKET, SO_LINGER, cython.address(at_once), cython.sizeof(linger_time))


def show_open(poll):
    """Write how many connections are open to where others read it; under the lock, so that whoever counted last writes last."""
    pthread_mutex_lock(cython.address(poll.wheel.lock))
    _write_open(poll)
    pthread_mutex_unlock(cython.address(poll.wheel.lock))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _write_open(poll: cython.pointer(Poll)) -> cython.void:
    poll.count[CONNECTIONS] = cython.cast(uint64_t, poll.wheel.open)
    if poll.board != cython.NULL:
        poll.share.open = poll.wheel.open
