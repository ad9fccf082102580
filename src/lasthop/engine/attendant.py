# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The attendant: one small native thread a worker that never takes the GIL.

It sees what no Python thread can see while the application has them all: that those running are blocked, and one that is parked should
take over; that connections wait in the listener's queue (a full one refuses at once over `unix:`); that a peer was too slow; that finished
replies are held back for too long; that no thread has turned for long (the supervisor reads that from the slot).

While there is work it looks around every two milliseconds; in the quiet it dozes, and the first thread that leaves its wait rings it awake.

**When a running thread is parked again** (`Poll.surplus`): the process has used its CPU time and turned in every tick for 10 ms. A thread would
else park only when it finds nothing ready, which under load is never, and those woken in one slow moment would contend for the GIL for ever.

**When a parked thread is woken** (`_watch`): nobody waits for events, and either the process used less than half the CPU time of the tick, so
those running are blocked, or nothing has ended for 5 ms, so one of them computes long. What looks simpler failed when measured: waking when a
thread has been in the application for longer than a tick lets everything stand still at 1 ms of sleep; waking when *one* has been there for 5 ms
sets threads that only wait for the GIL against each other.
"""

import cython
from cython.cimports.lasthop.engine.arrivals import accept_some, listen_anew, listen_on
from cython.cimports.lasthop.engine.balance import (
    another_is_ready,
    is_asked_more,
    leaves_to_another,
    taken_by_all,
)
from cython.cimports.lasthop.engine.connection import (
    BODY,
    CALLED,
    CALLED_BODY,
    EXPIRED,
    FIRST,
    HEAD,
    IDLE,
    SPOKES,
    TICK_NS,
    WAITING,
    Conn,
    place,
)
from cython.cimports.lasthop.engine.hold import FOR_LONG, HOLD_NS, IN_GROUPS, NOT_HELD, send_all_held
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_SEQ_CST,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_PROCESS_CPUTIME_ID,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_PEEK,
    POLLIN,
    SHUT_RD,
    SHUT_RDWR,
    SIG_SETMASK,
    __atomic_compare_exchange_n,
    __atomic_load_n,
    __atomic_store_n,
    atomic_add_u64,
    pollfd,
    ppoll,
    pthread_create,
    pthread_join,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    pthread_setname_np,
    pthread_sigmask,
    recv,
    sem_post,
    send,
    shutdown,
    sigfillset,
    sigset_t,
)
from cython.cimports.lasthop.engine.poll import (
    ACCEPTED,
    ACCEPTS,
    MOST_LISTENERS,
    PROMOTED,
    REQUESTS,
    RESCUED,
    TIMED_OUT,
    TURNED_NS,
    Poll,
    clock_ns,
    hear,
    rearm,
    ring,
)
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.libc.string import strlen
from cython.cimports.posix.time import CLOCK_MONOTONIC, timespec

_MS = cython.declare(int64_t, 1000000)
_PROOF_NS = cython.declare(int64_t, 500000000)
"""How long a thread may be in the application, nothing else happening, before the one that waits must show that it can still get the GIL."""
_CALM_NS = cython.declare(int64_t, 10000000)
"""After so long of nothing but computing one thread is enough: those that were woken when others were blocked park again, one a tick."""
_COMPARE_NS = cython.declare(int64_t, 100000000)
"""How often the workers' requests are compared; at most one kept connection moves each time."""
_OVERDUE_NS = cython.declare(int64_t, 4000000)
"""How long connections may wait for those that they are left to, before one that is free takes them all the same."""
_OVERDUE_MOST_NS = cython.declare(int64_t, 20000000)
"""The same for one that is busy: what it takes will wait for its threads, but a full queue refuses."""
_INSIST_NS = cython.declare(int64_t, 20000000)
"""How long one that is busy accepts whatever the others have, when those that are not did not come for a connection."""
_INSIST_MOST_NS = cython.declare(int64_t, 100000000)
"""How long at most one that is not busy does, when that happens again and again; at first it takes no more than what waits."""
_FORGET_NS = cython.declare(int64_t, 500000000)
"""After so long without it, it is as if for the first time."""
_LONG_NS = cython.declare(int64_t, 30000)
"""An application that takes longer than this for a request has its replies held back until nothing is ready."""


def start_attendant(poll):
    """Start the thread: 0, or an errno. It gets no signals: those are the main thread's."""
    every: sigset_t
    before: sigset_t
    result: cython.int
    if poll.attended:
        return 0
    sigfillset(cython.address(every))
    pthread_sigmask(SIG_SETMASK, cython.address(every), cython.address(before))
    result = pthread_create(
        cython.address(poll.attendant), cython.NULL, _attend, cython.cast(cython.p_void, poll)
    )
    pthread_sigmask(SIG_SETMASK, cython.address(before), cython.NULL)
    if result == 0:
        poll.attended = True
        pthread_setname_np(poll.attendant, b"lasthop-attend")
    return result


def end_attendant(poll):
    """End the thread and wait for it. Nobody is in serve() any more."""
    if poll.attended:
        poll.attendant_ends = True
        ring(poll.attendant_bell_end)
        pthread_join(poll.attendant, cython.NULL)
        poll.attended = False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _attend(arg: cython.p_void) -> cython.p_void:
    poll: cython.pointer(Poll) = cython.cast(cython.pointer(Poll), arg)
    now: int64_t = clock_ns(CLOCK_MONOTONIC)
    before: int64_t = now
    cpu: int64_t = clock_ns(CLOCK_PROCESS_CPUTIME_ID)
    used: int64_t
    turns: uint64_t = poll.turns
    turned: int64_t = now  # when `turns` last moved
    free: int64_t = now  # when a thread last waited, or turned: one that is woken for what another worker took has done neither
    hurry: int64_t = 0  # until when to look around often: a thread was woken because others were blocked
    quiet: int64_t = now  # since when somebody waits for events, and nothing happens
    calm: int64_t = now  # since when the threads have only computed, turning all the time
    asked: int64_t = now  # when the thread that waits was last asked to turn
    doze: cython.bint
    bound: cython.bint  # the process used its processor all the time
    busy: cython.bint  # nobody waits for events, and no thread has turned for a while
    ticked: cython.bint
    alone: cython.bint  # all threads are busy, and the other workers too: the attendant accepts
    waiting: cython.int
    coarse: int64_t
    compared: int64_t = now  # when the worker's requests were last compared with the others'
    requests: uint64_t = poll.count[REQUESTS]  # at that time
    poll.count[TURNED_NS] = cython.cast(uint64_t, now)
    while not poll.attendant_ends:
        waiting = (
            not _is_due(poll)
            if poll.looped
            else __atomic_load_n(cython.address(poll.waiting), __ATOMIC_SEQ_CST)
        )
        if poll.turns != turns:
            turned = now
        if waiting or poll.turns != turns:
            free = now
        if (waiting and not poll.looped) or poll.turns != turns or not poll.serving:
            poll.count[TURNED_NS] = cython.cast(uint64_t, now)
        if not waiting or poll.turns != turns:
            quiet = now
        if (
            waiting
            and now - turned > (_PROOF_NS // 2 if poll.looped else _PROOF_NS)
            and now - asked > (_PROOF_NS // 2 if poll.looped else _PROOF_NS)
            and (
                poll.looped
                or poll.serving - __atomic_load_n(cython.address(poll.parked), __ATOMIC_SEQ_CST) > 1
            )
        ):
            asked = now
            ring(poll.bell_end)
        coarse = clock_ns(CLOCK_MONOTONIC_COARSE)
        ticked = coarse // TICK_NS > poll.wheel.turned
        if ticked:
            _turn_wheel(poll, coarse)
        busy = not waiting and now - turned > 5 * _MS
        if poll.leaving or busy or poll.seen or ticked:
            _look_after(poll, now, coarse, busy)
        if poll.board != cython.NULL:
            __atomic_store_n(
                cython.address(poll.share.ready),
                not poll.draining and poll.serving and now - free <= 5 * _MS,
                __ATOMIC_SEQ_CST,
            )
            if now - compared > _COMPARE_NS:
                _compare(poll, now - compared, poll.count[REQUESTS] - requests)
                requests = poll.count[REQUESTS]
                compared = now
        alone = False
        used = clock_ns(CLOCK_PROCESS_CPUTIME_ID)
        if (not waiting or poll.looped) and poll.serving and now > before:
            bound = (used - cpu) * 5 >= (now - before) * 4
            if _watch(poll, now - before, used - cpu, now - turned):
                hurry = now + 5 * _MS
                calm = now
            if not bound:
                poll.holding = NOT_HELD
            else:
                poll.holding = (
                    FOR_LONG
                    if now - before > cython.cast(int64_t, poll.turns - turns) * _LONG_NS
                    else IN_GROUPS
                )
            # More than one processor in use: they compute without the GIL, and not in each other's way.
            if not bound or (used - cpu) * 4 > (now - before) * 5 or poll.turns == turns:
                calm = now
            poll.surplus = now - calm > _CALM_NS
            # One that is busy leaves new connections to those that are not: they are woken as soon as one comes.
            if busy and (
                poll.board == cython.NULL
                or coarse < poll.insists
                or not another_is_ready(poll.board, poll.share)
            ):
                _rescue(poll)
                alone = True
        if poll.nheld and now - poll.held_since > HOLD_NS:
            send_all_held(poll)
        if (
            not poll.accepting
            and not poll.draining
            and poll.wheel.open < poll.most_open
            and coarse - poll.starved > 100 * _MS
        ):
            ring(poll.bell_end)  # whoever waits takes up accepting again
        turns = poll.turns
        before = now
        cpu = used
        # Whoever was just asked to turn is seen to turn before the next doze.
        doze = now - quiet > 20 * _MS and poll.seen == 0 and asked != now
        now = _sleep(poll, now, now < hurry, doze, alone)
    return cython.NULL


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _sleep(
    poll: cython.pointer(Poll), now: int64_t, hurry: cython.bint, doze: cython.bint, alone: cython.bint
) -> int64_t:
    """Sleep a tick, or doze; the time afterwards."""
    bells: pollfd[65]  # MOST_LISTENERS, and the bell
    n: cython.int = 1
    patience: timespec
    patience.tv_sec = 0
    # Whoever has left the accepting to others looks sooner whether it is its turn again.
    patience.tv_nsec = 100000 if hurry else 500000 if poll.leaving else 2000000
    if doze:
        __atomic_store_n(cython.address(poll.dozing), 1, __ATOMIC_SEQ_CST)
        if poll.looped or __atomic_load_n(cython.address(poll.waiting), __ATOMIC_SEQ_CST):
            if poll.wheel.open or not poll.accepting:
                patience.tv_nsec = TICK_NS
            else:
                patience.tv_sec = 1
                patience.tv_nsec = 0
    bells[0].fd = poll.attendant_bell
    bells[0].events = POLLIN
    bells[0].revents = 0
    if (alone or (doze and poll.leaving)) and poll.accepting and not poll.draining:
        n += _listeners(poll, bells + 1)
    if ppoll(bells, n, cython.address(patience), cython.NULL) > 0 and bells[0].revents:
        hear(poll.attendant_bell)
    __atomic_store_n(cython.address(poll.dozing), 0, __ATOMIC_SEQ_CST)
    return clock_ns(CLOCK_MONOTONIC)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_due(poll: cython.pointer(Poll)) -> cython.bint:
    """Has the epoll set something to tell that the event loop has not come for?"""
    looked_at: pollfd
    at_once: timespec
    at_once.tv_sec = 0
    at_once.tv_nsec = 0
    looked_at.fd = poll.epoll
    looked_at.events = POLLIN
    looked_at.revents = 0
    return ppoll(cython.address(looked_at), 1, cython.address(at_once), cython.NULL) > 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _listeners(poll: cython.pointer(Poll), looked_at: cython.pointer(pollfd)) -> cython.int:
    """Fill in the listeners: how many."""
    i: cython.int
    for i in range(poll.nlisteners):
        looked_at[i].fd = poll.listeners[i].fd
        looked_at[i].events = POLLIN
        looked_at[i].revents = 0
    return poll.nlisteners


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _look_after(poll: cython.pointer(Poll), now: int64_t, coarse: int64_t, busy: cython.bint) -> cython.void:
    """See that somebody takes what comes: those to whom it was left, or whom the kernel woke for it."""
    looked_at: pollfd[MOST_LISTENERS]
    at_once: timespec
    taken: int64_t
    at_once.tv_sec = 0
    at_once.tv_nsec = 0
    if poll.leaving and not leaves_to_another(poll.board, poll.share):
        listen_on(poll)
        poll.seen = 0
        return
    if (
        poll.draining
        or not poll.accepting
        or ppoll(looked_at, _listeners(poll, looked_at), cython.address(at_once), cython.NULL) <= 0
    ):
        poll.seen = 0
        return
    taken = (
        cython.cast(int64_t, poll.count[ACCEPTED]) if poll.board == cython.NULL else taken_by_all(poll.board)
    )
    if poll.seen == 0 or taken != poll.seen_taken:
        # The queue is not empty, but somebody is at it.
        poll.seen = now
        poll.seen_taken = taken
        return
    if now - poll.seen < (_OVERDUE_MOST_NS if busy else _OVERDUE_NS):
        return
    poll.seen = 0
    if poll.leaving or busy:
        # One that was only slow to come gets the next one again. One that never comes holds up fewer and fewer.
        poll.insists_ns = (
            0
            if now - poll.overdue > _FORGET_NS
            else min(2 * poll.insists_ns + _INSIST_NS // 4, _INSIST_MOST_NS)
        )
        poll.overdue = now
        poll.insists = coarse + (max(poll.insists_ns, _INSIST_NS) if busy else poll.insists_ns)
    if poll.leaving:
        listen_on(poll)
    elif not busy:
        # The kernel has woken one worker for it, and that one was killed before it came.
        listen_anew(poll)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _compare(poll: cython.pointer(Poll), took: int64_t, requests: uint64_t) -> cython.void:
    """When the kept connections of this worker are the busier ones, let go of one."""
    rate: int64_t = cython.cast(int64_t, requests) * 1000000000 // took
    poll.share.rate = (3 * poll.share.rate + rate) // 4
    if is_asked_more(poll.board, poll.share) and poll.wheel.open > 1:
        __atomic_store_n(cython.address(poll.shedding), 1, __ATOMIC_SEQ_CST)
    else:
        __atomic_store_n(cython.address(poll.shedding), 0, __ATOMIC_SEQ_CST)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _watch(poll: cython.pointer(Poll), tick: int64_t, used: int64_t, still: int64_t) -> cython.bint:
    """Nobody waits for events: wake a parked thread if those that run are blocked, or compute long. True when one was woken."""
    parked: cython.int
    if used * 2 >= tick and still < 5 * _MS:
        return False
    parked = __atomic_load_n(cython.address(poll.parked), __ATOMIC_SEQ_CST)
    while parked > 0:
        if __atomic_compare_exchange_n(
            cython.address(poll.parked),
            cython.address(parked),
            parked - 1,
            False,
            __ATOMIC_SEQ_CST,
            __ATOMIC_SEQ_CST,
        ):
            poll.count[PROMOTED] += 1
            sem_post(cython.address(poll.parking))
            return True
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _rescue(poll: cython.pointer(Poll)) -> cython.void:
    """No thread has turned for a while: take connections out of the listeners' queues, so that these do not fill up."""
    i: cython.int
    count: cython.int
    rounds: cython.int
    if poll.draining or not poll.accepting:
        return
    for i in range(poll.nlisteners):
        rounds = 0
        count = ACCEPTS * 8
        while count == ACCEPTS * 8 and rounds < 16:
            rounds += 1
            count = accept_some(poll, i, ACCEPTS * 8, True)
            poll.count[RESCUED] += cython.cast(uint64_t, count)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _turn_wheel(poll: cython.pointer(Poll), now: int64_t) -> cython.void:
    """Look at the connections whose tick has come, and shut down those whose time is over."""
    tick: int64_t = now // TICK_NS
    conn: cython.pointer(Conn)
    after: cython.pointer(Conn)
    pthread_mutex_lock(cython.address(poll.wheel.lock))
    if tick - poll.wheel.turned > SPOKES:
        poll.wheel.turned = tick - SPOKES
    while poll.wheel.turned < tick:
        poll.wheel.turned += 1
        conn = poll.wheel.spokes[poll.wheel.turned % SPOKES]
        poll.wheel.spokes[poll.wheel.turned % SPOKES] = cython.NULL
        while conn != cython.NULL:
            after = conn.after
            if conn.deadline <= now:
                _expire(poll, conn)
            place(cython.address(poll.wheel), conn)
            conn = after
    pthread_mutex_unlock(cython.address(poll.wheel.lock))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _expire(poll: cython.pointer(Poll), conn: cython.pointer(Conn)) -> cython.void:
    """The time of `conn` is over: shut it down, unless somebody has it. The thread that sees its end closes and frees it."""
    byte: cython.char
    state: cython.int = WAITING
    phase: cython.int = conn.phase
    if __atomic_load_n(cython.address(conn.state), __ATOMIC_SEQ_CST) != WAITING:
        return
    if phase == CALLED:
        conn.deadline += cython.cast(int64_t, TICK_NS) * SPOKES  # a coroutine may take its time
        return
    # What the peer has sent meanwhile is there, only no thread has come to it: that is not the peer's fault. Nor may it wait for ever, should the
    # event for it have been lost (urgent data and descriptors in a message make a read end early): the set is asked once more.
    if (phase == FIRST or phase == HEAD or phase == BODY or phase == IDLE or phase == CALLED_BODY) and recv(
        conn.fd, cython.address(byte), 1, MSG_PEEK | MSG_DONTWAIT
    ) > 0:
        rearm(poll, conn)
        return
    if not __atomic_compare_exchange_n(
        cython.address(conn.state), cython.address(state), EXPIRED, False, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST
    ):
        return
    atomic_add_u64(cython.address(poll.count[TIMED_OUT]), 1, __ATOMIC_SEQ_CST)
    if phase == HEAD or phase == BODY:
        too_slow: cython.p_const_char = (
            b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        send(conn.fd, too_slow, strlen(too_slow), MSG_DONTWAIT | MSG_NOSIGNAL)
    # Who waits for a body may still say so to the peer.
    shutdown(conn.fd, SHUT_RD if phase == CALLED_BODY else SHUT_RDWR)
