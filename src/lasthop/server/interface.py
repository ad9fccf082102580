"""Is an application WSGI or ASGI? Found out by looking at it, never by calling it.

An ASGI application makes a coroutine when it is called with three arguments; WSGI's takes two. Frameworks differ in how they say so, so the signs are
looked at in order: a coroutine function, an object or a class whose `__call__` is one, what a wrapper wraps, and at last how many arguments are wanted.
"""

import functools
from typing import Any, Literal

from lasthop.errors import TargetError

Interface = Literal["wsgi", "asgi"]

CO_VARARGS, CO_COROUTINE, CO_ITERABLE_COROUTINE = 0x04, 0x80, 0x100
"""Flags of a code object (documented in the module inspect, which is slow to import): it takes any arguments; its call makes a coroutine."""

DEPTH = 20
"""Wrappers in wrappers that are looked through."""


def interface_of(application: Any, text: str) -> Interface:
    """Which of the two it is. Raises TargetError for ASGI's version 2, which nobody sends any more."""
    for found in _unwrapped(application):
        call = getattr(type(found), "__call__", None)  # noqa: B004 - what it is, not whether it is there
        if _makes_coroutine(found) or (not isinstance(found, type) and _makes_coroutine(call)):
            return "asgi"
        if isinstance(found, type):
            if (
                _makes_coroutine(found.__dict__.get("__call__"))
                and _wanted(found.__dict__.get("__init__")) == 2
            ):
                raise TargetError(
                    text,
                    "it is an ASGI 2 application: a class that takes the scope, and is called with (receive, send)",
                    "asgiref.compatibility.guarantee_single_callable(application) makes it one of ASGI 3",
                )
            return "wsgi"
    return "asgi" if _wanted(application) == 3 else "wsgi"


def _unwrapped(found: Any) -> list[Any]:
    """The application, and what it is a wrapper of, from outside in."""
    seen = []
    for _ in range(DEPTH):
        seen.append(found)
        if isinstance(found, functools.partial):
            found = found.func
        else:
            inner = getattr(found, "__wrapped__", None)
            if inner is None:
                break
            found = inner
    return seen


def _makes_coroutine(found: Any) -> bool:
    code = getattr(getattr(found, "__func__", found), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & (CO_COROUTINE | CO_ITERABLE_COROUTINE))


def _wanted(found: Any) -> int:
    """How many positional arguments a plain function or method wants besides `self`, or -1 where that cannot be seen."""
    bound = getattr(found, "__self__", None) is not None
    function = getattr(found, "__func__", found)
    code = getattr(function, "__code__", None)
    if code is None:
        function = getattr(type(found), "__call__", None)  # noqa: B004
        code = getattr(function, "__code__", None)
        bound = True
    if code is None or code.co_flags & CO_VARARGS:
        return -1
    return int(code.co_argcount) - bound - len(getattr(function, "__defaults__", None) or ())
