# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A connection's memory, and the wheel that finds those whose peer is too slow.

Knows no HTTP, no application and no event: a `Conn` is plain C so that the attendant can look at it without the GIL. About 300 bytes,
and nothing else while it is idle: bytes that wait, a body's state and a reply exist only while there are any.

**The wheel** makes time-outs cost O(1) a connection. A connection hangs on the spoke of the tick at which its deadline will be looked at;
setting a later deadline is one store, and the connection moves only when that tick comes. Only a deadline that comes *earlier* than the
tick moves it at once (a first byte of a head on an idle connection). Spokes are shared by ticks that are SPOKES apart, so what is due
later than that is looked at once a round.
"""

import cython
from cython.cimports.lasthop.engine.linux import (
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
)
from cython.cimports.libc.stdint import int64_t, uint32_t
from cython.cimports.libc.stdlib import calloc, free, malloc, realloc
from cython.cimports.libc.string import memcpy, memmove


def open_wheel(wheel, now):
    i: cython.int
    for i in range(SPOKES):
        wheel.spokes[i] = cython.NULL
    wheel.turned = now // TICK_NS
    wheel.open = 0
    return pthread_mutex_init(cython.address(wheel.lock), cython.NULL)


def close_wheel(wheel):
    pthread_mutex_destroy(cython.address(wheel.lock))


def place(wheel, conn):
    """Hang `conn` on the spoke of its deadline. The wheel is locked."""
    due: int64_t = conn.deadline // TICK_NS + 1
    if due <= wheel.turned:
        due = wheel.turned + 1
    elif due > wheel.turned + SPOKES:
        due = wheel.turned + SPOKES
    spoke: cython.int = cython.cast(cython.int, due % SPOKES)
    conn.due = due
    conn.before = cython.NULL
    conn.after = wheel.spokes[spoke]
    if conn.after != cython.NULL:
        conn.after.before = conn
    wheel.spokes[spoke] = conn


def unplace(wheel, conn):
    """Take `conn` off its spoke. The wheel is locked."""
    if conn.before != cython.NULL:
        conn.before.after = conn.after
    else:
        wheel.spokes[conn.due % SPOKES] = conn.after
    if conn.after != cython.NULL:
        conn.after.before = conn.before


def set_deadline(wheel, conn, deadline):
    """Give `conn` until `deadline`; whoever calls has the connection."""
    conn.deadline = deadline
    if deadline // TICK_NS + 1 < conn.due:
        pthread_mutex_lock(cython.address(wheel.lock))
        unplace(wheel, conn)
        place(wheel, conn)
        pthread_mutex_unlock(cython.address(wheel.lock))


def open_conn(wheel, fd, deadline):
    """A connection on `fd`, on the wheel; NULL when there is no memory."""
    conn: cython.pointer(Conn) = cython.cast(cython.pointer(Conn), calloc(1, cython.sizeof(Conn)))
    if conn == cython.NULL:
        return cython.NULL
    conn.fd = fd
    conn.deadline = deadline
    conn.phase = FIRST
    pthread_mutex_lock(cython.address(wheel.lock))
    place(wheel, conn)
    wheel.open += 1
    pthread_mutex_unlock(cython.address(wheel.lock))
    return conn


def free_conn(conn):
    """Free `conn`. It is off the wheel, its Python objects have been let go and its descriptor closed."""
    free(conn.pending)
    free(conn.body)
    free(conn)


def keep_bytes(conn, text, size):
    """Append bytes to those that wait: 0, or -1 when there is no memory."""
    held: uint32_t = conn.pending_end - conn.pending_at
    more: cython.p_uchar
    room: uint32_t
    if conn.pending != cython.NULL and conn.pending_room - conn.pending_end >= size:
        memcpy(conn.pending + conn.pending_end, text, cython.cast(cython.size_t, size))
        conn.pending_end += cython.cast(uint32_t, size)
        return 0
    if conn.pending != cython.NULL and conn.pending_room - held >= size:
        memmove(conn.pending, conn.pending + conn.pending_at, held)
    else:
        room = 512
        while room < held + size:
            room *= 2
        if conn.pending_at == 0 and conn.pending != cython.NULL:
            more = cython.cast(cython.p_uchar, realloc(conn.pending, room))
        else:
            more = cython.cast(cython.p_uchar, malloc(room))
            if more != cython.NULL and held:
                memcpy(more, conn.pending + conn.pending_at, held)
            if more != cython.NULL:
                free(conn.pending)
        if more == cython.NULL:
            return -1
        conn.pending = more
        conn.pending_room = room
    conn.pending_at = 0
    conn.pending_end = held + cython.cast(uint32_t, size)
    memcpy(conn.pending + held, text, cython.cast(cython.size_t, size))
    return 0


def drop_bytes(conn):
    """Forget the bytes that wait, and their memory."""
    free(conn.pending)
    conn.pending = cython.NULL
    conn.pending_at = 0
    conn.pending_end = 0
    conn.pending_room = 0
