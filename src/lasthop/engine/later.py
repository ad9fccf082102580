# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""An awaitable of what a `Holder` does not have yet: a message, or room for one. Each time it is woken it looks again.

It does what a coroutine function would do (`while` nothing is there: `await` a future), in a fifth of the memory: an idle WebSocket is somebody who waits.
Like `ready`, it looks like a coroutine.
"""

import cython
from cython.cimports.cpython.exc import PyErr_SetObject
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_INCREF
from cython.cimports.lasthop.engine.ending import Holder
from cython.cimports.lasthop.engine.ready import TypeObject, as_raised


class Later:
    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        """As a coroutine's step: StopIteration with the value, or a future to wait for."""
        raise NotImplementedError

    def send(self, value):
        """As a coroutine's."""
        return next(self)

    def throw(self, kind, value=None, traceback=None):
        """As a coroutine's: raises what it is given."""
        self._leave_off()
        raise as_raised(kind, value, traceback)

    def close(self):
        """As a coroutine's."""
        self._leave_off()

    def _leave_off(self):
        holder: Holder = self.holder
        self.holder = None
        if holder is not None:
            holder.leave_off(self.receiving)
        return 0


def step(awaited):
    """`__next__` for the interpreter's own use. NULL without an exception is the end, with None."""
    made: Later = cython.cast(Later, awaited)
    holder: Holder = made.holder
    value: object = None
    if holder is None:
        raise RuntimeError("what receive or send gave cannot be awaited a second time")
    if made.receiving:
        value = holder.message()
        if value is not None:
            made.holder = None
            PyErr_SetObject(StopIteration, value)
            return cython.NULL
    elif holder.has_room():
        made.holder = None
        return cython.NULL
    future: object = holder.wait(made.receiving)
    future._asyncio_future_blocking = True
    Py_INCREF(future)
    return cython.cast(cython.pointer(PyObject), future)


cython.cast(cython.pointer(TypeObject), Later).tp_iternext = step


def later(holder, receiving):
    """An awaitable that gives the next message of `holder`, or with not `receiving` None as soon as it has room."""
    made: Later = Later()
    made.holder = holder
    made.receiving = receiving
    return made
