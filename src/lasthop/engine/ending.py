# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What becomes of a connection when a reply is complete, or will never be: it waits for the next request, drops what it did not want, or ends.

Knows phases and the end of things. Does not know how a request is read (`turn`) nor how an application is called (`call`, `cycle`). While a coroutine
of the application has a connection, a `Holder` hangs on it, which is told when there is something to do, and when it is over.
"""

import cython
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_DECREF
from cython.cimports.lasthop.engine.call import close_result, leave_child
from cython.cimports.lasthop.engine.connection import (
    BUSY,
    DRAIN,
    IDLE,
    LINGER,
    READY,
    WAITING,
    drop_bytes,
    keep_bytes,
)
from cython.cimports.lasthop.engine.environ import build_stub
from cython.cimports.lasthop.engine.exchange import Exchange
from cython.cimports.lasthop.engine.forks import generation
from cython.cimports.lasthop.engine.lane import BUFFER
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_SEQ_CST,
    MSG_NOSIGNAL,
    SHUT_WR,
    __atomic_compare_exchange_n,
    recv,
    send,
    shutdown,
)
from cython.cimports.lasthop.engine.poll import REFUSED, close_conn, push, rest, rest_until
from cython.cimports.lasthop.http1.body import BODY_DATA, DONE, read_body
from cython.cimports.lasthop.http1.reply import Out, free_out, put_refusal
from cython.cimports.libc.errno import EAGAIN, EINTR, errno
from cython.cimports.libc.stdint import int64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset

from lasthop.http1.refusals import refusal_of

_LINGER_NS = cython.declare(int64_t, 3000000000)
"""How long the peer's end is awaited after ours when it may still be sending: closing at once could take the reply from it (RFC 9112, 9.6)."""


class Holder:
    """Whoever has a connection while a coroutine of the application runs."""

    def send(self, message):
        """Take a message of the application's, and give what it is to await. Raises what the message is to blame for."""
        only_parent(self.service)
        if self.taking:
            raise RuntimeError("a message was sent while the one before it was still looked at")
        # What a message is made of may be code of the application's, such as a generator of headers.
        self.taking = True
        try:
            return self.take(message if type(message) is dict else dict(message))
        finally:
            self.taking = False

    def take(self, message):
        """What `send` is given, one at a time."""
        raise NotImplementedError

    def message(self):
        """What there is to be received now; None when it has to be waited for."""
        raise NotImplementedError

    def has_room(self):
        """Do so few bytes wait for the peer that more may be sent?"""
        raise NotImplementedError

    def wait(self, receiving):
        """A future that ends when `message` (`receiving`) or `has_room` is worth another look."""
        future = self.service.loop.create_future()
        if receiving:
            self.reading = _joined(self.reading, future)
        else:
            self.writing = _joined(self.writing, future)
        return future

    def leave_off(self, receiving):
        """Somebody who waited does so no more."""
        if receiving:
            self.reading = _those_left(self.reading)
        else:
            self.writing = _those_left(self.writing)
        return 0

    def overdue(self):
        """What the application waits for has not come in time. The connection is BUSY, and ours."""
        end(self.service, self.conn)
        return 0

    def wake(self, events):
        """There is something to do: the peer has sent something, takes more, or is gone (`events` are epoll's)."""
        raise NotImplementedError

    def lose(self):
        """The connection is over, and freed when this returns."""

    def finish(self, error):
        """The coroutine has ended, with `error` or None."""
        raise NotImplementedError


def named(scope):
    """A request in a line of the log, whatever the application has put into its scope."""
    try:
        return f"{scope.get('method', 'WebSocket')} {scope.get('path')!r}"
    except BaseException as error:
        return f"a request whose scope cannot be shown ({type(error).__name__})"


def only_parent(service):
    """A child that the application's coroutine forked, and that comes back into the engine, ends here: the connections are the parent's."""
    if generation() != service.generation:
        leave_child(None)
    return 0


def seize(conn):
    """May the connection be touched outside of its turn? Not while that goes on or is to come: what is to be done is left to it. It is BUSY then."""
    state: cython.int = WAITING
    return conn != cython.NULL and __atomic_compare_exchange_n(
        cython.address(conn.state), cython.address(state), BUSY, False, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST
    )


@cython.cfunc
def _joined(waiting: object, future: object) -> object:
    """Mostly one waits, and then no list is needed. Those that were cancelled are left out: somebody may wait for a second again and again."""
    others = _those_left(waiting)
    if others is None:
        return future
    return [*others, future] if type(others) is list else [others, future]


@cython.cfunc
def _those_left(waiting: object) -> object:
    if waiting is None:
        return None
    others = [each for each in (waiting if type(waiting) is list else [waiting]) if not each.done()]
    return None if not others else others[0] if len(others) == 1 else others


def wake_all(waiting):
    """Have those who wait for something look again; `waiting` is a future, a list of them, or None."""
    if waiting is None:
        return
    for future in waiting if type(waiting) is list else (waiting,):
        if not future.done():
            future.set_result(None)


def close_sent(service, exchange):
    if exchange.closing is not None:
        result = exchange.closing
        exchange.closing = None
        exchange.file = None
        close_result(service, result)


def go_on(lane, conn, exchange):
    """The reply is sent: go on with the connection, or end it."""
    if exchange.keep_alive and exchange.intake.failure == 0:
        return idle(lane.poll, conn)
    if conn.half_closed or (exchange.intake.ended and conn.pending_end == conn.pending_at):
        end(lane.service, conn)
        return 0
    return begin_linger(lane.poll, conn)


def begin_linger(poll, conn):
    """The peer may still be sending: say that we have ended, and read what comes until it ends too."""
    shutdown(conn.fd, SHUT_WR)
    drop_bytes(conn)
    free(conn.body)
    conn.body = cython.NULL
    conn.drained = False
    rest(poll, conn, LINGER, _LINGER_NS)
    return 0


def idle(poll, conn):
    """The connection is kept for the next request."""
    if conn.body != cython.NULL:
        rest(poll, conn, DRAIN, poll.body_ns)
    elif conn.pending_end != conn.pending_at:
        conn.unparsed = True
        conn.phase = IDLE
        conn.state = READY
        push(poll, conn)
    else:
        rest(poll, conn, IDLE, poll.linger_ns if poll.draining else poll.idle_ns)
    return 0


def drain_body(lane, conn):
    """Read and drop the rest of a body that the application did not want."""
    used: cython.Py_ssize_t = 0
    place: cython.Py_ssize_t = 0
    count: cython.Py_ssize_t = 0
    at: cython.Py_ssize_t = 0
    result: cython.int = BODY_DATA
    n: cython.Py_ssize_t = recv(conn.fd, lane.buf, BUFFER, 0)
    if n <= 0:
        if n == 0 or (errno != EAGAIN and errno != EINTR):
            end(lane.service, conn)
        else:
            conn.drained = errno == EAGAIN
            rest_until(lane.poll, conn, DRAIN, conn.deadline)
        return 0
    conn.drained = n < BUFFER
    while result == BODY_DATA and conn.body.state != DONE:
        result = read_body(
            conn.body, lane.buf + at, n - at, cython.address(lane.service.bounds),
            cython.address(used), cython.address(place), cython.address(count),
        )  # fmt: skip
        at += used
    if result < 0:
        end(lane.service, conn)
    elif conn.body.state == DONE:
        free(conn.body)
        conn.body = cython.NULL
        if at < n:
            if keep_bytes(conn, lane.buf + at, n - at) < 0:
                raise MemoryError
        idle(lane.poll, conn)
    else:
        rest(lane.poll, conn, DRAIN, lane.poll.body_ns)
    return 0


def linger(lane, conn):
    """Read what the peer still sends after our end, until its own."""
    n: cython.Py_ssize_t = recv(conn.fd, lane.buf, BUFFER, 0)
    if conn.deadline <= lane.poll.now:
        end(lane.service, conn)
    elif n > 0 or (n < 0 and errno == EINTR):
        conn.drained = False
        rest_until(lane.poll, conn, LINGER, conn.deadline)
    elif n < 0 and errno == EAGAIN and not conn.half_closed:
        conn.drained = True
        rest_until(lane.poll, conn, LINGER, conn.deadline)
    else:
        end(lane.service, conn)
    return 0


def refuse_late(service, conn, status):
    """The body of a request broke a rule, or came too slowly, when its head had been served already."""
    out: Out
    service.poll.count[REFUSED] += 1
    memset(cython.address(out), 0, cython.sizeof(Out))
    try:
        put_refusal(cython.address(out), status, service.poll.date)
        send(conn.fd, out.data, cython.cast(cython.size_t, out.size), MSG_NOSIGNAL)
    finally:
        free_out(cython.address(out))
    return 0


def refuse(lane, conn, code):
    """The request broke a rule: say so with the status alone, and end the connection."""
    out: Out
    name, status, sentence = refusal_of(code)
    lane.poll.count[REFUSED] += 1
    memset(cython.address(out), 0, cython.sizeof(Out))
    try:
        put_refusal(cython.address(out), status, lane.poll.date)
        send(conn.fd, out.data, cython.cast(cython.size_t, out.size), MSG_NOSIGNAL)
    finally:
        free_out(cython.address(out))
    if lane.service.log is None and lane.service.access is None:
        return begin_linger(lane.poll, conn)
    environ: dict = build_stub(lane.service, conn)
    if lane.service.log is not None:
        peer = environ["REMOTE_ADDR"] or "a peer of the UNIX socket"
        lane.service.log.info("refused a request of %s with %d (%s): %s", peer, status, name, sentence)
    if lane.service.access is not None:
        try:
            lane.service.access(environ, status, 0, 0.0)
        except Exception:
            lane.service.log_error("the access log cannot be written")
    return begin_linger(lane.poll, conn)


def end(service, conn):
    """Let go of everything that belongs to `conn`, and close it."""
    exchange: Exchange
    holder: Holder
    if conn.holder != cython.NULL:
        holder = cython.cast(Holder, cython.cast(cython.pointer(PyObject), conn.holder))
        conn.holder = cython.NULL
        holder.lose()
        Py_DECREF(holder)
    if conn.exchange != cython.NULL:
        exchange = cython.cast(Exchange, conn.exchange)
        conn.exchange = cython.NULL
        close_sent(service, exchange)
        exchange.retire()
        Py_DECREF(exchange)
    if conn.held != cython.NULL:
        free_out(conn.held)
        free(conn.held)
        conn.held = cython.NULL
    if conn.address != cython.NULL:
        Py_DECREF(cython.cast(object, cython.cast(cython.pointer(PyObject), conn.address)))
        Py_DECREF(cython.cast(object, cython.cast(cython.pointer(PyObject), conn.port)))
    if conn.client != cython.NULL:
        Py_DECREF(cython.cast(object, cython.cast(cython.pointer(PyObject), conn.client)))
    if conn.peer != cython.NULL:
        Py_DECREF(cython.cast(object, cython.cast(cython.pointer(PyObject), conn.peer)))
    close_conn(cython.address(service.poll), conn)
