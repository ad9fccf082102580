# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A task that stands by: most coroutines of requests end without ever waiting, and need a task only to be asked who they are.

Knows tasks and coroutines; nothing of requests. An application is called here, and its coroutine makes its first step, under a task that was made before
(`asyncio.current_task()` gives it, in its context), entered and left as asyncio's own tasks do ("Extending", `_enter_task`). If the coroutine ends at once and
has left the task as it was, the next one takes it. If it waits, the task goes on with it to its end, as if it had begun it: it is a common `asyncio.Task`,
whose coroutine is a `Standby`, which is the request's. So a task is made only for those that wait.

**As it was** means: nobody holds the task, its coroutine or its context, weakly neither; the task has no callback and no attribute, was not cancelled, and the context has
no more in it. Else the task ends as it would have. Its name is new each time.

**Standing by** is a wait, for a `Rest`: the task knows how to go on from the beginning. Until Python 3.12 a task cannot begin at once: it asks its loop's
`call_soon` for its first step, and that is all that it does with the loop while it is made. So for that moment `call_soon` is answered here.
"""

import asyncio
import gc
import sys
import types
from asyncio.tasks import _enter_task, _leave_task

import cython
from cython.cimports.cpython.contextvars import PyContext_Enter, PyContext_Exit
from cython.cimports.cpython.exc import PyErr_Clear, PyErr_Fetch, PyErr_NormalizeException, PyErr_SetObject
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_INCREF, Py_XDECREF
from cython.cimports.cpython.unicode import PyUnicode_1BYTE_DATA, PyUnicode_New
from cython.cimports.lasthop.engine.linux import (
    PYGEN_ERROR,
    PYGEN_NEXT,
    PYGEN_RETURN,
    GetSet,
    GetSetDescriptor,
    PyCoro_CheckExact,
    PyException_SetTraceback,
    PyIter_Send,
    PyObject_GenericGetDict,
    enter_context,
    vectorcall,
)
from cython.cimports.lasthop.engine.ready import TypeObject, as_raised
from cython.cimports.lasthop.engine.weak import count_weak
from cython.cimports.libc.string import memcpy

_Task = cython.declare(object, asyncio.Task)
_enter = cython.declare(object, _enter_task)
_leave = cython.declare(object, _leave_task)
_EAGER = cython.declare(cython.bint, sys.version_info >= (3, 12))
_AT_ONCE = cython.declare(dict, {"eager_start": True} if _EAGER else {})
_SOON = cython.declare(str, "call_soon")
_callbacks = cython.declare(cython.pointer(GetSet), cython.NULL)
"""How C's tasks tell their callbacks: looking the attribute up takes ten times as long, for each request."""
if isinstance(_Task.__dict__.get("_callbacks"), types.GetSetDescriptorType):
    _callbacks = cython.cast(
        cython.pointer(GetSetDescriptor),
        cython.cast(cython.pointer(PyObject), _Task.__dict__["_callbacks"]),
    ).d_getset
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
        return _of(self).loop

    def add_done_callback(self, callback, *, context=None):
        """As a future's."""
        _of(self).wakeup = callback

    def cancel(self, msg=None):
        """As a future's: somebody cancels the task. If a coroutine is about its first step, the task remembers it; else it ends."""
        standby: Standby = self.standby
        if standby is None:
            return False
        wakeup: object = standby.wakeup
        if standby.stage == _FIRST or wakeup is None:
            standby.cancelled = True
            return False
        standby.stage = _OVER
        standby.wakeup = None
        standby.error = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        standby.loop.call_soon(wakeup, self, context=standby.pristine)
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
        """As a coroutine's step: StopIteration with the value, or a future to wait for."""
        raise NotImplementedError

    def send(self, value):
        """As a coroutine's."""
        return next(self) if value is None else self.coroutine.send(value)

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
                and (awaited.cancelled() or awaited.cancel(*raised.args))
            ):
                return awaited
        if self.stage == _RUNS:
            return self.coroutine.throw(raised)
        raise raised if self.error is None else self.error

    def close(self):
        """As a coroutine's."""
        if self.coroutine is not None:
            self.coroutine.close()

    def is_free(self):
        """Has nobody cancelled the task, which can be found while it stands by, and nobody kept it?"""
        return self.stage == _IDLE and self._is_unknown()

    def is_idle(self):
        return self.stage == _IDLE

    def _is_unknown(self):
        rest: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), self.rest)
        task: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), self.task)
        context: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), self.context)
        return (
            cython.cast(cython.pointer(PyObject), self).ob_refcnt == self.to_this  # `Task.get_coro` gives it
            and rest.ob_refcnt == self.to_rest
            and task.ob_refcnt == self.to_task
            and context.ob_refcnt == self.to_context
            and count_weak(task) == self.weakly
            and count_weak(context) == 0
        )

    def begin(self, application, scope, receive, send):
        """Call the application, and let its coroutine make the first step, in the task.

        WAITS: `go_on` is to follow. ENDED: `error` is what it raised, and `leave` is to follow unless the task `stands`.
        """
        result: cython.pointer(PyObject) = cython.NULL
        called: cython.pointer(PyObject)
        made: cython.pointer(PyObject)
        sent: cython.int = PYGEN_ERROR
        name: str = _next_name()
        whose: cython.pointer(PyObject)[2]
        given: cython.pointer(PyObject)[3]
        whose[0] = cython.cast(cython.pointer(PyObject), self.loop)
        whose[1] = cython.cast(cython.pointer(PyObject), self.task)
        given[0] = cython.cast(cython.pointer(PyObject), scope)
        given[1] = cython.cast(cython.pointer(PyObject), receive)
        given[2] = cython.cast(cython.pointer(PyObject), send)
        # Called as C calls: each `try` would save and restore what is being handled, for every request.
        if enter_context(self.context):
            PyErr_Clear()
            return ELSEWHERE
        called = vectorcall(_enter, whose, 2, cython.NULL)
        if called == cython.NULL:  # another task is about a step, and runs the loop in it
            PyErr_Clear()
            PyContext_Exit(self.context)
            return ELSEWHERE
        Py_XDECREF(called)
        self.stage = _FIRST
        self.stands = False
        self.cancelled = False
        self.error = None
        whose[0] = cython.cast(cython.pointer(PyObject), name)
        called = vectorcall(self.name, whose, 1, cython.NULL)
        if called != cython.NULL:
            Py_XDECREF(called)
            called = vectorcall(application, given, 3, cython.NULL)
        if called != cython.NULL and not PyCoro_CheckExact(cython.cast(object, called)):
            given[0] = called
            made = vectorcall(_await, given, 1, cython.NULL)
            Py_XDECREF(called)
            called = made
        if called != cython.NULL:
            self.coroutine = cython.cast(object, called)
            Py_XDECREF(called)
            sent = PyIter_Send(self.coroutine, None, cython.address(result))
        if sent == PYGEN_ERROR:
            self.error = _raised()
        PyContext_Exit(self.context)
        whose[0] = cython.cast(cython.pointer(PyObject), self.loop)
        called = vectorcall(_leave, whose, 2, cython.NULL)
        if called == cython.NULL:  # the coroutine has left it, and the task cannot tell who is next
            PyErr_Clear()
            self.cancelled = True
        Py_XDECREF(called)
        if sent == PYGEN_NEXT:
            self.awaited = cython.cast(object, result)
            Py_XDECREF(result)
            self.stage = _HANDED
            return WAITS
        if sent == PYGEN_RETURN:
            self.value = cython.cast(object, result)
            Py_XDECREF(result)
        if self._is_untouched():
            self.stage = _IDLE
            self.coroutine = None
            self.value = None
            self.stands = True
        else:
            self.stage = _OVER
        return ENDED

    def _is_untouched(self):
        if (
            self.cancelled
            or not self._is_unknown()
            or len(self.attributes) != 0
            or len(self.context) != self.variables
            or _has_callbacks(self.task)
        ):
            return False
        if self.variables == 0:
            return True
        for variable in self.pristine:
            if self.context[variable] is not self.pristine[variable]:
                return False
        return True

    def go_on(self):
        """The coroutine waits: from now on the task has it, and nobody else."""
        return self._wake()

    def leave(self):
        """The task ends as its coroutine has ended."""
        self.stage = _OVER
        if self.error is not None:
            self.task.add_done_callback(_hear)
        return self._wake()

    def _wake(self):
        wakeup: object = self.wakeup
        rest: Rest = self.rest
        self._forget()
        try:
            PyContext_Enter(self.context)
        except RuntimeError:  # somebody who found it runs in it, in another thread
            self.loop.call_soon(wakeup, rest)
            return 0
        try:
            wakeup(rest)
        except (SystemExit, KeyboardInterrupt):  # a task raises them besides
            return 0
        finally:
            PyContext_Exit(self.context)
        return 0

    def _forget(self):
        self.attributes = None
        self.task = None
        self.name = None
        self.wakeup = None
        self.rest.standby = None
        self.rest = None


def step(coroutine):
    """`__next__` for the interpreter's own use. NULL without an exception is the end, with None; what is raised gets no line of ours."""
    standby: Standby = cython.cast(Standby, coroutine)
    result: cython.pointer(PyObject) = cython.NULL
    value: object
    if standby.stage == _RUNS:
        if PyIter_Send(standby.coroutine, None, cython.address(result)) != PYGEN_RETURN:
            return result
        value = cython.cast(object, result)
        Py_XDECREF(result)
        return _ended_with(value)
    if standby.stage == _HANDED:
        value = standby.awaited
        standby.awaited = None
        standby.stage = _RUNS
    elif standby.stage == _OVER:
        if standby.error is None:
            return _ended_with(standby.value)
        PyErr_SetObject(type(standby.error), standby.error)
        return cython.NULL
    elif standby.stage == _FIRST:
        raise ValueError("coroutine already executing")
    elif standby.rest is None:
        raise RuntimeError("this was not made by a task that stands by")
    else:
        standby.rest._asyncio_future_blocking = True
        value = standby.rest
    Py_INCREF(value)
    return cython.cast(cython.pointer(PyObject), value)


@cython.cfunc
@cython.exceptval(-1)
def _has_callbacks(task: object) -> cython.bint:
    told: cython.pointer(PyObject) = _callbacks.get(
        cython.cast(cython.pointer(PyObject), task), _callbacks.closure
    )
    if told == cython.NULL:
        raise MemoryError
    some: cython.bint = told != cython.cast(cython.pointer(PyObject), None)
    Py_XDECREF(told)
    return some


@cython.cfunc
@cython.exceptval(check=False)
def _ended_with(value: object) -> cython.pointer(PyObject):
    if value is not None:
        # An exception or a tuple would be taken for what StopIteration is made of.
        error = StopIteration(value)
        PyErr_SetObject(StopIteration, error)
    return cython.NULL


cython.cast(cython.pointer(TypeObject), Standby).tp_iternext = step


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
    name: str = PyUnicode_New(8 + 32 - at, 127)
    to: cython.p_char = cython.cast(cython.p_char, PyUnicode_1BYTE_DATA(name))
    memcpy(to, "request-", 8)
    memcpy(to + 8, text + at, 32 - at)
    return name


def _hear(task):
    """Of an error that was told of already, so that nobody tells of it again."""
    if not task.cancelled():
        task.exception()


async def _await(awaitable):
    """A coroutine for whatever else an application may return."""
    await awaitable


@cython.cfunc
def _of(rest: Rest) -> Standby:
    if rest.standby is None:
        raise RuntimeError("the task has gone on")
    return rest.standby


def can_stand_by(loop):
    """Does the loop leave its tasks to asyncio, as it is when nobody has changed it?"""
    return (
        loop.get_task_factory() is None
        and asyncio.Task is _Task
        and _callbacks != cython.NULL
        and _Task.__module__ == "_asyncio"
        and (_EAGER or (isinstance(getattr(loop, "__dict__", None), dict) and _SOON not in loop.__dict__))
    )


def stand_by(loop, pristine):
    """A new task of the loop in a copy of the context `pristine`, for the next coroutine."""
    standby: Standby = Standby()
    standby.loop = loop
    standby.pristine = pristine
    standby.variables = len(pristine)
    standby.context = pristine.copy()
    standby.rest = Rest()
    standby.rest.standby = standby
    if _EAGER:
        standby.task = _Task(standby, loop=loop, context=standby.context, eager_start=True)
    else:
        standby.task = _begun(standby, loop)
    standby.name = standby.task.set_name
    standby.weakly = count_weak(cython.cast(cython.pointer(PyObject), standby.task))
    standby.attributes = PyObject_GenericGetDict(standby.task, cython.NULL)
    standby.to_this = cython.cast(cython.pointer(PyObject), standby).ob_refcnt
    standby.to_rest = cython.cast(cython.pointer(PyObject), standby.rest).ob_refcnt
    standby.to_task = cython.cast(cython.pointer(PyObject), standby.task).ob_refcnt
    standby.to_context = cython.cast(cython.pointer(PyObject), standby.context).ob_refcnt
    return standby


def own_task(loop, pristine, application, scope, receive, send):
    """A task of the application's coroutine, which nobody has had before and nobody will: for one that will wait."""
    context = pristine.copy()
    coroutine = context.run(application, scope, receive, send)
    if not PyCoro_CheckExact(coroutine):
        coroutine = _await(coroutine)
    return _Task(coroutine, loop=loop, context=context, **_AT_ONCE)


@cython.cfunc
def _begun(standby: Standby, loop: object) -> object:
    """A task that has made its first step already, as with `eager_start`."""
    steps: list = []
    collects = gc.isenabled()
    gc.disable()  # a finalizer might ask the loop for something, too
    loop.__dict__[_SOON] = lambda step, context: steps.append(step)
    try:
        task = _Task(standby, loop=loop, context=standby.context)
    finally:
        del loop.__dict__[_SOON]
        if collects:
            gc.enable()
    steps[0]()
    return task
