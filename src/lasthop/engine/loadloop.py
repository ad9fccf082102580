# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The loop of a load, from the warm-up through the measured window to the last replies, and what is read at the window's two ends.

Knows the clock, the epoll set and the stages of a run; what is done on a connection is loadline.py's. C without Python objects, as there.
"""

import cython
from cython.cimports.lasthop.engine.linux import (
    CLOCK_THREAD_CPUTIME_ID,
    POLLIN,
    epoll_event,
    epoll_wait,
    pollfd,
    ppoll,
    syscall,
)
from cython.cimports.lasthop.engine.loadanswers import handle
from cython.cimports.lasthop.engine.loadline import (
    Line,
    Run,
    due_at,
    due_by,
    go_on,
    look_at_times,
    open_line,
    serve_due,
    wake_rested,
)
from cython.cimports.lasthop.engine.poll import clock_ns
from cython.cimports.libc.errno import ENOSYS, EPERM, errno
from cython.cimports.libc.stdint import int64_t
from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec

_SETTLE_NS = cython.declare(int64_t, 100000000)
"""How long after the window replies are still read, uncounted, so that the server is not left with broken connections.

A window that waits does so until each has its reply or has timed out.
"""
_NEVER = cython.declare(int64_t, (1 << 63) - 1)
_EPOLL_PWAIT2 = cython.declare(cython.long, 441)
"""The system call's number, the same on all processors; glibc has a name for it from 2.35 on."""
_MASK_BYTES = cython.declare(cython.long, 8)

_has_pwait2 = cython.declare(cython.bint, True)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _wait(
    epoll: cython.int, events: cython.pointer(epoll_event), most: cython.int, patience: int64_t
) -> cython.int:
    """epoll_wait with a time-out in ns where the kernel has it (5.11), else with the help of ppoll."""
    global _has_pwait2
    n: cython.int
    until: int64_t[2]
    limit: timespec
    waiting: pollfd
    if patience <= 0:
        return epoll_wait(epoll, events, most, 0)
    if _has_pwait2:
        until[0] = patience // 1000000000
        until[1] = patience % 1000000000
        n = cython.cast(
            cython.int,
            syscall(_EPOLL_PWAIT2, epoll, events, most, cython.address(until[0]), cython.NULL, _MASK_BYTES),
        )
        if n >= 0 or errno != ENOSYS and errno != EPERM:
            return n
        _has_pwait2 = False
    limit.tv_sec = patience // 1000000000
    limit.tv_nsec = patience % 1000000000
    waiting.fd = epoll
    waiting.events = POLLIN
    waiting.revents = 0
    n = ppoll(cython.address(waiting), 1, cython.address(limit), cython.NULL)
    return n if n <= 0 else epoll_wait(epoll, events, most, 0)


# The window.


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _cpu_ns(clock: cython.int) -> int64_t:
    """What a CPU clock says, or -1."""
    at: timespec
    if clock == 0 or clock_gettime(clock, cython.address(at)) != 0:
        return -1
    return cython.cast(int64_t, at.tv_sec) * 1000000000 + at.tv_nsec


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _open_window(run: cython.pointer(Run), window: cython.pointer(Window)) -> cython.void:
    i: cython.int
    window.stage = MEASURING
    for i in range(window.pids):
        window.used[i] = _cpu_ns(window.clocks[i])
    window.busy_ns = _cpu_ns(CLOCK_THREAD_CPUTIME_ID)
    window.begin_ns = clock_ns(CLOCK_MONOTONIC)
    window.until_ns = window.begin_ns + window.length_ns
    if run.interval_ns > 0:
        window.due_before = due_by(run, window.begin_ns)
    if window.most:
        # What is under way will end in the window, and is one of them.
        run.limit = run.issued + (window.most - run.outstanding if window.most > run.outstanding else 0)
    if window.waits:
        run.timed_from = window.begin_ns
    run.counting = True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _close_window(run: cython.pointer(Run), window: cython.pointer(Window)) -> cython.void:
    i: cython.int
    cpu: int64_t
    due: int64_t = 0
    line: cython.pointer(Line)
    run.counting = False
    window.stage = SETTLING
    window.end_ns = clock_ns(CLOCK_MONOTONIC)
    run.waiting = window.waits
    window.until_ns = window.end_ns + (run.connect_ns + run.reply_ns if window.waits else _SETTLE_NS)
    for i in range(window.pids):
        cpu = _cpu_ns(window.clocks[i])
        window.used[i] = cpu - window.used[i] if cpu >= 0 and window.used[i] >= 0 else -1
    window.busy_ns = _cpu_ns(CLOCK_THREAD_CPUTIME_ID) - window.busy_ns
    window.unanswered = run.outstanding
    for i in range(run.nlines):
        line = cython.address(run.lines[i])
        if line.outstanding and window.end_ns - line.begun[line.oldest] > window.pending_ns:
            window.pending_ns = window.end_ns - line.begun[line.oldest]
    if run.interval_ns > 0:
        due = due_by(run, window.end_ns)
        if due > window.due_before:
            window.planned = due - window.due_before
        if due > run.issued:
            window.unanswered += due - run.issued
            if window.end_ns - due_at(run, run.issued) > window.pending_ns:
                window.pending_ns = window.end_ns - due_at(run, run.issued)
    run.limit = run.issued
    if window.waits and due > run.issued:
        run.limit = due


# The loop.


def start(run, window, warm):
    """Let every line begin."""
    i: cython.int
    run.start_ns = _NEVER
    if run.interval_ns > 0:
        for i in range(run.nlines):
            if run.keep_alive:
                open_line(run, cython.address(run.lines[i]))
            else:
                go_on(run, cython.address(run.lines[i]), 0)
    if warm == 0:
        _open_window(run, window)
        run.start_ns = window.begin_ns
    else:
        run.start_ns = clock_ns(CLOCK_MONOTONIC)
        window.until_ns = run.start_ns + warm
    if run.interval_ns == 0:
        for i in range(run.nlines):
            go_on(run, cython.address(run.lines[i]), clock_ns(CLOCK_MONOTONIC))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_over(run: cython.pointer(Run), window: cython.pointer(Window), now: int64_t) -> cython.bint:
    """Has the stage ended?"""
    if now >= window.until_ns:
        return True
    if window.stage == MEASURING:
        return window.most != 0 and run.ended >= window.most
    return window.stage == SETTLING and run.outstanding == 0 and run.issued >= run.limit


def drive(run, window, until):
    """Ask and hear until all is done, or until the time `until` or a signal: is all done?"""
    events: epoll_event[BATCH]
    n: cython.int
    i: cython.int
    now: int64_t
    alarm: int64_t
    while True:
        now = clock_ns(CLOCK_MONOTONIC)
        if _is_over(run, window, now):
            if window.stage == WARMING:
                _open_window(run, window)
            elif window.stage == MEASURING:
                _close_window(run, window)
            else:
                return True
            continue
        if now >= until:
            return False
        if now >= window.look_ns:
            look_at_times(run, now)
            window.look_ns = now + window.tick_ns
        if now >= run.wake_ns:
            wake_rested(run, now)
        alarm = until if until < window.until_ns else window.until_ns
        if run.interval_ns > 0:
            serve_due(run, now)
            if run.spare != cython.NULL and run.issued < run.limit and due_at(run, run.issued) < alarm:
                alarm = due_at(run, run.issued)
        if window.look_ns < alarm:
            alarm = window.look_ns
        if run.wake_ns < alarm:
            alarm = run.wake_ns
        n = _wait(run.set, events, BATCH, alarm - now)
        if n < 0:
            return False
        for i in range(n):
            if events[i].data.ptr != cython.NULL:
                handle(run, cython.cast(cython.pointer(Line), events[i].data.ptr), events[i].events)
                continue
            # stop()
            if window.stage == WARMING:
                _open_window(run, window)
            if window.stage == MEASURING:
                _close_window(run, window)
            return True
