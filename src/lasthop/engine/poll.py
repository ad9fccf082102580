# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One epoll set a worker: what is ready, who waits for more, and the accepting of connections.

Knows descriptors, events and connections; no HTTP and no application. All of it is C that needs no Python object, so that a thread may
wait in it without the GIL and the attendant may use its part without ever taking it.

**The ready list.** Every connection is in the set once, edge-triggered, for as long as it lives: no call to epoll for each request. Whoever
finds the list empty takes up to BATCH events from epoll and puts their connections on it; the GIL guards it, so any thread may go on where
another was blocked. An event for a connection that a thread works for is noted on it and looked at when the thread is done (`rest`).

**Edge-triggered** means that whoever handles an event must read until less came than was asked for (`Conn.drained`), or put the
connection back on the list. The end of the peer's bytes comes as EPOLLRDHUP, so that a short read is enough to know.
"""

import cython
from cython.cimports.lasthop.engine.balance import leaves_to_another, level_share
from cython.cimports.lasthop.engine.connection import (
    EXPIRED,
    READY,
    SENDING,
    WAITING,
    Conn,
    close_wheel,
    free_conn,
    open_conn,
    open_wheel,
    set_deadline,
    unplace,
)
from cython.cimports.lasthop.engine.forks import has_forked
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_RELEASE,
    __ATOMIC_SEQ_CST,
    AF_INET,
    AF_INET6,
    AF_UNIX,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_REALTIME_COARSE,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLLERR,
    EPOLLET,
    EPOLLEXCLUSIVE,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    SHUT_RDWR,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    __atomic_compare_exchange_n,
    __atomic_load_n,
    __atomic_store_n,
    accept4,
    atomic_add_u64,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    ntohs,
    pipe2,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    sem_destroy,
    sem_init,
    shutdown,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_storage,
    socklen_t,
)
from cython.cimports.libc.errno import EAGAIN, ECONNABORTED, EINTR, errno
from cython.cimports.libc.stdint import int64_t, uint16_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.libc.time import gmtime_r, strftime, time_t, tm
from cython.cimports.posix.fcntl import O_CLOEXEC, O_NONBLOCK
from cython.cimports.posix.time import clock_gettime, timespec
from cython.cimports.posix.unistd import close, read, write

_BELL = cython.declare(uint64_t, 4096)
"""What the bell's events carry; a listener's carry its place, a connection's its address, which is never so low."""


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
    ready.data.u64 = _BELL
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
    wanted: cython.int = 2 if conn.phase == SENDING else 1
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
    show_open(poll)
    pthread_mutex_unlock(cython.address(poll.wheel.lock))
    free_conn(conn)


def listen_on(poll):
    """Take part in accepting. One of the workers that wait is woken for a new connection, not all (EPOLLEXCLUSIVE)."""
    i: cython.int
    ready: epoll_event
    memset(cython.address(ready), 0, cython.sizeof(epoll_event))
    pthread_mutex_lock(cython.address(poll.accept_lock))
    if not __atomic_load_n(cython.address(poll.draining), __ATOMIC_SEQ_CST):
        for i in range(poll.nlisteners):
            if not poll.listeners[i].listening:
                ready.events = EPOLLIN | EPOLLEXCLUSIVE
                ready.data.u64 = cython.cast(uint64_t, i)
                if epoll_ctl(poll.epoll, EPOLL_CTL_ADD, poll.listeners[i].fd, cython.address(ready)) == 0:
                    poll.listeners[i].listening = True
        __atomic_store_n(cython.address(poll.accepting), 1, __ATOMIC_RELEASE)
        poll.leaving = False
        if poll.board != cython.NULL:
            level_share(poll.board, poll.share)
            __atomic_store_n(cython.address(poll.share.listens), 1, __ATOMIC_SEQ_CST)
    pthread_mutex_unlock(cython.address(poll.accept_lock))


def listen_off(poll):
    """Accept no more, for now or for good."""
    pthread_mutex_lock(cython.address(poll.accept_lock))
    _stop_accepting(poll)
    poll.leaving = False
    _unlisten(poll)
    pthread_mutex_unlock(cython.address(poll.accept_lock))


def leave_accepting(poll):
    """Leave the accepting to others that have less to do, until `listen_on`."""
    pthread_mutex_lock(cython.address(poll.accept_lock))
    if poll.accepting and not poll.leaving:
        poll.leaving = True
        __atomic_store_n(cython.address(poll.share.listens), 0, __ATOMIC_SEQ_CST)
        _unlisten(poll)
    pthread_mutex_unlock(cython.address(poll.accept_lock))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _unlisten(poll: cython.pointer(Poll)) -> cython.void:
    i: cython.int
    for i in range(poll.nlisteners):
        if poll.listeners[i].listening:
            epoll_ctl(poll.epoll, EPOLL_CTL_DEL, poll.listeners[i].fd, cython.NULL)
            poll.listeners[i].listening = False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _stop_accepting(poll: cython.pointer(Poll)) -> cython.void:
    __atomic_store_n(cython.address(poll.accepting), 0, __ATOMIC_RELEASE)
    if poll.board != cython.NULL:
        __atomic_store_n(cython.address(poll.share.listens), 0, __ATOMIC_SEQ_CST)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_ahead(poll: cython.pointer(Poll)) -> cython.bint:
    return poll.now >= poll.insists and leaves_to_another(poll.board, poll.share)


def show_open(poll):
    """Write how many connections are open to where others read it."""
    poll.count[CONNECTIONS] = cython.cast(uint64_t, poll.wheel.open)
    if poll.board != cython.NULL:
        poll.share.open = poll.wheel.open


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _note_address(conn: cython.pointer(Conn), address: cython.pointer(sockaddr_storage)) -> cython.void:
    four: cython.pointer(sockaddr_in)
    six: cython.pointer(sockaddr_in6)
    conn.family = address.ss_family
    if address.ss_family == AF_INET:
        four = cython.cast(cython.pointer(sockaddr_in), address)
        memcpy(conn.raw_address, cython.address(four.sin_addr), 4)
        conn.raw_port = ntohs(four.sin_port)
    elif address.ss_family == AF_INET6:
        six = cython.cast(cython.pointer(sockaddr_in6), address)
        memcpy(conn.raw_address, cython.address(six.sin6_addr), 16)
        conn.raw_port = ntohs(six.sin6_port)


def accept_some(poll, place, most, rescue):
    """Accept at most `most` connections from the listener at `place`: how many came.

    A thread puts them on the ready list, since a request mostly is there already: that way a connection that brings one request and ends
    is never in the epoll set at all. The attendant (`rescue`), which may not touch the list, puts them into the set.
    """
    count: cython.int = 0
    ahead: cython.bint = False
    fd: cython.int
    address: sockaddr_storage
    size: socklen_t
    listener: cython.pointer(Listener) = cython.address(poll.listeners[place])
    conn: cython.pointer(Conn)
    pthread_mutex_lock(cython.address(poll.accept_lock))
    while count < most and __atomic_load_n(cython.address(poll.accepting), __ATOMIC_SEQ_CST):
        if poll.wheel.open >= poll.most_open:
            _stop_accepting(poll)
            break
        # One is taken in any case: the kernel has woken this worker for it, and perhaps no other.
        if count and not rescue and poll.board != cython.NULL and _is_ahead(poll):
            break
        if listener.family == AF_UNIX:
            fd = accept4(listener.fd, cython.NULL, cython.NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        else:
            size = cython.sizeof(sockaddr_storage)
            fd = accept4(
                listener.fd,
                cython.cast(cython.pointer(sockaddr), cython.address(address)),
                cython.address(size),
                SOCK_NONBLOCK | SOCK_CLOEXEC,
            )
        if fd < 0:
            if errno == EINTR or errno == ECONNABORTED:
                continue
            if errno != EAGAIN:
                # No descriptor or memory left: those who want to connect wait in the queue until some connections have ended.
                poll.starved = clock_ns(CLOCK_MONOTONIC_COARSE)
                _stop_accepting(poll)
            break
        conn = open_conn(cython.address(poll.wheel), fd, clock_ns(CLOCK_MONOTONIC_COARSE) + poll.head_ns)
        if conn == cython.NULL:
            close(fd)
            break
        count += 1
        if poll.board != cython.NULL:
            poll.share.open = poll.wheel.open
            poll.share.taken += 1
        conn.listener = cython.cast(uint16_t, place)
        conn.family = cython.cast(uint16_t, listener.family)
        if listener.family != AF_UNIX:
            _note_address(conn, cython.address(address))
        if rescue:
            conn.drained = True
            __atomic_store_n(cython.address(conn.state), WAITING, __ATOMIC_RELEASE)
            if register_conn(poll, conn) < 0:
                close_conn(poll, conn)
        else:
            conn.state = READY
            push(poll, conn)
    if count:
        atomic_add_u64(cython.address(poll.count[ACCEPTED]), cython.cast(uint64_t, count), __ATOMIC_SEQ_CST)
        show_open(poll)
        ahead = poll.board != cython.NULL and not rescue and _is_ahead(poll)
    pthread_mutex_unlock(cython.address(poll.accept_lock))
    if ahead:
        leave_accepting(poll)
    return count


def take_events(poll, events, n):
    """Put what epoll told on the ready list. The GIL, or being the only thread, guards the list."""
    i: cython.int
    state: cython.int
    conn: cython.pointer(Conn)
    event: cython.pointer(epoll_event)
    for i in range(n):
        event = cython.cast(cython.pointer(epoll_event), events) + i
        if event.data.u64 < _BELL:
            accept_some(poll, cython.cast(cython.int, event.data.u64), ACCEPTS, False)
        elif event.data.u64 == _BELL:
            hear(poll.bell)
        else:
            conn = cython.cast(cython.pointer(Conn), event.data.ptr)
            conn.events |= event.events
            if event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
                conn.half_closed = True
            state = WAITING
            if __atomic_compare_exchange_n(
                cython.address(conn.state),
                cython.address(state),
                READY,
                False,
                __ATOMIC_SEQ_CST,
                __ATOMIC_SEQ_CST,
            ):
                push(poll, conn)
            elif state == EXPIRED:
                conn.state = READY
                conn.expired = True
                push(poll, conn)
    return n


def collect(poll, timeout):
    """Take a batch of events, waiting `timeout` ms (-1: until there is one): how many, or -1 with errno."""
    events: epoll_event[BATCH]
    n: cython.int
    if (
        not __atomic_load_n(cython.address(poll.accepting), __ATOMIC_SEQ_CST)
        and not poll.draining
        and poll.wheel.open < poll.most_open
        and poll.now - poll.starved > 100000000
    ):
        listen_off(poll)  # those that `accept_some` left in the set
        listen_on(poll)
    elif not poll.accepting and poll.nlisteners and poll.listeners[0].listening:
        listen_off(poll)
    elif poll.leaving and not _is_ahead(poll):
        listen_on(poll)
    n = epoll_wait(poll.epoll, events, BATCH, timeout)
    refresh_clock(poll)
    return take_events(poll, cython.cast(cython.p_void, events), n) if n > 0 else n
