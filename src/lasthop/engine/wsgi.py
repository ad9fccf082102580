# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The engine of a worker: connections that are ready meet the WSGI application.

Knows how it is set up, how its threads go round and wait, and how it ends; what is done for a connection is `turn`'s. Every thread runs the same loop (`serve`): take a connection from the ready list, read, call, reply, until nothing is
ready; then at most one thread waits for events and the others are parked until the attendant sees that they are needed. There is no
queue and no hand-over, so that many threads cost what one costs while the application only computes.

The waiter waits with poll(2) on the epoll descriptor, which consumes nothing: it takes events only when it has the GIL again, and until then any
thread that runs may take them.
"""

import os
import signal
import sys
import threading

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.lasthop.engine.arrivals import collect, listen_last, listen_off, listen_on
from cython.cimports.lasthop.engine.attendant import end_attendant, start_attendant
from cython.cimports.lasthop.engine.balance import MOST_SHARES, Share, close_share, open_share
from cython.cimports.lasthop.engine.call import no_input
from cython.cimports.lasthop.engine.connection import FIRST, IDLE, SPOKES, Conn, place
from cython.cimports.lasthop.engine.forks import generation
from cython.cimports.lasthop.engine.forwarded import Proxies
from cython.cimports.lasthop.engine.hold import is_time
from cython.cimports.lasthop.engine.lane import Lane, Service
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_SEQ_CST,
    AF_UNIX,
    IPPROTO_TCP,
    POLLIN,
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
    sem_post,
    sem_wait,
    setsockopt,
    socklen_t,
)
from cython.cimports.lasthop.engine.linux import poll as wait_for
from cython.cimports.lasthop.engine.peers import Credentials, name_allowed, note_of
from cython.cimports.lasthop.engine.poll import (
    BATCH,
    MOST_LISTENERS,
    Poll,
    close_poll,
    open_poll,
    pop,
    refresh_clock,
    ring,
)
from cython.cimports.lasthop.engine.turn import end, release, take_turn
from cython.cimports.lasthop.http1.proxyline import VERSION_1, VERSION_2
from cython.cimports.libc.errno import EINTR, errno
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.libc.string import memset

from lasthop.engine.filewrapper import FileWrapper
from lasthop.engine.slot import BOARD_SIZE, SLOT_FIELDS, SLOT_SIZE
from lasthop.http1.limits import Limits
from lasthop.link.peer import described

_NO_INPUT = no_input()
_STRANGERS_NS = cython.declare(int64_t, 5000000000)
"""How long those that are turned away are only counted, after one was told."""


class Engine:
    """A worker's engine: give it an application and listening sockets, call `serve` from its threads.

    `listeners`: (descriptor of a listening socket, SERVER_NAME, SERVER_PORT) each, and for a UNIX socket perhaps whether its peers are believed when
    they say for whom they ask. `allow_peer`: the users and the groups whose processes may connect over UNIX sockets, by number; None: all.
    `proxy_protocol`: "off", "v1", "v2" or "on" (either): what each connection begins with.
    `trust_proxy`: addresses and networks that are believed, as texts. `on_notice(kind, environ, more)` is told once of each kind of request that
    somebody should know of (`server.trust`). `threads`: how many will call `serve`. Time-outs in seconds.
    `on_retire` is called once, by a serving thread, when `max_requests` have been served. `access(environ, status, body_bytes, seconds)` is called
    after each reply. `log` gets application errors with their traceback, `errors` is `wsgi.errors`. `slot`: SLOT_SIZE writable bytes for the counters (`SLOT_FIELDS`).
    `board`: BOARD_SIZE writable bytes that all workers of a server share, `place`: this worker's number there, from 0; so the load is even among them.
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
        allow_peer=None,
        trust_proxy=(),
        proxy_protocol="off",
        on_notice=None,
        access=None,
        log=None,
        errors=None,
        slot=None,
        board=None,
        place=0,
    ):
        if self.opened:
            raise RuntimeError("the engine is open already")
        limits = Limits() if limits is None else limits
        listeners = list(listeners)
        if len(listeners) > MOST_LISTENERS:
            raise ValueError(f"an engine has at most {MOST_LISTENERS} listeners, not {len(listeners)}")
        self.service = Service()
        memset(cython.address(self.service.poll), 0, cython.sizeof(Poll))
        self.service.slot = memoryview(bytearray(SLOT_SIZE) if slot is None else slot).cast("B")[:SLOT_SIZE]
        if len(self.service.slot) < SLOT_SIZE:
            raise ValueError(f"a slot has {SLOT_SIZE} bytes, not {len(self.service.slot)}")
        self.service.slot[:] = 0
        self.service.poll.count = cython.cast(cython.pointer(uint64_t), cython.address(self.service.slot[0]))
        if board is not None and 0 <= place < MOST_SHARES:
            self.service.board = memoryview(board).cast("B")
            if len(self.service.board) < BOARD_SIZE:
                raise ValueError(f"a board has {BOARD_SIZE} bytes, not {len(self.service.board)}")
            self.service.poll.board = cython.cast(
                cython.pointer(Share), cython.address(self.service.board[0])
            )
            self.service.poll.share = self.service.poll.board + cython.cast(cython.int, place) + 1
            open_share(self.service.poll.board, self.service.poll.share)
        self.service.poll.threads = threads
        self.service.poll.most_open = max_connections
        self.service.poll.head_ns = int(head_timeout * 1e9)
        self.service.poll.body_ns = int(body_timeout * 1e9)
        self.service.poll.reply_ns = int(reply_timeout * 1e9)
        self.service.poll.idle_ns = int(keep_alive * 1e9)
        self.service.bounds.line = limits.line
        self.service.bounds.fields = limits.fields
        self.service.bounds.field_size = limits.field_size
        self.service.bounds.head = limits.head
        self.service.bounds.body = limits.body
        self.service.application = application
        self.service.access = access
        self.service.log = log
        self.service.on_retire = on_retire
        self.service.on_notice = on_notice
        self.service.proxies = Proxies(trust_proxy)
        self.service.poll.proxied = {"off": 0, "v1": VERSION_1, "v2": VERSION_2, "on": VERSION_1 | VERSION_2}[
            proxy_protocol
        ]
        name_allowed(cython.address(self.service.poll.allowed), allow_peer)
        self.service.retire_after = max_requests
        if open_poll(cython.address(self.service.poll)) < 0:
            raise OSError(errno, os.strerror(errno))
        self.opened = True
        self.service.templates = []
        self.service.peers = {}
        i: cython.int = 0
        family: cython.int
        size: socklen_t
        one: cython.int = 1
        for fd, name, port, *believed in listeners:
            size = cython.sizeof(cython.int)
            if getsockopt(fd, SOL_SOCKET, SO_DOMAIN, cython.address(family), cython.address(size)) < 0:
                raise OSError(errno, f"{os.strerror(errno)}: listener {fd}")
            os.set_blocking(fd, False)
            if family != AF_UNIX:
                # accepted sockets inherit it; a reply is written whole, so there is nothing that waiting could put together
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, cython.address(one), cython.sizeof(cython.int))
            self.service.poll.listeners[i].fd = fd
            self.service.poll.listeners[i].family = family
            self.service.poll.listeners[i].believed = bool(believed and believed[0])
            i += 1
            template = {
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
                "wsgi.errors": sys.stderr if errors is None else errors,
                "wsgi.multithread": threads > 1,
                "wsgi.multiprocess": bool(multiprocess),
                "wsgi.run_once": False,
                "wsgi.file_wrapper": FileWrapper,
            }
            # A copy of a dict has the room that the original has: make it enough for a request's headers, so that no copy has to grow.
            for spare in ("spare 1", "spare 2", "spare 3"):
                template[spare] = None
            for spare in ("spare 1", "spare 2", "spare 3"):
                del template[spare]
            self.service.templates.append(template)
            self.service.template_at[i - 1] = cython.cast(cython.p_void, template)
        self.service.poll.nlisteners = i

    def __dealloc__(self):
        if self.opened:
            end_attendant(cython.address(self.service.poll))
            close_poll(cython.address(self.service.poll))

    # What the worker calls.

    @property
    def accepting(self):
        """Does this worker take new connections?"""
        return bool(self.service.poll.accepting)

    def counters(self):
        """The slot's numbers by name."""
        return {name: self.service.poll.count[i] for i, name in enumerate(SLOT_FIELDS)}

    def serve(self):
        """The loop of one thread. Returns when `stop` was called, or after `drain` when no connection is left."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        conn: cython.pointer(Conn)
        lane: Lane = Lane(self.service)
        if not self.opened:
            raise RuntimeError("the engine is closed")
        if start_attendant(poll) != 0:
            raise RuntimeError("no thread could be started for the attendant")
        self.service.generation = generation()
        if poll.serving == 0 and not poll.draining:
            listen_on(poll)
        poll.serving += 1
        before: cython.int = -2
        if threading.current_thread() is threading.main_thread():
            # A signal that comes just before the wait would else be heard only after it.
            before = signal.set_wakeup_fd(poll.bell_end, warn_on_full_buffer=False)
        turns: cython.int = 0  # since events were last taken
        try:
            while True:
                if poll.draining and not poll.drain_begun:
                    self._begin_drain()
                conn = pop(poll)
                if conn == cython.NULL:
                    if poll.nheld:
                        release(lane)
                        continue
                    if poll.stopping or (poll.draining and poll.wheel.open == 0):
                        break
                    self._wait()
                    continue
                if poll.stopping:
                    if poll.nheld:
                        release(lane)
                    break  # close() ends the connections
                if poll.nheld and is_time(poll):
                    release(lane)
                poll.turns += 1
                try:
                    take_turn(lane, conn)
                except Exception:
                    # No memory, most likely. What raises stands before whatever could have ended the connection.
                    self.service.log_error("a connection was given up")
                    lane.exchange = lane.fresh()
                    end(self.service, conn)
                turns += 1
                if poll.surplus and not __atomic_load_n(cython.address(poll.waiting), __ATOMIC_SEQ_CST):
                    # Another one runs too, and comes back to the list; whoever waits in poll(2) sees only what epoll tells.
                    poll.surplus = 0
                    if poll.serving - __atomic_load_n(cython.address(poll.parked), __ATOMIC_SEQ_CST) > 1:
                        if poll.nheld:
                            release(lane)
                        self._park()
                if turns >= BATCH:
                    # A peer that pipelines without pause keeps the list from ever being empty.
                    turns = 0
                    collect(poll, 0)
                    if poll.strangers:
                        self._tell_of_strangers()
                    PyErr_CheckSignals()
        finally:
            if before != -2:
                signal.set_wakeup_fd(before)
            poll.serving -= 1
            self._wake_all()

    def drain(self, linger):
        """Accept no more, answer what is under way and what still comes on open connections, and close those idle for `linger` seconds."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        if not poll.draining and poll.accepting:
            listen_last(poll)  # those that are in the queue were promised an answer
        # When drain() returns, the engine has nothing to do with the listeners any more: whoever called may close them.
        poll.linger_ns = cython.cast(int64_t, linger * 1e9)
        poll.drain_begun = False
        __atomic_store_n(cython.address(poll.draining), 1, __ATOMIC_SEQ_CST)
        if poll.board != cython.NULL:
            close_share(poll.share)
        listen_off(poll)  # the attendant may have put them back meanwhile; from now on nobody does
        self._wake_all()

    def stop(self):
        """Let serve() return as soon as the request in hand has ended."""
        __atomic_store_n(cython.address(self.service.poll.stopping), 1, __ATOMIC_SEQ_CST)
        self._wake_all()

    def _begin_drain(self):
        """Give connections that wait for a request no more than the time to linger. By a serving thread."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        i: cython.int
        conn: cython.pointer(Conn)
        after: cython.pointer(Conn)
        poll.drain_begun = True
        refresh_clock(poll)
        until: int64_t = poll.now + poll.linger_ns
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
        return 0

    def close(self):
        """Close all connections and free everything; every serve() has returned."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        i: cython.int
        if not self.opened:
            return
        if poll.serving:
            raise RuntimeError("close() was called while a thread is in serve()")
        end_attendant(poll)
        if poll.board != cython.NULL:
            close_share(poll.share)
        for i in range(SPOKES):
            while poll.wheel.spokes[i] != cython.NULL:
                end(self.service, poll.wheel.spokes[i])
        poll.first = cython.NULL
        poll.last = cython.NULL
        close_poll(poll)
        self.opened = False

    # Waiting.

    def _wait(self):
        """Nothing is on the ready list: take events, or wait for them, or let another thread do it."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        events: pollfd
        free_place: cython.int = 0
        n: cython.int = collect(poll, 0)
        failed: cython.int = errno if n < 0 else 0
        if poll.strangers:
            self._tell_of_strangers()
        # What has rung the bell may be a signal, and now nothing rings it any more: its handler runs before the wait.
        PyErr_CheckSignals()
        if n > 0 or poll.first != cython.NULL:
            return 0
        if failed and failed != EINTR:
            raise OSError(failed, os.strerror(failed))
        if not __atomic_compare_exchange_n(
            cython.address(poll.waiting),
            cython.address(free_place),
            1,
            False,
            __ATOMIC_SEQ_CST,
            __ATOMIC_SEQ_CST,
        ):
            self._park()
            return 0
        if poll.board != cython.NULL and not poll.draining:
            __atomic_store_n(cython.address(poll.share.ready), 1, __ATOMIC_SEQ_CST)
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

    def _tell_of_strangers(self):
        """Log who was turned away: the last one by name, and how many; seldom enough that they cannot fill the log."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        who: Credentials
        count: uint64_t
        if self.service.log is None or poll.now < self.service.strangers_told + _STRANGERS_NS:
            return 0
        pthread_mutex_lock(cython.address(poll.accept_lock))
        who = poll.stranger
        count = poll.strangers
        poll.strangers = 0
        pthread_mutex_unlock(cython.address(poll.accept_lock))
        self.service.strangers_told = poll.now
        others = f", and {count - 1} more since the last such line" if count > 1 else ""
        self.service.log.warning(
            "closed a connection over unix: from %s, whom --allow-peer does not name%s",
            described(note_of(cython.address(who))),
            others,
        )
        return 0

    def _park(self):
        """Wait outside the GIL until the attendant, or the end, needs this thread."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        parked: cython.int
        n: cython.int
        if poll.stopping or (poll.draining and poll.wheel.open == 0):
            return 0  # whoever wakes the parked at the end may have done so already
        __atomic_add_fetch(cython.address(poll.parked), 1, __ATOMIC_SEQ_CST)
        with cython.nogil:
            n = sem_wait(cython.address(poll.parking))
        if n < 0:
            # A signal, and nobody promised a wake-up: be no longer among the parked. If one was promised after all, the semaphore has it.
            parked = __atomic_load_n(cython.address(poll.parked), __ATOMIC_SEQ_CST)
            while parked > 0 and not __atomic_compare_exchange_n(
                cython.address(poll.parked),
                cython.address(parked),
                parked - 1,
                False,
                __ATOMIC_SEQ_CST,
                __ATOMIC_SEQ_CST,
            ):
                pass
            PyErr_CheckSignals()
        return 0

    def _wake_all(self):
        """Let every thread look at the flags."""
        parked: cython.int = __atomic_load_n(cython.address(self.service.poll.parked), __ATOMIC_SEQ_CST)
        while parked > 0:
            if __atomic_compare_exchange_n(
                cython.address(self.service.poll.parked),
                cython.address(parked),
                parked - 1,
                False,
                __ATOMIC_SEQ_CST,
                __ATOMIC_SEQ_CST,
            ):
                sem_post(cython.address(self.service.poll.parking))
                parked -= 1
        ring(self.service.poll.bell_end)
