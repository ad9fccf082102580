# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One connection's turn: it is ready, a thread has taken it, and goes on with it as far as it goes without waiting.

Knows the phases of a connection (`connection.Phase`) and what leads from one to the next: reading, gathering a request, having it served, sending
the rest of a reply, dropping the rest of a body, lingering, ending. Does not know how an application is called (`call`), nor who waits
(`wsgi`, `poll`). Every way through a turn ends in `rest` (the connection waits, or is ready again), in a hold, or in `end`.
"""

import cython
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.lasthop.engine.call import call_application
from cython.cimports.lasthop.engine.connection import (
    BODY,
    BUSY,
    CALLED,
    CALLED_BODY,
    DRAIN,
    FIRST,
    HEAD,
    LINGER,
    SENDING,
    Conn,
    keep_bytes,
)
from cython.cimports.lasthop.engine.ending import (
    Holder,
    close_sent,
    drain_body,
    end,
    go_on,
    idle,
    linger,
    refuse,
)
from cython.cimports.lasthop.engine.environ import build_stub, is_trusted
from cython.cimports.lasthop.engine.exchange import BLOCKED, GONE, SENT, Exchange
from cython.cimports.lasthop.engine.hold import send_held, take_held
from cython.cimports.lasthop.engine.intake import PEER_GONE
from cython.cimports.lasthop.engine.lane import BUFFER, UNPROXIED, Lane
from cython.cimports.lasthop.engine.linux import (
    AF_INET,
    AF_INET6,
    EPOLLIN,
    recv,
)
from cython.cimports.lasthop.engine.poll import REFUSED, Poll, rest, rest_until
from cython.cimports.lasthop.http1.body import BODY_DATA, BODY_END, Body, begin_body, read_body
from cython.cimports.lasthop.http1.head import read_head
from cython.cimports.lasthop.http1.proxyline import BROKEN, Proxied, read_proxied
from cython.cimports.lasthop.http1.reply import free_out
from cython.cimports.libc.errno import EAGAIN, EINTR, errno
from cython.cimports.libc.stdint import int64_t, uint16_t, uint32_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy

_GATHERED = cython.declare(cython.Py_ssize_t, 65536)
"""A body up to this size is complete before the application is called, so that a slow peer holds no thread; of a larger one, the application
reads the rest from the socket."""


def take_turn(lane, conn):
    """Do what `conn` is ready for. It is on no list now, and nobody else has it."""
    events: uint32_t = conn.events
    conn.events = 0
    if conn.expired and conn.phase != CALLED_BODY:
        end(lane.service, conn)
        return 0
    conn.state = BUSY
    if conn.expired:
        return cython.cast(Holder, cython.cast(cython.pointer(PyObject), conn.holder)).overdue()
    if conn.phase >= CALLED:
        return cython.cast(Holder, cython.cast(cython.pointer(PyObject), conn.holder)).wake(events)
    if conn.phase == SENDING:
        return _resume(lane, conn, events)
    if conn.phase == DRAIN:
        return drain_body(lane, conn)
    if conn.phase == LINGER:
        return linger(lane, conn)
    return _read(lane, conn, events)


@cython.cfunc
@cython.exceptval(-1)
def _read(lane: Lane, conn: cython.pointer(Conn), events: uint32_t) -> cython.int:
    """Read what the peer sent, and serve a request when it is there."""
    n: cython.Py_ssize_t
    if conn.unparsed:
        # the next request of a pipeline, or its beginning, came with the last one
        conn.unparsed = False
        if events & EPOLLIN:
            conn.drained = False  # the event that came meanwhile is taken, what it told of is not
        return _parse(lane, conn, conn.pending + conn.pending_at, conn.pending_end - conn.pending_at)
    while True:
        n = recv(conn.fd, lane.buf, BUFFER, 0)
        if n >= 0 or errno != EINTR:
            break
    if n <= 0:
        conn.drained = True
        if n == 0 or errno != EAGAIN:
            end(lane.service, conn)  # the peer is gone; half a request is no request
        else:
            # nothing came: as it was, with the time it still has
            rest_until(lane.poll, conn, conn.phase, conn.deadline)
        return 0
    conn.drained = n < BUFFER
    if conn.pending_end == conn.pending_at:
        return _parse(lane, conn, lane.buf, n)
    _keep(conn, lane.buf, n)
    return _parse(lane, conn, conn.pending + conn.pending_at, conn.pending_end - conn.pending_at)


@cython.cfunc
@cython.exceptval(-1)
def _keep(conn: cython.pointer(Conn), text: cython.p_const_uchar, size: cython.Py_ssize_t) -> cython.int:
    if keep_bytes(conn, text, size) < 0:
        raise MemoryError
    return 0


@cython.cfunc
@cython.exceptval(-1)
def _parse(
    lane: Lane, conn: cython.pointer(Conn), base: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.int:
    """`size` bytes are there, at `base` (the lane's buffer, or the connection's own): serve the request that they begin with, or wait for more."""
    took: cython.Py_ssize_t
    result: cython.int
    whole: cython.bint = False
    gathered: cython.bint = conn.phase == BODY
    if conn.unproxied:
        return _read_proxied(lane, conn, base, size)
    if conn.phase == BODY:
        # The head has been read, and is read again when the body is there: only what is new is looked at until then.
        if conn.body != cython.NULL:
            result = _scan(lane, conn, base, size)
            if result < 0:
                return refuse(lane, conn, result)
            whole = result == BODY_END
        if not whole and size < conn.wanted:
            rest(lane.poll, conn, BODY, lane.poll.body_ns)
            return 0
    took = read_head(
        cython.address(lane.head),
        cython.address(conn.progress),
        base,
        size,
        cython.address(lane.service.bounds),
    )
    if took < 0:
        refuse(lane, conn, cython.cast(cython.int, took))
        return 0
    if took == 0:
        if base == lane.buf:
            _keep(conn, base, size)
        if conn.phase != HEAD:
            conn.phase = HEAD
            conn.deadline = lane.poll.now + lane.poll.head_ns
        rest_until(lane.poll, conn, HEAD, conn.deadline)
        return 0
    if not lane.head.chunked:
        whole = lane.head.length <= size - took
    if not whole and not gathered and not lane.head.expect_continue and lane.call == cython.NULL:
        if lane.head.chunked or lane.head.length <= _GATHERED:
            conn.wanted = cython.cast(uint32_t, took + (_GATHERED if lane.head.chunked else lane.head.length))
            if lane.head.chunked:
                conn.body = cython.cast(cython.pointer(Body), calloc(1, cython.sizeof(Body)))
                if conn.body == cython.NULL:
                    raise MemoryError
                begin_body(conn.body, cython.address(lane.head))
                conn.scanned = cython.cast(uint32_t, took)
                result = _scan(lane, conn, base, size)
                if result < 0:
                    return refuse(lane, conn, result)
                whole = result == BODY_END
            if not whole and size < conn.wanted:
                if base == lane.buf:
                    _keep(conn, base, size)
                rest(lane.poll, conn, BODY, lane.poll.body_ns)
                return 0
    free(conn.body)
    conn.body = cython.NULL
    _serve(lane, conn, base, took, size, whole)
    return 0


@cython.cfunc
@cython.exceptval(-1)
def _read_proxied(
    lane: Lane, conn: cython.pointer(Conn), base: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.int:
    """The connection begins with what the front says of it (PROXY protocol): note it, and go on with what follows."""
    proxied: Proxied
    took: cython.Py_ssize_t = BROKEN
    trusted: cython.bint = is_trusted(lane.service, conn)
    if trusted:
        took = read_proxied(cython.address(proxied), base, size, lane.poll.proxied)
    if took < 0:
        lane.poll.count[REFUSED] += 1
        if not lane.service.noticed & UNPROXIED:
            lane.service.notice(
                UNPROXIED,
                "unproxied",
                build_stub(lane.service, conn),
                "it does not begin as the PROXY protocol has it"
                if trusted
                else "it is not trusted to say for whom it asks",
            )
        end(lane.service, conn)
        return 0
    if took == 0:
        if base == lane.buf:
            _keep(conn, base, size)
        if conn.phase != HEAD:
            conn.phase = HEAD
            conn.deadline = lane.poll.now + lane.poll.head_ns
        rest_until(lane.poll, conn, HEAD, conn.deadline)
        return 0
    conn.unproxied = False
    if proxied.size:
        conn.family = cython.cast(uint16_t, AF_INET if proxied.size == 4 else AF_INET6)
        memcpy(conn.raw_address, proxied.address, cython.cast(cython.size_t, proxied.size))
        conn.raw_port = proxied.port
        conn.trusted = 0  # the hop before ours is another one now
    if base == lane.buf:
        if size > took:
            _keep(conn, base + took, size - took)
    else:
        conn.pending_at += cython.cast(uint32_t, took)
    if conn.pending_end == conn.pending_at:
        conn.phase = FIRST
        rest_until(lane.poll, conn, FIRST, conn.deadline)
        return 0
    return _parse(lane, conn, conn.pending + conn.pending_at, conn.pending_end - conn.pending_at)


@cython.cfunc
@cython.exceptval(check=False)
def _scan(
    lane: Lane, conn: cython.pointer(Conn), base: cython.p_const_uchar, size: cython.Py_ssize_t
) -> cython.int:
    """Look at what came of a chunked body since the last time: BODY_END, BODY_MORE, or a refusal."""
    used: cython.Py_ssize_t = 0
    data: cython.Py_ssize_t = 0
    count: cython.Py_ssize_t = 0
    result: cython.int = BODY_DATA
    while result == BODY_DATA:
        result = read_body(
            conn.body,
            base + conn.scanned,
            size - conn.scanned,
            cython.address(lane.service.bounds),
            cython.address(used),
            cython.address(data),
            cython.address(count),
        )
        conn.scanned += cython.cast(uint32_t, used)
    return result


@cython.cfunc
@cython.exceptval(-1)
def _serve(
    lane: Lane,
    conn: cython.pointer(Conn),
    base: cython.p_const_uchar,
    took: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
    whole: cython.bint,
) -> cython.int:
    """The request at `base` is there, or enough of it: have it served, and go on with the connection as its reply says."""
    exchange: Exchange = lane.exchange
    sent: cython.int
    if lane.call != cython.NULL:
        return lane.call(lane, conn, base, took, size, whole)
    sent = call_application(lane, conn, base, took, size, whole)
    if sent == BLOCKED:
        return _park(lane, conn, exchange)
    lane.give_back(exchange)
    if sent == GONE or exchange.intake.failure == PEER_GONE:
        end(lane.service, conn)
    elif sent == SENT:
        return go_on(lane, conn, exchange)
    return 0


@cython.cfunc
@cython.exceptval(-1)
def _park(lane: Lane, conn: cython.pointer(Conn), exchange: Exchange) -> cython.int:
    """The peer takes no more now: the exchange stays with the connection until it is sent."""
    exchange.retire_methods()
    lane.exchange = lane.fresh()
    Py_INCREF(exchange)
    conn.exchange = cython.cast(cython.p_void, exchange)
    rest(lane.poll, conn, SENDING, lane.poll.reply_ns)
    return 0


@cython.cfunc
@cython.exceptval(-1)
def _resume(lane: Lane, conn: cython.pointer(Conn), events: uint32_t) -> cython.int:
    """The peer takes more of its reply, or is gone."""
    exchange: Exchange = cython.cast(Exchange, conn.exchange)
    before: int64_t = exchange.pending() + exchange.file_left
    sent: cython.int
    if events & EPOLLIN:
        conn.drained = False  # there is something to read, later
    sent = exchange.flush()
    if sent == BLOCKED:
        if exchange.pending() + exchange.file_left < before:
            conn.deadline = lane.poll.now + lane.poll.reply_ns
        rest_until(lane.poll, conn, SENDING, conn.deadline)
    elif sent == GONE:
        end(lane.service, conn)
    else:
        conn.exchange = cython.NULL
        close_sent(lane.service, exchange)
        exchange.retire()
        Py_DECREF(exchange)
        go_on(lane, conn, exchange)
    return 0


def release(lane):
    """Send the replies that were held back, unless the attendant did, and go on with their connections."""
    poll: cython.pointer(Poll) = lane.poll
    conn: cython.pointer(Conn) = take_held(poll)
    after: cython.pointer(Conn)
    exchange: Exchange
    sent: cython.int
    while conn != cython.NULL:
        after = conn.next
        sent = send_held(conn)
        conn.state = BUSY
        if sent == SENT:
            free_out(conn.held)
            free(conn.held)
            conn.held = cython.NULL
            idle(lane.poll, conn)
        elif sent == BLOCKED:
            exchange = lane.fresh()
            exchange.conn = conn
            exchange.out = conn.held[0]
            exchange.out_at = conn.held_at
            exchange.keep_alive = True
            exchange.intake.ended = True
            free(conn.held)
            conn.held = cython.NULL
            _park(lane, conn, exchange)
        else:
            end(lane.service, conn)
        conn = after
    return 0
