# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A task that stands by: most coroutines of requests end without ever waiting, and need a task only to be asked who they are.

Knows tasks and coroutines; nothing of requests. A coroutine's first step runs here, under a task that was made before (`asyncio.current_task()` gives it, in
its context), entered and left as asyncio's own tasks do ("Extending", `_enter_task`). If the coroutine ends at once and has left the task as it was, the next
one takes it. If it waits, the task goes on with it to its end, as if it had begun it: it is a common `asyncio.Task`, whose coroutine is a `Standby`, which is
the request's. So it makes no difference, except in time, whether a coroutine ends at once: a task is made only for those that wait.

**As it was** means: nobody holds the task, weakly neither; it has no callback, was not cancelled, and its context has no more in it. Else it ends as it would have.
Its name is new each time.
"""

import asyncio
import weakref
from asyncio.tasks import _enter_task, _leave_task

import cython
from cython.cimports.cpython.contextvars import PyContext_Enter, PyContext_Exit
from cython.cimports.cpython.exc import PyErr_Fetch, PyErr_NormalizeException
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_REFCNT, Py_XDECREF
from cython.cimports.cpython.unicode import PyUnicode_DecodeASCII
from cython.cimports.lasthop.engine.linux import (
    PYGEN_NEXT,
    PYGEN_RETURN,
    PyException_SetTraceback,
    PyIter_Send,
)
from cython.cimports.lasthop.engine.ready import as_raised
from cython.cimports.libc.string import memcpy

_Task = cython.declare(object, asyncio.Task)
_enter = cython.declare(object, _enter_task)
_leave = cython.declare(object, _leave_task)
_count_weak = cython.declare(object, weakref.getweakrefcount)
_made = cython.declare(cython.ulonglong, 0)
"""Coroutines that were begun: for their tasks' names."""

_IDLE = cython.declare(cython.int, 0)
_FIRST = cython.declare(cython.int, 1)
"""The coroutine's first step goes on."""
_HANDED = cython.declare(cython.int, 2)
"""The coroutine waits, and the task is to hear of it."""
_RUNS = cython.declare(cython.int, 3)
_OVER = cython.declare(cython.int, 4)
"""The task is to end, as the coroutine did."""


class Rest:
    """What a task that stands by waits for, made like a future: it only tells how to have the task go on."""

    def get_loop(self):
        """As a future's."""
        return self.standby.loop

    def add_done_callback(self, callback, *, context=None):
        """As a future's."""
        self.standby.wakeup = callback

    def cancel(self, msg=None):
        """As a future's: somebody cancels the task. If a coroutine is about its first step, the task remembers it; else it ends."""
        standby: Standby = self.standby
        if standby is None:
            return False
        if standby.stage != _IDLE:
            standby.cancelled = True
            return False
        standby.stage = _OVER
        standby.error = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        standby.loop.call_soon(standby.wakeup, self, context=standby.context)
        return True

    def result(self):
        """As a future's, when the task goes on."""


class Standby:
    """The task's coroutine, as far as the task is concerned. Whoever else looks sees the coroutine that runs in it."""

    def __getattr__(self, name):
        return getattr(self.coroutine, name)

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self._step()

    def send(self, value):
        """As a coroutine's."""
        return self._step() if value is None else self.coroutine.send(value)

    def throw(self, kind, value=None, traceback=None):
        """As a coroutine's: the task does it when it is cancelled, or what it waits for fails."""
        raised = as_raised(kind, value, traceback)
        if self.stage == _HANDED:
            # It was cancelled before it knew what the coroutine waits for: that is cancelled, as the task would have done.
            awaited: object = self.awaited
            self.awaited = None
            self.stage = _RUNS
            if (
                asyncio.isfuture(awaited)
                and isinstance(raised, asyncio.CancelledError)
                and awaited.cancel(*raised.args)
            ):
                awaited._asyncio_future_blocking = True
                return awaited
        if self.stage == _RUNS:
            return self.coroutine.throw(raised)
        self.stage = _OVER
        raise raised if self.error is None else self.error

    def close(self):
        """As a coroutine's."""
        if self.coroutine is not None:
            self.coroutine.close()

    def is_free(self):
        """Has nobody cancelled the task?"""
        return self.stage == _IDLE

    def begin(self, coroutine):
        """Let the coroutine make its first step, in the task. WAITS: `go_on` is to follow; ENDED: `error` is what it raised, and `leave` is to follow unless it `stands`."""
        result: cython.pointer(PyObject) = cython.NULL
        sent: cython.int
        references: cython.Py_ssize_t = Py_REFCNT(self.task)
        PyContext_Enter(self.context)
        try:
            _enter(self.loop, self.task)
        except RuntimeError:  # another task is about a step, and runs the loop in it
            PyContext_Exit(self.context)
            return ELSEWHERE
        self.coroutine = coroutine
        self.stage = _FIRST
        self.stands = False
        self.error = None
        self.name(_next_name())
        sent = PyIter_Send(coroutine, None, cython.address(result))
        if sent < 0:
            self.error = _raised()
        PyContext_Exit(self.context)
        _leave(self.loop, self.task)
        if sent == PYGEN_NEXT:
            self.awaited = cython.cast(object, result)
            Py_XDECREF(result)
            self.stage = _HANDED
            if self.wakeup is None and getattr(self.awaited, "_asyncio_future_blocking", None) is True:
                # The task will hear of it in its first step. Until then others may await the same future.
                self.awaited._asyncio_future_blocking = False
                self.blocking = True
            return WAITS
        if sent == PYGEN_RETURN:
            self.value = cython.cast(object, result)
            Py_XDECREF(result)
        if self._is_untouched(references):
            self.stage = _IDLE
            self.coroutine = None
            self.value = None
            self.stands = True
        else:
            self.stage = _OVER
        return ENDED

    def _is_untouched(self, references):
        task: object = self.task
        if (
            Py_REFCNT(task) != references
            or len(self.context) != len(self.pristine)
            or (task._must_cancel if self.wakeup is None else self.cancelled)
            or task._callbacks is not None
            or _count_weak(task) != 1
        ):
            return False
        if len(self.pristine) == 0:
            return True
        for variable in self.pristine:
            if self.context[variable] is not self.pristine[variable]:
                return False
        return True

    def go_on(self):
        """The coroutine waits: from now on the task has it, and nobody else."""
        wakeup: object = self.wakeup
        rest: Rest = self.rest
        self._forget()
        if wakeup is not None:
            wakeup(rest)
        return 0

    def leave(self):
        """The task ends as its coroutine has ended."""
        task: object = self.task
        wakeup: object = self.wakeup
        rest: Rest = self.rest
        self.stage = _OVER
        self._forget()
        if self.error is not None:
            task.add_done_callback(_hear)
        if wakeup is not None:
            try:
                wakeup(rest)
            except (SystemExit, KeyboardInterrupt):  # a task raises them besides; they were told of
                return 0
        return 0

    def _forget(self):
        self.task = None
        self.name = None
        self.wakeup = None
        self.rest.standby = None
        self.rest = None

    def _step(self):
        """The task's own."""
        result: cython.pointer(PyObject) = cython.NULL
        sent: cython.int
        awaited: object
        if self.stage == _RUNS:
            sent = PyIter_Send(self.coroutine, None, cython.address(result))
            if sent < 0:
                raise _raised()
            awaited = cython.cast(object, result)
            Py_XDECREF(result)
            if sent == PYGEN_NEXT:
                return awaited
            raise StopIteration(awaited)
        if self.stage == _HANDED:
            awaited = self.awaited
            self.awaited = None
            self.stage = _RUNS
            if self.blocking:
                awaited._asyncio_future_blocking = True
            return awaited
        if self.stage != _OVER:
            self.rest._asyncio_future_blocking = True
            return self.rest
        if self.error is not None:
            raise self.error
        raise StopIteration(self.value)


@cython.cfunc
def _raised() -> object:
    """The exception that is being raised, with its traceback as it is; it is raised no more."""
    kind: cython.pointer(PyObject) = cython.NULL
    value: cython.pointer(PyObject) = cython.NULL
    traceback: cython.pointer(PyObject) = cython.NULL
    PyErr_Fetch(cython.address(kind), cython.address(value), cython.address(traceback))
    PyErr_NormalizeException(cython.address(kind), cython.address(value), cython.address(traceback))
    error: object = cython.cast(object, value)
    if traceback != cython.NULL:
        PyException_SetTraceback(error, cython.cast(object, traceback))
    Py_XDECREF(kind)
    Py_XDECREF(value)
    Py_XDECREF(traceback)
    return error


@cython.cfunc
def _next_name() -> str:
    """As "request-17", counted in this process."""
    global _made
    text: cython.char[32]
    at: cython.int = 32
    left: cython.ulonglong
    _made += 1
    left = _made
    while left:
        at -= 1
        text[at] = 48 + left % 10
        left //= 10
    at -= 8
    memcpy(text + at, "request-", 8)
    return PyUnicode_DecodeASCII(text + at, 32 - at, cython.NULL)


def _hear(task):
    """Of an error that was told of already, so that nobody tells of it again."""
    if not task.cancelled():
        task.exception()


def can_stand_by(loop):
    """Does the loop leave its tasks to asyncio, as it is when nobody has changed it?"""
    return loop.get_task_factory() is None and asyncio.Task is _Task and _Task.__module__ == "_asyncio"


def stand_by(loop, pristine):
    """A new task of the loop in a copy of the context `pristine`, for the next coroutine."""
    standby: Standby = Standby()
    standby.loop = loop
    standby.pristine = pristine
    standby.context = pristine.copy()
    standby.rest = Rest()
    standby.rest.standby = standby
    standby.task = _Task(standby, loop=loop, context=standby.context)
    standby.name = standby.task.set_name
    return standby
