# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""An awaitable whose value is there already: `await` gives it without going through the event loop.

Most of what an ASGI application awaits of a server is so: a body that has come with its head, a message that the socket took. It looks like a coroutine
(send, throw, close), so that `asyncio.create_task(receive())` and `asyncio.wait_for` take it as they take a coroutine function's.
"""

import cython
from cython.cimports.cpython.exc import PyErr_SetObject
from cython.cimports.cpython.object import PyObject


class Ready:
    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self.value)

    def send(self, value):
        """As a coroutine's: it ends at once."""
        raise StopIteration(self.value)

    def throw(self, kind, value=None, traceback=None):
        """As a coroutine's: raises what it is given."""
        if value is None:
            value = kind() if isinstance(kind, type) else kind
        elif not isinstance(value, BaseException):
            value = kind(value)
        raise value if traceback is None else value.with_traceback(traceback)

    def close(self):
        """As a coroutine's: nothing is under way."""


@cython.cfunc
@cython.exceptval(check=False)
def _end(self: cython.pointer(PyObject)) -> cython.pointer(PyObject):
    """`__next__` for the interpreter's own use: no exception object, and no traceback, for what happens twice a request."""
    made: Ready = cython.cast(Ready, self)
    if made.value is not None:
        PyErr_SetObject(StopIteration, made.value)
    return cython.NULL


cython.cast(cython.pointer(TypeObject), Ready).tp_iternext = _end


def ready(value):
    """An awaitable that gives `value`, a dict."""
    made: Ready = Ready()
    made.value = value
    return made


NOTHING = ready(None)
"""For all that gives None: it has no state, so one serves all."""
