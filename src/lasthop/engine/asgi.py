# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The engine of a worker: connections that are ready meet the ASGI application, in an event loop.

Knows how an event loop hears of the engine's epoll set: the set's own descriptor is registered with the loop, once, and when it is ready `turn` takes all
that is ready in one go. There is no transport, no protocol and no callback for a connection. Which loop it is does not matter. What is done for a request is
`cycle`'s.
"""

import asyncio
import contextvars
import os
import signal
import socket
import threading

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.lasthop.engine.arrivals import collect, listen_on
from cython.cimports.lasthop.engine.attendant import start_attendant
from cython.cimports.lasthop.engine.connection import Conn
from cython.cimports.lasthop.engine.core import Core
from cython.cimports.lasthop.engine.coroutine import baseline, call_coroutine, push_late, task_done, what_runs
from cython.cimports.lasthop.engine.dialogue import Dialogue
from cython.cimports.lasthop.engine.ending import end, only_parent
from cython.cimports.lasthop.engine.forks import generation
from cython.cimports.lasthop.engine.hold import is_time
from cython.cimports.lasthop.engine.lane import Lane
from cython.cimports.lasthop.engine.linux import __ATOMIC_SEQ_CST, AF_UNIX, __atomic_load_n, __atomic_store_n
from cython.cimports.lasthop.engine.poll import Poll, clock_ns, pop, ring
from cython.cimports.lasthop.engine.scope import template_of
from cython.cimports.lasthop.engine.standby import Standby, can_stand_by
from cython.cimports.lasthop.engine.turn import release, take_turn
from cython.cimports.libc.stdint import int64_t
from cython.cimports.posix.time import CLOCK_MONOTONIC

from lasthop.engine.patience import wait_for
from lasthop.http1.field import KNOWN_NAMES

_ROUNDS = cython.declare(cython.int, 4)
"""How often events are taken before the loop's other callbacks have their turn."""
_RESTARTS = cython.declare(cython.int, 1012)
"""The close code that tells a WebSocket's peer that it may come again (IANA's registry: Service Restart)."""
_PULSE_SECONDS = 1.0
_HEARING_SECONDS = 0.05
"""For those who hear that their WebSocket ends, before they are cancelled."""


def _path_of(fd) -> str:
    """The path of a UNIX socket; an abstract name as `--bind` has it."""
    with socket.socket(fileno=os.dup(fd)) as listener:
        path = listener.getsockname()
    return "@" + path[1:].decode("utf-8", "replace") if isinstance(path, bytes) else path


class Engine(Core):
    """A worker's engine: give it an ASGI application and listening sockets (`Core`), await `serve` in an event loop.

    `state`: the lifespan's, of which each request gets a shallow copy, or None. `root_path`: what the front has cut off the paths.
    `pathsend`: offer `http.response.pathsend`, by which frameworks send files.
    `websocket`: makes a session of a handshake (`websocket.Session`), or None: handshakes are plain requests then.
    `cancelled_seconds`: how long tasks that are cancelled at the end may take for theirs.
    """

    def __init__(
        self,
        application,
        listeners,
        *,
        state=None,
        root_path="",
        pathsend=True,
        websocket=None,
        cancelled_seconds=1.0,
        **options,
    ):
        listeners = list(listeners)
        self.cancelled_seconds = cancelled_seconds
        Core.__init__(self, application, listeners, threads=1, **options)
        self.service.state = state
        self.service.websocket = websocket
        self.service.scope_peers = {}
        self.service.scopes = []
        self.service.last_fields = [None] * len(KNOWN_NAMES)
        for place, (fd, name, port, *_) in enumerate(listeners):
            over_unix = self.service.poll.listeners[place].family == AF_UNIX
            server = (_path_of(fd), None) if over_unix else (name, int(port))
            self.service.scopes.append(template_of(server, root_path, state is not None, pathsend))
        self.service.poll.looped = True

    async def serve(self):
        """Serve until drained or stopped. What still runs then is cancelled."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        before: cython.int = -2
        if not self.opened:
            raise RuntimeError("the engine is closed")
        loop = asyncio.get_running_loop()
        self.over = loop.create_future()
        self.lane = Lane(self.service)
        self.lane.call = call_coroutine
        self.lane.late = []
        self.lane.tasks = {}
        self.lane.dialogues = set()
        self.lane.references = baseline(self.lane)
        self.lane.on_done = self._done
        self.lane.context = contextvars.copy_context()
        self.lane.turn = self.turn
        if start_attendant(poll) != 0:
            raise RuntimeError("no thread could be started for the attendant")
        self.service.generation = generation()
        self.service.loop = loop
        if not poll.draining:
            listen_on(poll)
        poll.serving += 1
        loop.add_reader(poll.epoll, self.turn)
        if threading.current_thread() is threading.main_thread():
            # A signal that comes just before the loop waits would else be heard only after it.
            before = signal.set_wakeup_fd(poll.bell_end, warn_on_full_buffer=False)
        ring(poll.bell_end)
        if self.service.websocket is not None:
            self.pulse = loop.call_later(_PULSE_SECONDS, self._look_at_dialogues)
        try:
            while not self.over.done():
                try:
                    await asyncio.wait([self.over])
                except asyncio.CancelledError:
                    if poll.stopping:
                        raise
                    # Whoever runs us calls `stop` first. It is the application that cancels whatever tasks it finds.
                    asyncio.current_task().uncancel()
                    self.service.log_failure(
                        "the application cancelled the server's own task; it goes on", None
                    )
        finally:
            if self.pulse is not None:
                self.pulse.cancel()
            if before != -2:
                signal.set_wakeup_fd(before)
            loop.remove_reader(poll.epoll)
            await self._cancel()
            if self.lane.standby is not None:
                cython.cast(Standby, self.lane.standby).task.cancel()
                self.lane.standby = None
            poll.serving -= 1
            self.service.loop = None

    def unfinished(self):
        """What the tasks are about that have not ended: requests, WebSockets, and what goes on after a reply."""
        return [] if self.lane is None else what_runs(self.lane)

    async def _cancel(self):
        """End the tasks that still run. Whoever has a WebSocket, and waits for what its peer says, hears of the end first."""
        tasks = list(self.lane.tasks)
        if self.lane.dialogues:
            self._end_dialogues()
            await wait_for(tasks, _HEARING_SECONDS)
        for task in tasks:
            task.cancel()
        await wait_for(tasks, self.cancelled_seconds)

    def _look_at_dialogues(self):
        """Have WebSockets ask whether their peers are there."""
        now: int64_t = clock_ns(CLOCK_MONOTONIC)
        for dialogue in list(self.lane.dialogues):
            cython.cast(Dialogue, dialogue).keep_alive(now)
        self.pulse = self.service.loop.call_later(_PULSE_SECONDS, self._look_at_dialogues)

    def _end_dialogues(self):
        for dialogue in list(self.lane.dialogues):
            cython.cast(Dialogue, dialogue).leave(_RESTARTS)

    def _done(self, task):
        task_done(self.lane, task)

    def turn(self):
        """Take what is ready, as long as more comes, but not for ever: others wait for the loop, too."""
        poll: cython.pointer(Poll) = cython.address(self.service.poll)
        lane: Lane = self.lane
        conn: cython.pointer(Conn)
        last: cython.pointer(Conn)
        rounds: cython.int = 0
        PyErr_CheckSignals()  # uvloop comes here straight from its wait: no other Python code would run their handlers
        only_parent(self.service)
        lane.due = False
        lane.turning = True
        poll.turns += 1
        if __atomic_load_n(cython.address(poll.dozing), __ATOMIC_SEQ_CST):
            ring(poll.attendant_bell_end)
        if poll.draining and not poll.drain_begun:
            self.begin_drain()
            self._end_dialogues()
        try:
            while collect(poll, 0) > 0 or poll.first != cython.NULL:
                lane.stands_by = can_stand_by(self.service.loop)
                # No further than what is ready now: one that is always ready again must not keep the others from being heard.
                last = poll.last
                conn = cython.NULL
                while conn != last:
                    conn = pop(poll)
                    if poll.nheld and is_time(poll):
                        release(lane)
                    poll.turns += 1
                    try:
                        take_turn(lane, conn)
                    except Exception:
                        # No memory, most likely. What raises stands before whatever could have ended the connection.
                        self.service.log_error("a connection was given up")
                        end(self.service, conn)
                if poll.nheld:
                    release(lane)
                rounds += 1
                if rounds == _ROUNDS:
                    break
            if lane.late:
                push_late(lane)
        finally:
            lane.turning = False
        if poll.strangers:
            self.tell_of_strangers()
        if poll.board != cython.NULL and not poll.draining:
            __atomic_store_n(cython.address(poll.share.ready), 1, __ATOMIC_SEQ_CST)
        if poll.first != cython.NULL:
            lane.settle()
        if (
            poll.stopping or (poll.draining and poll.wheel.open == 0 and not lane.tasks)
        ) and not self.over.done():
            self.over.set_result(None)
