# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What arrives at a worker: connections at its listeners, and events in its epoll set.

Knows who may have a connection (`peers`), when the accepting is left to another worker (`balance`), and that no memory or descriptor may be left.
No HTTP and no application. Threads and the attendant accept, one at a time (`Poll.accept_lock`); only threads take events.

**Two facts say whether it accepts.** `Poll.accepting`: connections are wanted at all; not while there are as many as may be or no room for
more, and not at the end. `Poll.leaving`: they are wanted, but others are to have them first, so the listeners are out of the set. Who does
not want any does not leave any either. The accept lock guards both.
"""

import cython
from cython.cimports.lasthop.engine.balance import another_has_fewer, leaves_to_another, level_share
from cython.cimports.lasthop.engine.connection import (
    EXPIRED,
    READY,
    WAITING,
    Conn,
    open_conn,
)
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_RELEASE,
    __ATOMIC_SEQ_CST,
    AF_INET,
    AF_INET6,
    AF_UNIX,
    CLOCK_MONOTONIC_COARSE,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLLERR,
    EPOLLEXCLUSIVE,
    EPOLLHUP,
    EPOLLIN,
    EPOLLRDHUP,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    __atomic_compare_exchange_n,
    __atomic_load_n,
    __atomic_store_n,
    accept4,
    atomic_add_u64,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    ntohs,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_storage,
    socklen_t,
)
from cython.cimports.lasthop.engine.peers import Credentials, may_enter, read_credentials
from cython.cimports.lasthop.engine.poll import (
    ACCEPTED,
    ACCEPTS,
    BATCH,
    BELL,
    STRANGERS,
    Listener,
    Poll,
    clock_ns,
    close_conn,
    hear,
    push,
    refresh_clock,
    register_conn,
    show_open,
)
from cython.cimports.libc.errno import EAGAIN, ECONNABORTED, EINTR, errno
from cython.cimports.libc.stdint import uint16_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.posix.unistd import close


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
    _unlisten(poll)
    pthread_mutex_unlock(cython.address(poll.accept_lock))


def listen_anew(poll):
    """Look at the listeners as if for the first time: whoever waits is woken for what is in their queues already."""
    pthread_mutex_lock(cython.address(poll.accept_lock))
    _unlisten(poll)
    pthread_mutex_unlock(cython.address(poll.accept_lock))
    listen_on(poll)


def listen_last(poll):
    """Take the listeners out of the set, so that the kernel wakes others for what comes from now on; then accept what it woke this worker for."""
    i: cython.int
    pthread_mutex_lock(cython.address(poll.accept_lock))
    poll.leaving = False
    _unlisten(poll)
    pthread_mutex_unlock(cython.address(poll.accept_lock))
    for i in range(poll.nlisteners):
        while accept_some(poll, i, BATCH, True):
            pass
    listen_off(poll)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _leave_accepting(poll: cython.pointer(Poll)) -> cython.void:
    """Leave the accepting to others that have less to do, until `listen_on`. The accept lock is held."""
    if poll.accepting and not poll.leaving:
        poll.leaving = True
        __atomic_store_n(cython.address(poll.share.listens), 0, __ATOMIC_SEQ_CST)
        _unlisten(poll)


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
    """Want no connections, neither now nor when the others have caught up. The accept lock is held."""
    __atomic_store_n(cython.address(poll.accepting), 0, __ATOMIC_RELEASE)
    poll.leaving = False
    if poll.board != cython.NULL:
        __atomic_store_n(cython.address(poll.share.listens), 0, __ATOMIC_SEQ_CST)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _starve(poll: cython.pointer(Poll)) -> cython.void:
    """No descriptor or memory is left: those who want to connect wait in the queue until some connections have ended."""
    poll.starved = clock_ns(CLOCK_MONOTONIC_COARSE)
    _stop_accepting(poll)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_ahead(poll: cython.pointer(Poll)) -> cython.bint:
    return (
        poll.board != cython.NULL and poll.now >= poll.insists and leaves_to_another(poll.board, poll.share)
    )


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
    """Accept at most `most` connections from the listener at `place`: how many came, with those that were turned away.

    A thread puts them on the ready list, since a request mostly is there already: that way a connection that brings one request and ends
    is never in the epoll set at all. The attendant (`rescue`), which may not touch the list, puts them into the set.
    """
    count: cython.int = 0
    strangers: cython.int = 0
    ahead: cython.bint = False
    fd: cython.int
    address: sockaddr_storage
    size: socklen_t
    who: Credentials
    listener: cython.pointer(Listener) = cython.address(poll.listeners[place])
    conn: cython.pointer(Conn)
    pthread_mutex_lock(cython.address(poll.accept_lock))
    while count + strangers < most and __atomic_load_n(cython.address(poll.accepting), __ATOMIC_SEQ_CST):
        if poll.wheel.open >= poll.most_open:
            _stop_accepting(poll)
            break
        # One is taken in any case: the kernel has woken this worker for it, and perhaps no other. No more than one at a time while another
        # has fewer: if that one has left the accepting to this worker, it will look again soon.
        if count and not rescue and poll.board != cython.NULL and poll.now >= poll.insists:
            if another_has_fewer(poll.board, poll.share) or leaves_to_another(poll.board, poll.share):
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
                _starve(poll)
            break
        if listener.family == AF_UNIX:
            read_credentials(fd, cython.address(who))
            if not may_enter(cython.address(poll.allowed), fd, cython.address(who)):
                close(fd)
                strangers += 1
                poll.stranger = who
                continue
        conn = open_conn(cython.address(poll.wheel), fd, clock_ns(CLOCK_MONOTONIC_COARSE) + poll.head_ns)
        if conn == cython.NULL:
            close(fd)
            _starve(poll)
            break
        conn.listener = cython.cast(uint16_t, place)
        conn.family = cython.cast(uint16_t, listener.family)
        conn.unproxied = poll.proxied != 0
        if listener.family == AF_UNIX:
            conn.who = who
        else:
            _note_address(conn, cython.address(address))
        if rescue:
            conn.drained = True
            __atomic_store_n(cython.address(conn.state), WAITING, __ATOMIC_RELEASE)
            if register_conn(poll, conn) < 0:
                close_conn(poll, conn)
                _starve(poll)
                break
        else:
            conn.state = READY
            push(poll, conn)
        # Another thread may have ended it by now. Only what was opened is counted, on the board too.
        count += 1
        if poll.board != cython.NULL:
            poll.share.taken += 1
        show_open(poll)
    if count:
        atomic_add_u64(cython.address(poll.count[ACCEPTED]), cython.cast(uint64_t, count), __ATOMIC_SEQ_CST)
        if poll.board != cython.NULL:
            level_share(poll.board, poll.share)
        ahead = not rescue and _is_ahead(poll)
    if strangers:
        atomic_add_u64(
            cython.address(poll.count[STRANGERS]), cython.cast(uint64_t, strangers), __ATOMIC_SEQ_CST
        )
        poll.strangers += cython.cast(uint64_t, strangers)
    if ahead:
        _leave_accepting(poll)
    pthread_mutex_unlock(cython.address(poll.accept_lock))
    return count + strangers


def take_events(poll, events, n):
    """Put what epoll told on the ready list. The GIL, or being the only thread, guards the list."""
    i: cython.int
    state: cython.int
    conn: cython.pointer(Conn)
    event: cython.pointer(epoll_event)
    for i in range(n):
        event = cython.cast(cython.pointer(epoll_event), events) + i
        if event.data.u64 < BELL:
            accept_some(poll, cython.cast(cython.int, event.data.u64), ACCEPTS, False)
        elif event.data.u64 == BELL:
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
