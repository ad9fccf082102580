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
import threading

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.lasthop.engine.arrivals import collect, listen_on
from cython.cimports.lasthop.engine.attendant import start_attendant
from cython.cimports.lasthop.engine.call import no_input
from cython.cimports.lasthop.engine.connection import Conn
from cython.cimports.lasthop.engine.core import Core
from cython.cimports.lasthop.engine.ending import end
from cython.cimports.lasthop.engine.forks import generation
from cython.cimports.lasthop.engine.hold import is_time
from cython.cimports.lasthop.engine.lane import Lane
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_SEQ_CST,
    POLLIN,
    __atomic_add_fetch,
    __atomic_compare_exchange_n,
    __atomic_load_n,
    __atomic_store_n,
    pollfd,
    sem_wait,
)
from cython.cimports.lasthop.engine.linux import poll as wait_for
from cython.cimports.lasthop.engine.poll import (
    BATCH,
    Poll,
    pop,
    ring,
)
from cython.cimports.lasthop.engine.turn import release, take_turn
from cython.cimports.libc.errno import EINTR, errno
from cython.cimports.libc.stdint import int64_t

_NO_INPUT = no_input()
_STRANGERS_NS = cython.declare(int64_t, 5000000000)
"""How long those that are turned away are only counted, after one was told."""


class Engine(Core):
    """A worker's engine: give it a WSGI application and listening sockets (`Core`), call `serve` from its threads."""

    # What the worker calls.

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
                    self.begin_drain()
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
                        self.tell_of_strangers()
                    PyErr_CheckSignals()
        finally:
            if before != -2:
                signal.set_wakeup_fd(before)
            poll.serving -= 1
            self.wake()

    # Waiting.

    def _wait(self):
        """Nothing is on the ready list: take events, or wait for them, or let another thread do it."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        events: pollfd
        free_place: cython.int = 0
        n: cython.int = collect(poll, 0)
        failed: cython.int = errno if n < 0 else 0
        if poll.strangers:
            self.tell_of_strangers()
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
