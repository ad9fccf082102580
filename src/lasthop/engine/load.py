# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The load: one thread that asks a server over many connections, and counts what becomes of it.

**Closed loop** (no rate): each connection asks again as soon as it has its reply. Latency runs from the sending, or from before connect() for the first
request of a connection. A server that stalls is asked less often; `pending_max_ns`, the age of the oldest request without a reply at
the end, is there so that a stall cannot hide in what was never answered.

**Open loop** (`rate`): requests are planned at even times, whatever the server does, and latency runs from the *planned* time. What is due while all
connections are busy waits in line, and that wait is part of its latency. What has no reply at the end is told as `unanswered`.

**The measured window** begins after the warm-up. Everything that ends in it is counted, with a reply or without; the CPU clocks of `pids` and of this
thread are read at both its ends.

Here is what Python sees of it; the loop is loadloop.py's, the connections are loadline.py's. `run` lets go of the GIL, and takes it every tenth of a second in
the main thread alone, for the signals' handlers.
"""

import operator
import os
import threading

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.lasthop.engine.histogram import close_histogram, open_histogram, sparse
from cython.cimports.lasthop.engine.linux import (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLLIN,
    PR_GET_TIMERSLACK,
    PR_SET_TIMERSLACK,
    clock_getcpuclockid,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    eventfd,
    prctl,
)
from cython.cimports.lasthop.engine.loadline import (
    READ_BYTES,
    STATUSES,
    Line,
    Run,
)
from cython.cimports.lasthop.engine.loadloop import drive, start
from cython.cimports.lasthop.engine.poll import clock_ns
from cython.cimports.lasthop.engine.remote import NO_FAILURE, read_address
from cython.cimports.lasthop.engine.replies import close_reading
from cython.cimports.libc.errno import errno
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memset
from cython.cimports.posix.time import CLOCK_MONOTONIC
from cython.cimports.posix.unistd import close, read, write

from lasthop.engine.burst import burst
from lasthop.engine.remote import FAILURES, need_descriptors

__all__ = ["Load", "burst"]

_SIGNALS_NS = cython.declare(int64_t, 100000000)
_NEVER = cython.declare(int64_t, (1 << 63) - 1)

_MOST_CONNECTIONS = 1_000_000
_MOST_PIPELINE = 1024
_LONGEST = 1e8
"""Seconds: more than three years, and far from what an int64 of ns can hold."""


def _seconds(name, value, least):
    """A time as a number of seconds, held to its bounds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of seconds, not {value!r}")
    if not least <= value <= _LONGEST:
        rule = "more than 0" if least > 0 else "at least 0"
        raise ValueError(f"{name} is {value!r} s, but it must be {rule} and at most {_LONGEST:.0f}")
    return float(value)


def _count(name, value, least, most):
    """A whole number, held to its bounds."""
    if isinstance(value, bool):
        raise TypeError(f"{name} is a whole number, not {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None
    if not least <= number <= most:
        raise ValueError(f"{name} is {number}, but it must be {least} to {most}")
    return number


class Load:
    """A load on one address; each `run` makes its connections anew and measures once.

    `address`: the path of a socket file, "@name", or (IP address, port). `requests`: whole requests as they go over the wire, taken in turn.
    `keep_alive` False: a connection a request; the request must ask for that itself (`Connection: close`). `pipeline`: requests that may be
    under way on one connection. `rate`: requests a second over all connections, 0 for a closed loop. `expect_body`: bytes that the body of a 2xx reply
    must have. `is_head`: replies have no body (HEAD). Time-outs in seconds, for the connecting and for each reply.

    What `run` returns: `requests` (whole replies, by their `statuses`), `errors` (by kind, `remote.FAILURES`), `unanswered` at the end of the window and
    `pending_max_ns`, the age of the oldest of them; `planned`: requests that an open loop had due. Without a warm-up
    `planned` is `requests` + `errors` + `unanswered`. `begun`: all requests of the run, the warm-up's too.
    `reconnects`: connections that ended as they should. `busy_ns`: CPU time of this thread; `pids`: of each process, -1 for one that is gone. `latency`: of whole replies; `counts` are (ns, how many), to three digits.

    Nothing here is random; `seed` is taken so that all that measures can be called alike.
    """

    def __cinit__(self):
        memset(cython.address(self.asked), 0, cython.sizeof(Run))
        self.asked.set = -1
        self.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.bell < 0:
            raise OSError(errno, f"{os.strerror(errno)}: a load needs a descriptor to be stopped by")

    def __init__(
        self,
        address,
        requests,
        *,
        connections=32,
        keep_alive=True,
        pipeline=1,
        rate=0.0,
        expect_body=-1,
        is_head=False,
        connect_timeout=5.0,
        reply_timeout=10.0,
        seed=1,
    ):
        if self.running:
            raise RuntimeError("this load is running")
        self.text = None  # until all of this is right, it cannot run
        if isinstance(requests, (bytes, bytearray, str)):
            raise TypeError("requests is a list of bytes: one request is [b'GET / ...']")
        asked = list(requests)
        if not asked:
            raise ValueError("there is no request to send")
        for request in asked:
            if type(request) is not bytes:
                raise TypeError(f"a request is bytes, not {type(request).__name__}")
            if not request:
                raise ValueError("a request is empty")
        self.connections = _count("connections", connections, 1, _MOST_CONNECTIONS)
        self.asked.pipeline = _count("pipeline", pipeline, 1, _MOST_PIPELINE)
        self.asked.expected = _count("expect_body", expect_body, -1, (1 << 62) - 1)
        if not keep_alive and self.asked.pipeline > 1:
            raise ValueError("pipeline needs keep_alive: without it a connection has one request")
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise TypeError(f"rate is a number of requests a second, not {rate!r}")
        if not 0 <= rate <= 1e9 or 0 < rate < 1e-6:
            raise ValueError(f"rate is {rate!r} requests a second, but it must be 0 (a closed loop) to 1e9")
        self.asked.interval_ns = 1e9 / rate if rate else 0.0
        self.asked.connect_ns = int(_seconds("connect_timeout", connect_timeout, 1e-6) * 1e9)
        self.asked.reply_ns = int(_seconds("reply_timeout", reply_timeout, 1e-6) * 1e9)
        # Time-outs are kept to an eighth, and to a millisecond at best.
        self.tick_ns = max(1000000, min(self.asked.connect_ns // 8, self.asked.reply_ns // 8, 25000000))
        self.asked.keep_alive = bool(keep_alive)
        self.asked.is_head = bool(is_head)
        read_address(cython.address(self.asked.remote), address)
        self.asked.kinds = len(asked)
        asked += [asked[i % len(asked)] for i in range(self.asked.pipeline - 1)]
        at = 0
        self.begins = [at]
        for request in asked:
            at += len(request)
            self.begins.append(at)
        self.text = b"".join(asked)

    def __dealloc__(self):
        if self.bell >= 0:
            close(self.bell)

    def stop(self):
        """End the run, from whatever thread; with none under way, the next one ends at once."""
        one: uint64_t = 1
        if write(self.bell, cython.address(one), 8) < 0:
            return  # it cannot be rung more than it is

    def run(self, seconds, *, warmup=0.0, requests=0, pids=(), waits=False):
        """Ask for `seconds` after a warm-up, or until `requests` have ended; `pids`: whose CPU time is read. Returns what was counted.

        `waits`: once the window is over, nothing more is asked, and what is under way is waited for until it has its reply or times out. Latency
        is then of the requests begun in the window, however long they took, and their failures count: a short window hides no long wait.
        """
        watched: list = [_count("a pid", pid, 1, (1 << 31) - 1) for pid in pids]
        length: int64_t = int(_seconds("seconds", seconds, 1e-6) * 1e9)
        warm: int64_t = int(_seconds("warmup", warmup, 0.0) * 1e9)
        most: int64_t = _count("requests", requests, 0, (1 << 62) - 1)
        is_main: cython.bint = threading.current_thread() is threading.main_thread()
        is_done: cython.bint = False
        slack: cython.int
        if self.text is None or self.running:
            raise RuntimeError("this load is running already, or was never made whole")
        need_descriptors(self.connections)
        # The kernel otherwise puts off the end of a wait by up to 50 us, to make one of several.
        slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)
        prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
        self.running = True
        try:
            self._begin(watched)
            self.window.tick_ns = self.tick_ns
            self.window.length_ns = length
            self.window.most = most
            self.window.waits = bool(waits)
            with cython.nogil:
                start(cython.address(self.going), cython.address(self.window), warm)
            while not is_done:
                with cython.nogil:
                    is_done = drive(
                        cython.address(self.going),
                        cython.address(self.window),
                        clock_ns(CLOCK_MONOTONIC) + _SIGNALS_NS if is_main else _NEVER,
                    )
                PyErr_CheckSignals()
            return self._result(watched)
        finally:
            self._end()
            self.running = False
            if slack >= 0:
                prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0)

    def _begin(self, pids):
        """What a run needs: memory, the epoll set, the clocks."""
        i: cython.int
        ready: epoll_event
        run: cython.pointer(Run) = cython.address(self.going)
        window: cython.pointer(Window) = cython.address(self.window)
        run[0] = self.asked
        run.limit = _NEVER
        run.wake_ns = _NEVER
        memset(window, 0, cython.sizeof(Window))
        text: cython.p_const_uchar = self.text
        run.text = text
        run.starts = cython.cast(
            cython.pointer(cython.Py_ssize_t), calloc(len(self.begins), cython.sizeof(cython.Py_ssize_t))
        )
        run.buffer = cython.cast(cython.p_uchar, malloc(READ_BYTES))
        run.begun = cython.cast(
            cython.pointer(int64_t),
            calloc(
                cython.cast(cython.size_t, self.connections) * cython.cast(cython.size_t, run.pipeline),
                cython.sizeof(int64_t),
            ),
        )
        run.lines = cython.cast(
            cython.pointer(Line), calloc(cython.cast(cython.size_t, self.connections), cython.sizeof(Line))
        )
        window.clocks = cython.cast(cython.p_int, calloc(len(pids) + 1, cython.sizeof(cython.int)))
        window.used = cython.cast(cython.pointer(int64_t), calloc(len(pids) + 1, cython.sizeof(int64_t)))
        if (
            run.starts == cython.NULL
            or run.buffer == cython.NULL
            or run.begun == cython.NULL
            or run.lines == cython.NULL
            or window.clocks == cython.NULL
            or window.used == cython.NULL
            or open_histogram(cython.address(run.latency)) < 0
        ):
            raise MemoryError(f"a load of {self.connections} connections has no room")
        for i in range(len(self.begins)):
            run.starts[i] = self.begins[i]
        run.nlines = self.connections
        for i in range(run.nlines):
            run.lines[i].fd = -1
            run.lines[i].begun = run.begun + cython.cast(cython.Py_ssize_t, i) * run.pipeline
        window.pids = len(pids)
        for i in range(window.pids):
            if clock_getcpuclockid(pids[i], cython.address(window.clocks[i])) != 0:
                window.clocks[i] = 0
        run.set = epoll_create1(EPOLL_CLOEXEC)
        memset(cython.address(ready), 0, cython.sizeof(epoll_event))
        ready.events = EPOLLIN
        if run.set < 0 or epoll_ctl(run.set, EPOLL_CTL_ADD, self.bell, cython.address(ready)) < 0:
            raise OSError(errno, f"{os.strerror(errno)}: a load needs an epoll set")
        return 0

    def _end(self):
        """Give back what the run needed."""
        i: cython.int
        rung: uint64_t
        run: cython.pointer(Run) = cython.address(self.going)
        for i in range(run.nlines):
            if run.lines[i].fd >= 0:
                close(run.lines[i].fd)
            close_reading(cython.address(run.lines[i].reading))
        if run.set >= 0:
            close(run.set)
        close_histogram(cython.address(run.latency))
        free(run.lines)
        free(run.begun)
        free(run.buffer)
        free(cython.cast(cython.p_void, run.starts))
        free(self.window.clocks)
        free(self.window.used)
        run[0] = self.asked
        memset(cython.address(self.window), 0, cython.sizeof(Window))
        if read(self.bell, cython.address(rung), 8) < 0:
            return  # nobody rang it

    def _result(self, pids):
        run: cython.pointer(Run) = cython.address(self.going)
        window: cython.pointer(Window) = cython.address(self.window)
        statuses: dict = {i: run.statuses[i] for i in range(STATUSES) if run.statuses[i]}
        return {
            "seconds": (window.end_ns - window.begin_ns) / 1e9,
            "requests": sum(statuses.values()),
            "statuses": statuses,
            "errors": {FAILURES[i]: run.failures[i] for i in range(NO_FAILURE) if run.failures[i]},
            "bytes_in": run.bytes_in,
            "bytes_out": run.bytes_out,
            "body_bytes": run.body_bytes,
            "reconnects": run.reconnects,
            "begun": run.issued,
            "planned": window.planned,
            "unanswered": window.unanswered,
            "pending_max_ns": window.pending_ns,
            "busy_ns": window.busy_ns,
            "pids": {pids[i]: window.used[i] for i in range(window.pids)},
            "latency": {
                "counts": sparse(cython.address(run.latency)),
                "max_ns": run.latency.max_ns,
                "sum_ns": run.latency.sum_ns,
                "count": run.latency.count,
            },
        }
