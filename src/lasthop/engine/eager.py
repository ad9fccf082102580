# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Tasks that begin at once, for Python 3.11: what `eager_start` is from Python 3.12 on.

A task that is made asks `call_soon` of its loop for its first step. That is a loop's whole part in it, and any loop may do it in its own way: while one of
ours is made, the step is noted instead, and run as soon as the task is there. After that it is a task like all others. Knows nothing of requests.
"""

from asyncio import Task

import cython
from cython.cimports.cpython.contextvars import PyContext_Enter, PyContext_Exit

_NAME = cython.declare(str, "call_soon")


def can_begin_at_once(loop) -> bool:
    """Can `call_soon` of this loop be answered by somebody else for a moment, and is it the loop's own now?"""
    return isinstance(getattr(loop, "__dict__", None), dict) and _NAME not in loop.__dict__


class Eager:
    """Makes tasks of coroutines in a callback of `loop`; what they raise that ends a loop (SystemExit) is raised here."""

    def __cinit__(self, loop):
        self.loop = loop
        self.namespace = loop.__dict__
        self.catcher = self.catch

    def __call__(self, coroutine):
        self.namespace[_NAME] = self.catcher
        try:
            task = Task(coroutine, loop=self.loop)
        finally:
            del self.namespace[_NAME]
        step = self.step
        context = self.context
        self.step = None
        self.context = None
        self.asked = 0
        if step is None:
            return task
        PyContext_Enter(context)
        try:
            step()
        finally:
            PyContext_Exit(context)
        return task

    def catch(self, callback, *args, context=None):
        """`call_soon`, while a task is made. A finalizer may run there and ask for something, too: then nobody knows whose step is whose, and the loop gets all."""
        if args:
            return type(self.loop).call_soon(self.loop, callback, *args, context=context)
        self.asked += 1
        if self.asked == 1:
            self.step = callback
            self.context = context
            return None
        if self.step is not None:
            type(self.loop).call_soon(self.loop, self.step, context=self.context)
            self.step = None
        return type(self.loop).call_soon(self.loop, callback, context=context)
