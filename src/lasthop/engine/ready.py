# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""An awaitable that is done already: `await` gives None without going through the event loop.

Most of what an ASGI application sends is so: the socket took it. It looks like a coroutine (send, throw, close), so that `asyncio.create_task(send(message))`
and `asyncio.wait_for` take it as they take a coroutine function's.
"""

import cython
from cython.cimports.cpython.object import PyObject


class Ready:
    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration

    def send(self, value):
        """As a coroutine's: it ends at once."""
        raise StopIteration

    def throw(self, kind, value=None, traceback=None):
        """As a coroutine's: raises what it is given."""
        raise as_raised(kind, value, traceback)

    def close(self):
        """As a coroutine's: nothing is under way."""


def as_raised(kind, value, traceback):
    """The exception that a coroutine's `throw(kind, value, traceback)` means; `kind` may be the exception itself."""
    if value is None:
        value = kind() if isinstance(kind, type) else kind
    elif not isinstance(value, BaseException):
        value = kind(value)
    return value if traceback is None else value.with_traceback(traceback)


@cython.cfunc
@cython.exceptval(check=False)
def _end(self: cython.pointer(PyObject)) -> cython.pointer(PyObject):
    """`__next__` for the interpreter's own use: NULL without an exception is the end, with None."""
    return cython.NULL


cython.cast(cython.pointer(TypeObject), Ready).tp_iternext = _end

NOTHING = Ready()
"""It has no state, so one serves all."""
