# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The messages of a connection that its application has not taken, in their order, and what they weigh.

Knows ASGI messages with `bytes` or `text`, and nothing of where they come from. Nearly always one message waits, or none, so the first has a place of its
own and a deque (600 bytes) is made only for more.
"""

from collections import deque

import cython
from cython.cimports.cpython.unicode import PyUnicode_KIND

_WEIGHT = cython.declare(cython.Py_ssize_t, 300)
"""Memory of a message beside its payload: a dict of two, a str or bytes object."""


class Messages:
    """What the application has not taken, with a deque's ways."""

    __slots__ = ("_session",)

    def __init__(self, session):
        self._session = session

    def __len__(self):
        inbox: Inbox = self._session
        if inbox._first is None:
            return 0
        return 1 + (len(inbox._more) if inbox._more is not None else 0)

    def __iter__(self):
        inbox: Inbox = self._session
        yield from [] if inbox._first is None else [inbox._first, *(inbox._more or ())]

    def popleft(self):
        message = self._session.receive()
        if message is None:
            raise IndexError("no message has come")
        return message


class Inbox:
    """What a connection inherits, so that it costs no object of its own."""

    @property
    def messages(self):
        """The messages with a deque's ways; `receive` is the quicker way to take one."""
        return Messages(self)

    def _queue(self, message):
        self.held += _weight(message)
        if self._first is None:
            self._first = message
            return 0
        if self._more is None:
            self._more = deque()
        self._more.append(message)
        return 0

    def _next(self):
        message: dict = self._first
        if message is None:
            return None
        self.held -= _weight(message)
        if self._more is None:
            self._first = None
        else:
            self._first = self._more.popleft()
            if not self._more:
                self._more = None
        return message


@cython.cfunc
def _weight(message: dict) -> cython.Py_ssize_t:
    payload = message.get("bytes")
    if payload is not None:
        return _WEIGHT + len(cython.cast(bytes, payload))
    payload = message.get("text")
    if payload is not None:
        return _WEIGHT + len(cython.cast(str, payload)) * PyUnicode_KIND(payload)
    return _WEIGHT
