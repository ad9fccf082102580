# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Finished replies that are held back for a moment, to be sent with others of their batch.

A send that wakes a sleeping peer costs more than the rest of it (10 to 14 us on a virtual machine); replies that are sent together wake it once.
Whether it pays is for the attendant to see (`Poll.holding`). Where the application takes long, replies are held until nothing more is ready, but no
longer than HOLD_NS. Where it is quick, holding a whole batch would only keep the peer idle: replies leave in groups. The application may keep
every thread, so the attendant, too, sends what has waited too long. The lock guards the list and how much of each reply is sent.
"""

import cython
from cython.cimports.lasthop.engine.connection import HELD, Conn
from cython.cimports.lasthop.engine.exchange import BLOCKED, GONE, SENT
from cython.cimports.lasthop.engine.linux import (
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    send,
)
from cython.cimports.lasthop.engine.poll import HELD_REPLIES, clock_ns
from cython.cimports.lasthop.http1.reply import Out
from cython.cimports.libc.errno import EAGAIN, EINTR, errno
from cython.cimports.libc.stdlib import malloc
from cython.cimports.libc.string import memset
from cython.cimports.posix.time import CLOCK_MONOTONIC

_MOST = cython.declare(cython.Py_ssize_t, 8192)
"""A reply larger than this is sent at once."""


def hold(poll, exchange):
    """Keep a finished reply back while others are ready: was it?"""
    conn: cython.pointer(Conn) = exchange.conn
    if (
        poll.first == cython.NULL
        or exchange.unsent
        or exchange.file is not None
        or exchange.out_at
        or exchange.out.size > _MOST
        or not exchange.keep_alive
        or not exchange.intake.ended
        or exchange.intake.failure
        or conn.pending_end != conn.pending_at
    ):
        return False
    conn.held = cython.cast(cython.pointer(Out), malloc(cython.sizeof(Out)))
    if conn.held == cython.NULL:
        return False
    conn.held[0] = exchange.out
    memset(cython.address(exchange.out), 0, cython.sizeof(Out))
    conn.held_at = 0
    conn.next = cython.NULL
    conn.state = HELD
    pthread_mutex_lock(cython.address(poll.held_lock))
    if poll.held == cython.NULL:
        poll.held = conn
        poll.held_since = clock_ns(CLOCK_MONOTONIC)
    else:
        poll.held_last.next = conn
    poll.held_last = conn
    poll.nheld += 1
    pthread_mutex_unlock(cython.address(poll.held_lock))
    poll.count[HELD_REPLIES] += 1
    return True


def is_time(poll):
    """Replies are held: is it time to send them, though more is ready?"""
    if poll.holding == FOR_LONG:
        return clock_ns(CLOCK_MONOTONIC) - poll.held_since > HOLD_NS
    return poll.holding == NOT_HELD or poll.nheld >= GROUP


def take_held(poll):
    """The list of held replies, which is then empty: whoever took it sends them."""
    conn: cython.pointer(Conn)
    pthread_mutex_lock(cython.address(poll.held_lock))
    conn = poll.held
    poll.held = cython.NULL
    poll.held_last = cython.NULL
    poll.nheld = 0
    pthread_mutex_unlock(cython.address(poll.held_lock))
    return conn


def send_held(conn):
    """Send what is left of a held reply: SENT, BLOCKED or GONE. The lock of the list, or having taken it off the list, guards it."""
    n: cython.Py_ssize_t
    while conn.held_at >= 0 and conn.held_at < conn.held.size:
        n = send(
            conn.fd,
            conn.held.data + conn.held_at,
            cython.cast(cython.size_t, conn.held.size - conn.held_at),
            MSG_DONTWAIT | MSG_NOSIGNAL,
        )
        if n >= 0:
            conn.held_at += n
        elif errno == EAGAIN:
            return BLOCKED
        elif errno != EINTR:
            conn.held_at = -1
    return SENT if conn.held_at >= 0 else GONE


def send_all_held(poll):
    """Send the replies whose time is up; the threads find them sent."""
    conn: cython.pointer(Conn)
    pthread_mutex_lock(cython.address(poll.held_lock))
    conn = poll.held
    while conn != cython.NULL:
        send_held(conn)
        conn = conn.next
    pthread_mutex_unlock(cython.address(poll.held_lock))
