# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The engine of a worker: connections that are ready meet the WSGI application.

Knows how a request becomes a call of the application and its result a reply; the descriptors are `poll`'s, the bytes `http1`'s, one request's
state `exchange`'s. Every thread runs the same loop (`serve`): take a connection from the ready list, read, call, reply, until nothing is
ready; then at most one thread waits for events and the others are parked until the attendant sees that they are needed. There is no
queue and no hand-over, so that many threads cost what one costs while the application only computes.

The waiter waits with poll(2) on the epoll descriptor, which consumes nothing: it takes events only when it has the GIL again, and until then any
thread that runs may take them.
"""

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.cpython.mem import PyMem_RawFree, PyMem_RawMalloc
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, Py_REFCNT
from cython.cimports.lasthop.engine.attendant import end_attendant, send_held, start_attendant
from cython.cimports.lasthop.engine.connection import (
    BODY,
    BUSY,
    DRAIN,
    FIRST,
    HEAD,
    HELD,
    IDLE,
    LINGER,
    READY,
    SENDING,
    SPOKES,
    Conn,
    drop_bytes,
    keep_bytes,
    place,
)
from cython.cimports.lasthop.engine.environ import build_environ
from cython.cimports.lasthop.engine.exchange import AHEAD, BLOCKED, GONE, SENT, Exchange
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_SEQ_CST,
    AF_UNIX,
    EPOLLIN,
    IPPROTO_TCP,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    POLLIN,
    SHUT_WR,
    SO_DOMAIN,
    SOL_SOCKET,
    TCP_NODELAY,
    __atomic_add_fetch,
    __atomic_compare_exchange_n,
    __atomic_load_n,
    __atomic_store_n,
    getsockopt,
    pollfd,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    recv,
    sem_post,
    sem_wait,
    send,
    setsockopt,
    shutdown,
    socklen_t,
)
from cython.cimports.lasthop.engine.linux import poll as wait_for
from cython.cimports.lasthop.engine.poll import (
    CONNECTIONS,
    ERRORS,
    HELD_REPLIES,
    IN_APPLICATION,
    MOST_LISTENERS,
    Poll,
    REFUSED,
    REQUESTS,
    SENT_BYTES,
    accept_some,
    clock_ns,
    close_conn,
    close_poll,
    collect,
    listen_off,
    listen_on,
    open_poll,
    pop,
    push,
    refresh_clock,
    rest,
    ring,
)
from cython.cimports.lasthop.http1.body import BODY_DATA, BODY_END, BODY_MORE, DONE, Body, begin_body, read_body
from cython.cimports.lasthop.http1.head import Field, Head, read_head
from cython.cimports.lasthop.http1.reply import BODILESS, BY_CHUNKS, BY_LENGTH, Out, free_out, put_refusal
from cython.cimports.libc.errno import EAGAIN, EINTR, errno
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memcmp, memset
from cython.cimports.posix.time import CLOCK_MONOTONIC

import os
import signal
import sys
import threading
import traceback

from lasthop.engine.filewrapper import FileWrapper
from lasthop.engine.input import Input
from lasthop.engine.slot import SLOT_FIELDS, SLOT_SIZE
from lasthop.http1.limits import Limits
from lasthop.http1.refusals import refusal_of

_BUFFER = cython.declare(cython.Py_ssize_t, 65536)
"""What a thread reads at a time."""
_GATHERED = cython.declare(cython.Py_ssize_t, 65536)
"""A body up to this size is complete before the application is called, so that a slow peer holds no thread; of a larger one, the
application reads the rest from the socket."""
_HOLD_NS = cython.declare(int64_t, 200000)
"""How long a finished reply may be held back while other requests are ready."""
_HOLD_SIZE = cython.declare(cython.Py_ssize_t, 8192)
_LINGER_NS = cython.declare(int64_t, 3000000000)
"""How long the peer's end is awaited after ours when it may still be sending: closing at once could take the reply from it (RFC 9112, 9.6)."""
_INPUT = "wsgi.input"
_HELD = cython.declare(cython.int, 2)
"""Beside GONE, BLOCKED and SENT: the reply is held back."""


class Lane:
    def __cinit__(self, engine: Engine):
        self.poll = cython.address(engine.poll)
        self.bounds = cython.address(engine.bounds)
        self.buf = cython.cast(cython.p_uchar, PyMem_RawMalloc(_BUFFER))
        self.head.fields = cython.cast(cython.pointer(Field), PyMem_RawMalloc(max(engine.bounds.fields, 1) * cython.sizeof(Field)))
        self.head.capacity = engine.bounds.fields
        if self.buf == cython.NULL or self.head.fields == cython.NULL:
            raise MemoryError
        self.exchange = self.fresh()

    def __dealloc__(self):
        PyMem_RawFree(self.buf)
        PyMem_RawFree(self.head.fields)

    def fresh(self):
        exchange: Exchange = Exchange()
        exchange.poll = self.poll
        exchange.bounds = self.bounds
        self.references = _references(exchange) + 1  # and the lane's
        return exchange


@cython.cfunc
@cython.exceptval(check=False)
def _references(exchange: Exchange) -> cython.Py_ssize_t:
    """How many references there are to the exchange and its methods: more than at first means that the application kept one."""
    return Py_REFCNT(exchange) + Py_REFCNT(exchange.starter) + Py_REFCNT(exchange.writer)


class Engine:
    """A worker's engine: give it an application and listening sockets, call `serve` from its threads.

    `listeners`: (descriptor of a listening socket, SERVER_NAME, SERVER_PORT) each. `threads`: how many will call `serve`. Time-outs in seconds.
    `on_retire` is called once, by a serving thread, when `max_requests` have been served. `access(environ, status, body_bytes, seconds)` is called
    after each reply. `log` gets application errors with their traceback. `slot`: SLOT_SIZE writable bytes for the counters (`SLOT_FIELDS`).
    """

    def __init__(
        self,
        application,
        listeners,
        *,
        threads=1,
        limits=None,
        multiprocess=False,
        head_timeout=15.0,
        body_timeout=30.0,
        reply_timeout=60.0,
        keep_alive=75.0,
        max_connections=16384,
        max_requests=0,
        on_retire=None,
        access=None,
        log=None,
        slot=None,
    ):
        if self.opened:
            raise RuntimeError("the engine is open already")
        limits = Limits() if limits is None else limits
        listeners = list(listeners)
        if len(listeners) > MOST_LISTENERS:
            raise ValueError(f"an engine has at most {MOST_LISTENERS} listeners, not {len(listeners)}")
        memset(cython.address(self.poll), 0, cython.sizeof(self.poll))
        self.slot = memoryview(bytearray(SLOT_SIZE) if slot is None else slot).cast("B")[:SLOT_SIZE]
        if len(self.slot) < SLOT_SIZE:
            raise ValueError(f"a slot has {SLOT_SIZE} bytes, not {len(self.slot)}")
        self.slot[:] = 0
        self.poll.count = cython.cast(cython.pointer(uint64_t), cython.address(self.slot[0]))
        self.poll.threads = threads
        self.poll.most_open = max_connections
        self.poll.head_ns = int(head_timeout * 1e9)
        self.poll.body_ns = int(body_timeout * 1e9)
        self.poll.reply_ns = int(reply_timeout * 1e9)
        self.poll.idle_ns = int(keep_alive * 1e9)
        self.bounds.line = limits.line
        self.bounds.fields = limits.fields
        self.bounds.field_size = limits.field_size
        self.bounds.head = limits.head
        self.bounds.body = limits.body
        self.application = application
        self.access = access
        self.log = log
        self.on_retire = on_retire
        self.retire_after = max_requests
        if open_poll(cython.address(self.poll)) < 0:
            raise OSError(errno, os.strerror(errno))
        self.opened = True
        self.templates = []
        i: cython.int = 0
        family: cython.int
        size: socklen_t
        one: cython.int = 1
        for fd, name, port in listeners:
            size = cython.sizeof(cython.int)
            if getsockopt(fd, SOL_SOCKET, SO_DOMAIN, cython.address(family), cython.address(size)) < 0:
                raise OSError(errno, f"{os.strerror(errno)}: listener {fd}")
            os.set_blocking(fd, False)
            if family != AF_UNIX:
                # accepted sockets inherit it; a reply is written whole, so there is nothing that waiting could put together
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, cython.address(one), cython.sizeof(cython.int))
            self.poll.listeners[i].fd = fd
            self.poll.listeners[i].family = family
            i += 1
            template = (
                {
                    "REQUEST_METHOD": "GET",
                    "SCRIPT_NAME": "",
                    "PATH_INFO": "",
                    "QUERY_STRING": "",
                    "SERVER_NAME": name,
                    "SERVER_PORT": port,
                    "SERVER_PROTOCOL": "HTTP/1.1",
                    "SERVER_SOFTWARE": "lasthop",
                    "REMOTE_ADDR": "",
                    "RAW_URI": "",
                    "wsgi.version": (1, 0),
                    "wsgi.url_scheme": "http",
                    "wsgi.input": _NO_INPUT,
                    "wsgi.input_terminated": True,
                    "wsgi.errors": sys.stderr,
                    "wsgi.multithread": threads > 1,
                    "wsgi.multiprocess": bool(multiprocess),
                    "wsgi.run_once": False,
                    "wsgi.file_wrapper": FileWrapper,
                }
            )
            # A copy of a dict has the room that the original has: make it enough for a request's headers, so that no copy has to grow.
            for spare in range(3):
                template[spare] = None
            for spare in range(3):
                del template[spare]
            self.templates.append(template)
        self.poll.nlisteners = i

    def __dealloc__(self):
        if self.opened:
            end_attendant(cython.address(self.poll))
            close_poll(cython.address(self.poll))

    # What the worker calls.

    @property
    def accepting(self):
        """Does this worker take new connections?"""
        return bool(self.poll.accepting)

    def counters(self):
        """The slot's numbers by name."""
        return {name: self.poll.count[i] for i, name in enumerate(SLOT_FIELDS)}

    def serve(self):
        """The loop of one thread. Returns when `stop` was called, or after `drain` when no connection is left."""
        poll: cython.pointer(Poll) = cython.address(self.poll)
        conn: cython.pointer(Conn)
        lane: Lane = Lane(self)
        if start_attendant(poll) != 0:
            raise RuntimeError("no thread could be started for the attendant")
        if poll.serving == 0 and not poll.draining:
            listen_on(poll)
        poll.serving += 1
        before: cython.int = -2
        if threading.current_thread() is threading.main_thread():
            # A signal that comes just before the wait would else be heard only after it.
            before = signal.set_wakeup_fd(poll.bell_end, warn_on_full_buffer=False)
        try:
            while True:
                conn = pop(poll)
                if conn == cython.NULL:
                    if poll.nheld:
                        self._release(lane)
                        continue
                    if poll.stopping or (poll.draining and poll.wheel.open == 0):
                        break
                    self._wait()
                    continue
                if poll.stopping:
                    break  # close() ends it
                if poll.nheld and clock_ns(CLOCK_MONOTONIC) - poll.held_since > _HOLD_NS:
                    self._release(lane)
                poll.turns += 1
                self._handle(lane, conn)
        finally:
            if before != -2:
                signal.set_wakeup_fd(before)
            poll.serving -= 1
            self._wake_all()

    def drain(self, linger):
        """Accept no more, answer what is under way and what still comes on open connections, and close those that are idle after `linger` seconds."""
        poll: cython.pointer(Poll) = cython.address(self.poll)
        i: cython.int
        conn: cython.pointer(Conn)
        after: cython.pointer(Conn)
        if not poll.draining and poll.accepting:
            for i in range(poll.nlisteners):
                while accept_some(poll, i, 64, False):  # those that are in the queue were promised an answer
                    pass
        refresh_clock(poll)
        until: int64_t = poll.now + cython.cast(int64_t, linger * 1e9)
        poll.linger_ns = until - poll.now
        __atomic_store_n(cython.address(poll.draining), 1, __ATOMIC_SEQ_CST)
        listen_off(poll)
        pthread_mutex_lock(cython.address(poll.wheel.lock))
        for i in range(SPOKES):
            conn = poll.wheel.spokes[i]
            poll.wheel.spokes[i] = cython.NULL
            while conn != cython.NULL:
                after = conn.after
                if (conn.phase == IDLE or conn.phase == FIRST) and conn.deadline > until:
                    conn.deadline = until
                place(cython.address(poll.wheel), conn)
                conn = after
        pthread_mutex_unlock(cython.address(poll.wheel.lock))
        self._wake_all()

    def stop(self):
        """Let serve() return as soon as the request in hand has ended."""
        __atomic_store_n(cython.address(self.poll.stopping), 1, __ATOMIC_SEQ_CST)
        listen_off(cython.address(self.poll))
        self._wake_all()

    def close(self):
        """Close all connections and free everything; every serve() has returned."""
        poll: cython.pointer(Poll) = cython.address(self.poll)
        i: cython.int
        if not self.opened:
            return
        if poll.serving:
            raise RuntimeError("close() was called while a thread is in serve()")
        end_attendant(poll)
        for i in range(SPOKES):
            while poll.wheel.spokes[i] != cython.NULL:
                self._end(poll.wheel.spokes[i])
        poll.first = cython.NULL
        poll.last = cython.NULL
        close_poll(poll)
        self.opened = False

    # Waiting.

    def _wait(self):
        """Nothing is on the ready list: take events, or wait for them, or let another thread do it."""
        poll: cython.pointer(Poll) = cython.address(self.poll)
        events: pollfd
        free_place: cython.int = 0
        n: cython.int = collect(poll, 0)
        if n > 0:
            return 0
        if n < 0 and errno != EINTR:
            raise OSError(errno, os.strerror(errno))
        if not __atomic_compare_exchange_n(cython.address(poll.waiting), cython.address(free_place), 1, False, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST):
            __atomic_add_fetch(cython.address(poll.parked), 1, __ATOMIC_SEQ_CST)
            with cython.nogil:
                n = sem_wait(cython.address(poll.parking))
            if n < 0:
                # A signal, and nobody promised a wake-up: be no longer among the parked. If one was promised after all, the semaphore has it.
                free_place = __atomic_load_n(cython.address(poll.parked), __ATOMIC_SEQ_CST)
                while free_place > 0 and not __atomic_compare_exchange_n(
                    cython.address(poll.parked), cython.address(free_place), free_place - 1, False, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST
                ):
                    pass
                PyErr_CheckSignals()
            return 0
        if poll.threads == 1:
            with cython.nogil:
                collect(poll, -1)
                __atomic_store_n(cython.address(poll.waiting), 0, __ATOMIC_SEQ_CST)
                if __atomic_load_n(cython.address(poll.dozing), __ATOMIC_SEQ_CST):
                    ring(poll.attendant_bell_end)
        else:
            events.fd = poll.epoll
            events.events = POLLIN
            events.revents = 0
            with cython.nogil:
                wait_for(cython.address(events), 1, -1)
                __atomic_store_n(cython.address(poll.waiting), 0, __ATOMIC_SEQ_CST)
                if __atomic_load_n(cython.address(poll.dozing), __ATOMIC_SEQ_CST):
                    ring(poll.attendant_bell_end)
        PyErr_CheckSignals()
        return 0

    def _wake_all(self):
        """Let every thread look at the flags."""
        parked: cython.int = __atomic_load_n(cython.address(self.poll.parked), __ATOMIC_SEQ_CST)
        while parked > 0:
            if __atomic_compare_exchange_n(cython.address(self.poll.parked), cython.address(parked), parked - 1, False, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST):
                sem_post(cython.address(self.poll.parking))
                parked -= 1
        ring(self.poll.bell_end)

    # One connection's turn.

    def _handle(self, lane, conn):
        """Do what `conn` is ready for. It is on no list now, and nobody else has it."""
        events: uint32_t = conn.events
        conn.events = 0
        if conn.expired:
            self._end(conn)
            return 0
        conn.state = BUSY
        if conn.phase == SENDING:
            return self._resume(lane, conn, events)
        if conn.phase == DRAIN:
            return self._drain_body(lane, conn)
        if conn.phase == LINGER:
            return self._linger(lane, conn)
        return self._read(lane, conn)

    def _read(self, lane, conn):
        """Read what the peer sent, and serve a request when it is there."""
        n: cython.Py_ssize_t
        if conn.unparsed:
            # the next request of a pipeline, or its beginning, came with the last one
            conn.unparsed = False
            if self._parse(lane, conn, conn.pending + conn.pending_at, conn.pending_end - conn.pending_at) != 0:
                return 0
        while True:
            n = recv(conn.fd, lane.buf, _BUFFER, 0)
            if n >= 0 or errno != EINTR:
                break
        if n <= 0:
            conn.drained = True
            if n == 0 or errno != EAGAIN:
                self._end(conn)  # the peer is gone; half a request is no request
            elif conn.phase == FIRST or conn.phase == IDLE:
                # nothing came: as it was, with the time it still has
                rest(cython.address(self.poll), conn, conn.phase, conn.deadline - self.poll.now)
            else:
                rest(cython.address(self.poll), conn, conn.phase, conn.deadline - self.poll.now)
            return 0
        conn.drained = n < _BUFFER
        if conn.pending_end == conn.pending_at:
            self._parse(lane, conn, lane.buf, n)
            return 0
        self._keep(conn, lane.buf, n)
        self._parse(lane, conn, conn.pending + conn.pending_at, conn.pending_end - conn.pending_at)
        return 0

    def _keep(self, conn, base, size):
        if keep_bytes(conn, base, size) < 0:
            raise MemoryError
        return 0

    def _parse(self, lane, conn, base, size):
        """`size` bytes are there, at `base`: 1 when they are no whole request and were there before (`pending`), else 0, and the turn is over."""
        took: cython.Py_ssize_t
        ours: cython.bint = base != lane.buf
        whole: cython.bint = False
        if conn.phase == BODY and conn.body == cython.NULL and size < conn.wanted:
            rest(cython.address(self.poll), conn, BODY, self.poll.body_ns)
            return 0
        took = read_head(cython.address(lane.head), cython.address(conn.progress), base, size, cython.address(self.bounds))
        if took < 0:
            self._refuse(conn, cython.cast(cython.int, took))
            return 0
        if took == 0:
            if not ours:
                self._keep(conn, base, size)
            if conn.phase != HEAD:
                conn.phase = HEAD
                conn.deadline = self.poll.now + self.poll.head_ns
            if ours and not conn.drained:
                return 1
            rest(cython.address(self.poll), conn, HEAD, conn.deadline - self.poll.now)
            return 0
        if (lane.head.chunked or lane.head.length > size - took) and not lane.head.expect_continue:
            if self._gather(lane, conn, base, took, size, cython.address(whole)):
                return 0
        elif lane.head.length <= size - took:
            whole = not lane.head.chunked
        free(conn.body)
        conn.body = cython.NULL
        self._serve_one(lane, conn, base, took, size, whole)
        return 0

    def _gather(self, lane, conn, base, took, size, whole):
        """A body has not come wholly, or is chunked: 1 when more of it shall come before the application is called."""
        used: cython.Py_ssize_t = 0
        data: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t = 0
        result: cython.int = BODY_DATA
        if not lane.head.chunked:
            if lane.head.length > _GATHERED:
                return 0
            conn.wanted = cython.cast(uint32_t, took + lane.head.length)
        else:
            if conn.body == cython.NULL:
                conn.body = cython.cast(cython.pointer(Body), calloc(1, cython.sizeof(Body)))
                if conn.body == cython.NULL:
                    raise MemoryError
                begin_body(conn.body, cython.address(lane.head))
                conn.scanned = cython.cast(uint32_t, took)
            while result == BODY_DATA:
                result = read_body(
                    conn.body, base + conn.scanned, size - conn.scanned, cython.address(self.bounds),
                    cython.address(used), cython.address(data), cython.address(count),
                )  # fmt: skip
                conn.scanned += cython.cast(uint32_t, used)
            if result < 0:
                self._refuse(conn, result)
                return 1
            if result == BODY_END:
                whole[0] = True
                return 0
            if size - took >= _GATHERED:
                return 0
        if base == lane.buf:
            self._keep(conn, base, size)
        rest(cython.address(self.poll), conn, BODY, self.poll.body_ns)
        return 1

    def _serve_one(self, lane, conn, base, took, size, gathered):
        """Call the application for the request at `base` and send its reply, or what the peer takes of it."""
        exchange: Exchange = lane.exchange
        environ: dict
        result: object = None
        sent: cython.int
        began: int64_t = 0
        is_head: cython.bint = lane.head.method_size == 4 and memcmp(base + lane.head.method, b"HEAD", 4) == 0
        exchange.begin(conn, cython.address(lane.head), is_head, base + took, size - took)
        exchange.gathered = gathered
        environ = build_environ(self.templates[conn.listener], cython.address(lane.head), base, conn)
        if not exchange.body_ended:
            environ[_INPUT] = Input(exchange)
        if self.access is not None:
            began = clock_ns(CLOCK_MONOTONIC)
        self.poll.count[REQUESTS] += 1
        self.poll.count[IN_APPLICATION] += 1
        try:
            result = self.application(environ, exchange.starter)
            sent = self._answer(exchange, result)
        except BaseException:
            sent = self._fail(exchange)
        exchange.settle()
        if sent != GONE:
            if self.poll.holding and self._hold(exchange):
                sent = _HELD
            else:
                sent = exchange.flush()
        if type(result) is not list:
            self._close_result(exchange, result, sent)
        result = None
        self.poll.count[IN_APPLICATION] -= 1
        self.poll.count[SENT_BYTES] += cython.cast(uint64_t, exchange.body_bytes)
        if self.access is not None:
            self.access(environ, exchange.reply.status, exchange.body_bytes, (clock_ns(CLOCK_MONOTONIC) - began) * 1e-9)
        environ = None
        if sent == BLOCKED:
            self._park(lane, conn, exchange)
        else:
            exchange.forget()
            if _references(exchange) > lane.references:
                exchange.retire()
                lane.exchange = lane.fresh()
            if sent == GONE or exchange.failure == GONE:
                self._end(conn)
            elif sent == SENT:
                self._next(conn, exchange)
        if self.retire_after and self.poll.count[REQUESTS] == self.retire_after and self.on_retire is not None:
            self.on_retire()
        return 0

    def _answer(self, exchange, result):
        """Give the application's result to the exchange: SENT (all of it is given), or GONE. Iterables are sent piece by piece."""
        total: int64_t = 0
        piece: bytes
        kind = type(result)
        if kind is list or kind is tuple:
            for body in result:
                if type(body) is not bytes:
                    raise TypeError(f"the application's iterable must give bytes, not {type(body).__name__}")
                total += len(body)
            if not exchange.head_out:
                exchange.end_head(total)
            for body in result:
                exchange.give(body)
        elif kind is FileWrapper and exchange.give_file(result):
            pass
        elif kind is bytes or kind is str:
            raise TypeError(f"the application must return an iterable of bytes, such as a list, not {kind.__name__} itself")
        else:
            if not exchange.started and not hasattr(result, "__iter__"):
                raise TypeError(f"the application must return an iterable of bytes, not {kind.__name__}")
            single: cython.bint = not exchange.head_out and hasattr(kind, "__len__") and len(result) == 1
            for body in result:
                if type(body) is not bytes:
                    raise TypeError(f"the application's iterable must give bytes, not {type(body).__name__}")
                piece = body
                if len(piece) == 0:
                    continue
                if single and not exchange.head_out:
                    exchange.end_head(len(piece))  # PEP 3333, "Handling the Content-Length Header"
                exchange.give(piece)
                if exchange.flush_within(AHEAD) == GONE:
                    return GONE
        exchange.give_end()
        if exchange.overrun:
            self._complain(exchange, f"the application gave more than its Content-Length of {exchange.reply.length} bytes; the rest was dropped")
        elif exchange.framing == BY_LENGTH and exchange.left > 0 and not exchange.silent:
            exchange.keep_alive = False  # only the end of the connection can tell the peer
            self._complain(exchange, f"the application gave {exchange.left} bytes less than its Content-Length of {exchange.reply.length}")
        return SENT

    def _complain(self, exchange, text):
        if self.log is not None:
            self.log.warning(text)

    def _close_result(self, exchange, result, sent):
        """Call the result's close(), as PEP 3333 wants, now or when the file that it is has been sent."""
        if exchange.file is not None and sent == BLOCKED:
            exchange.closing = result
            return
        close = getattr(result, "close", None)
        if close is not None:
            try:
                close()
            except BaseException:
                self.poll.count[ERRORS] += 1
                self._log_error("the close() of the application's iterable failed")

    def _log_error(self, text):
        if self.log is not None:
            self.log.error(text, exc_info=True)
        else:
            traceback.print_exc()

    def _fail(self, exchange):
        """The application raised: give a 500 if that can still be told, else GONE. The peer learns no more than that."""
        status: cython.int = 500
        if exchange.failure == GONE:
            return GONE  # the peer went while its body was read: nobody is left to be told
        if exchange.failure:
            status = exchange.failure  # the body was at fault, not the application
            self.poll.count[REFUSED] += 1
        else:
            self.poll.count[ERRORS] += 1
            self._log_error("the application failed")
        exchange.file = None
        if exchange.head_out:
            return GONE
        exchange.out.size = 0
        exchange.out_at = 0
        exchange.reply.status = status
        if status != 500:
            exchange.keep_alive = False
            exchange.head_out = True
            put_refusal(cython.address(exchange.out), status, self.poll.date)
        else:
            exchange.started = False
            exchange.start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            exchange.end_head(22)
            exchange.give(b"Internal Server Error\n")
        return SENT

    def _park(self, lane, conn, exchange):
        """The peer takes no more now: the exchange stays with the connection until it is sent."""
        exchange.retire_methods()
        lane.exchange = lane.fresh()
        Py_INCREF(exchange)
        conn.exchange = cython.cast(cython.p_void, exchange)
        rest(cython.address(self.poll), conn, SENDING, self.poll.reply_ns)
        return 0

    def _resume(self, lane, conn, events):
        """The peer takes more of its reply, or is gone."""
        exchange: Exchange = cython.cast(Exchange, conn.exchange)
        before: int64_t = exchange.unsent + exchange.file_left + (exchange.out.size - exchange.out_at)
        sent: cython.int
        if events & EPOLLIN:
            conn.drained = False  # there is something to read, later
        sent = exchange.flush()
        if sent == BLOCKED:
            if exchange.unsent + exchange.file_left + (exchange.out.size - exchange.out_at) < before:
                conn.deadline = self.poll.now + self.poll.reply_ns
            rest(cython.address(self.poll), conn, SENDING, conn.deadline - self.poll.now)
        elif sent == GONE:
            self._end(conn)
        else:
            conn.exchange = cython.NULL
            self._close_sent(exchange)
            exchange.retire()
            Py_DECREF(exchange)
            self._next(conn, exchange)
        return 0

    def _close_sent(self, exchange):
        if exchange.closing is not None:
            result = exchange.closing
            exchange.closing = None
            exchange.file = None
            self._close_result(exchange, result, SENT)

    def _next(self, conn, exchange):
        """The reply is sent: go on with the connection, or end it."""
        if exchange.keep_alive and exchange.failure == 0:
            return self._idle(conn)
        if conn.half_closed or (exchange.body_ended and conn.pending_end == conn.pending_at):
            self._end(conn)
            return 0
        return self._begin_linger(conn)

    def _begin_linger(self, conn):
        """The peer may still be sending: say that we have ended, and read what comes until it ends too."""
        shutdown(conn.fd, SHUT_WR)
        drop_bytes(conn)
        free(conn.body)
        conn.body = cython.NULL
        conn.drained = False
        rest(cython.address(self.poll), conn, LINGER, _LINGER_NS)
        return 0

    def _idle(self, conn):
        """The connection is kept for the next request."""
        poll: cython.pointer(Poll) = cython.address(self.poll)
        conn.asked = True
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

    def _drain_body(self, lane, conn):
        """Read and drop the rest of a body that the application did not want."""
        used: cython.Py_ssize_t = 0
        place: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t = 0
        at: cython.Py_ssize_t = 0
        result: cython.int = BODY_DATA
        n: cython.Py_ssize_t = recv(conn.fd, lane.buf, _BUFFER, 0)
        if n <= 0:
            if n == 0 or (errno != EAGAIN and errno != EINTR):
                self._end(conn)
            else:
                conn.drained = errno == EAGAIN
                rest(cython.address(self.poll), conn, DRAIN, conn.deadline - self.poll.now)
            return 0
        conn.drained = n < _BUFFER
        while result == BODY_DATA and conn.body.state != DONE:
            result = read_body(
                conn.body, lane.buf + at, n - at, cython.address(self.bounds),
                cython.address(used), cython.address(place), cython.address(count),
            )  # fmt: skip
            at += used
        if result < 0:
            self._end(conn)
        elif conn.body.state == DONE:
            free(conn.body)
            conn.body = cython.NULL
            if at < n:
                self._keep(conn, lane.buf + at, n - at)
            self._idle(conn)
        else:
            rest(cython.address(self.poll), conn, DRAIN, self.poll.body_ns)
        return 0

    def _linger(self, lane, conn):
        """Read what the peer still sends after our end, until its own."""
        n: cython.Py_ssize_t = recv(conn.fd, lane.buf, _BUFFER, 0)
        if n > 0 or (n < 0 and errno == EINTR):
            conn.drained = False
            rest(cython.address(self.poll), conn, LINGER, conn.deadline - self.poll.now)
        elif n < 0 and errno == EAGAIN and not conn.half_closed:
            conn.drained = True
            rest(cython.address(self.poll), conn, LINGER, conn.deadline - self.poll.now)
        else:
            self._end(conn)
        return 0

    def _refuse(self, conn, code):
        """The request broke a rule: say so with the status alone, and end the connection."""
        out: Out
        name, status, sentence = refusal_of(code)
        self.poll.count[REFUSED] += 1
        memset(cython.address(out), 0, cython.sizeof(Out))
        try:
            put_refusal(cython.address(out), status, self.poll.date)
            send(conn.fd, out.data, cython.cast(cython.size_t, out.size), MSG_NOSIGNAL)
        finally:
            free_out(cython.address(out))
        if self.log is not None:
            self.log.debug("refused a request with %d (%s): %s", status, name, sentence)
        if self.access is not None:
            self.access(dict(self.templates[conn.listener], REQUEST_METHOD="-", RAW_URI="-"), status, 0, 0.0)
        return self._begin_linger(conn)

    # Replies held back.

    def _hold(self, exchange):
        """Keep a finished reply back while others are ready: 1 when it is held.

        A send that wakes a sleeping peer costs more than the rest of it; replies of a batch that are sent together wake the peer once.
        """
        poll: cython.pointer(Poll) = cython.address(self.poll)
        conn: cython.pointer(Conn) = exchange.conn
        if (
            poll.first == cython.NULL
            or exchange.unsent
            or exchange.file is not None
            or exchange.out_at
            or exchange.out.size > _HOLD_SIZE
            or not exchange.keep_alive
            or not exchange.body_ended
            or exchange.failure
            or conn.pending_end != conn.pending_at
        ):
            return 0
        conn.held = cython.cast(cython.pointer(Out), malloc(cython.sizeof(Out)))
        if conn.held == cython.NULL:
            return 0
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
        return 1

    def _release(self, lane):
        """Send the replies that were held back, unless the attendant did, and go on with their connections."""
        poll: cython.pointer(Poll) = cython.address(self.poll)
        conn: cython.pointer(Conn)
        after: cython.pointer(Conn)
        exchange: Exchange
        sent: cython.int
        pthread_mutex_lock(cython.address(poll.held_lock))
        conn = poll.held
        poll.held = cython.NULL
        poll.held_last = cython.NULL
        poll.nheld = 0
        pthread_mutex_unlock(cython.address(poll.held_lock))
        while conn != cython.NULL:
            after = conn.next
            sent = send_held(conn)
            conn.state = BUSY
            if sent == SENT:
                free_out(conn.held)
                free(conn.held)
                conn.held = cython.NULL
                self._idle(conn)
            elif sent == BLOCKED:
                exchange = lane.fresh()
                exchange.conn = conn
                exchange.out = conn.held[0]
                exchange.out_at = conn.held_at
                exchange.keep_alive = True
                exchange.body_ended = True
                free(conn.held)
                conn.held = cython.NULL
                self._park(lane, conn, exchange)
            else:
                self._end(conn)
            conn = after
        return 0

    def _end(self, conn):
        """Let go of everything that belongs to `conn`, and close it."""
        exchange: Exchange
        if conn.exchange != cython.NULL:
            exchange = cython.cast(Exchange, conn.exchange)
            conn.exchange = cython.NULL
            self._close_sent(exchange)
            exchange.retire()
            Py_DECREF(exchange)
        if conn.held != cython.NULL:
            free_out(conn.held)
            free(conn.held)
            conn.held = cython.NULL
        if conn.address != cython.NULL:
            Py_DECREF(cython.cast(object, cython.cast(cython.pointer(PyObject), conn.address)))
            Py_DECREF(cython.cast(object, cython.cast(cython.pointer(PyObject), conn.port)))
        close_conn(cython.address(self.poll), conn)


@cython.cfunc
def _no_input() -> object:
    exchange: Exchange = Exchange()
    exchange.body_ended = True
    return Input(exchange)


_NO_INPUT = _no_input()
"""The body of requests that have none: always at its end, so all may share it."""
