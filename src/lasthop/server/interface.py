"""Is an application WSGI or ASGI? Found out by looking at it, never by calling it.

An ASGI application makes a coroutine when it is called with three arguments; WSGI's takes two. Frameworks differ in how they say so, so the signs are
looked at in order: a coroutine function, an object or a class whose `__call__` is one, what a wrapper wraps, and at last how many arguments are wanted.
"""

import functools
from logging import getLogger
from types import CodeType, FunctionType
from typing import Any, Literal

from lasthop.errors import TargetError

Interface = Literal["wsgi", "asgi"]

CALLED_WITH: dict[Interface, tuple[str, ...]] = {
    "wsgi": ("environ", "start_response"),
    "asgi": ("scope", "receive", "send"),
}

CO_VARARGS, CO_COROUTINE, CO_ITERABLE_COROUTINE = 0x04, 0x80, 0x100
"""Flags of a code object (documented in the module inspect, which is slow to import): it takes any arguments; its call makes a coroutine."""

DEPTH = 20
"""Wrappers in wrappers that are looked through."""

ANY = 255
"""More arguments than anything is called with: whoever takes any takes so many."""

log = getLogger("lasthop")


def interface_of(application: Any, text: str) -> Interface:
    """Which of the two it is. Raises TargetError for ASGI's version 2, which nobody sends any more."""
    for found in _unwrapped(application):
        # Some objects have a `__call__` of their own; the call of a class is its own class's business.
        call = _get(type(found) if isinstance(found, type) else found, "__call__")
        if _makes_coroutine(found) or _makes_coroutine(call):
            return "asgi"
        if isinstance(found, type):
            if _makes_coroutine(found.__dict__.get("__call__")) and _taken(found)[0] == 1:
                raise TargetError(
                    text,
                    "it is an ASGI 2 application: a class that takes the scope, and is called with (receive, send)",
                    "asgiref.compatibility.guarantee_single_callable(application) makes it one of ASGI 3",
                )
            return "wsgi"
    least, most = _taken(application)
    return (
        "wsgi"
        if least <= len(CALLED_WITH["wsgi"]) <= most or not least <= len(CALLED_WITH["asgi"]) <= most
        else "asgi"
    )


def check(application: Any, text: str, asked: Literal["auto", "wsgi", "asgi"]) -> None:
    """Raise TargetError for one that cannot be called as it would be: each request would fail. Who takes any arguments is told of, as many a wrapper does."""
    kind = interface_of(application, text) if asked == "auto" else asked
    other: Interface = "wsgi" if kind == "asgi" else "asgi"
    least, most = _taken(application)
    if not least <= len(CALLED_WITH[kind]) <= most:
        hint = _sentence(other)
        if least <= len(CALLED_WITH[other]) <= most:
            hint = f"--interface {other}"
        elif least == 0:
            hint = f"'{text}()', if it makes the application"
        raise TargetError(text, f"it takes {_arguments(least, most)}, and {_sentence(kind)}", hint)
    if asked == "auto" and kind == "wsgi" and (least, most) == (0, ANY) and _any(_unwrapped(application)[-1]):
        log.info(
            "%s takes any arguments, so it does not show whether it is WSGI or ASGI: it is served as WSGI; --interface asgi or wsgi says it",
            text,
        )


def looks_like_one(found: Any) -> bool:
    """Whether it may be meant as an application: an object that is called with as many arguments, or a function whose arguments are named so."""
    if isinstance(found, FunctionType):
        return found.__code__.co_varnames[: found.__code__.co_argcount] in CALLED_WITH.values()
    least, most = _taken(found) if callable(found) and not isinstance(found, type) else (0, ANY)
    return least == most and least in map(len, CALLED_WITH.values())


def _sentence(kind: Interface) -> str:
    return f"{'a WSGI' if kind == 'wsgi' else 'an ASGI'} application is called with ({', '.join(CALLED_WITH[kind])})"


def _arguments(least: int, most: int) -> str:
    if most == ANY:
        return f"{least} or more arguments"
    number = str(least) if least == most else f"{least} to {most}"
    return f"{number} argument{'s' * (number != '1')}"


def _taken(found: Any) -> tuple[int, int]:
    """How few and how many positional arguments a call may have. What is not seen for certain, such as of anything but Python's own functions, may have any."""
    if isinstance(found, functools.partial):
        least, most = (0, ANY) if found.keywords else _taken(found.func)
        given = len(found.args)
        return max(0, least - given), most if most == ANY else most - given
    function: Any = found
    bound = 0
    if isinstance(found, type):
        if type(found) is type and _get(found, "__new__") is object.__new__:
            function, bound = _get(found, "__init__"), 1
            if function is object.__init__:
                return 0, 0
        else:
            function = None
    elif not isinstance(found, FunctionType):
        called = found if _get(found, "__func__") is not None else _get(found, "__call__")
        inner = _get(called, "__func__")
        function, bound = (called, 0) if inner is None else (inner, 1)
    if not isinstance(function, FunctionType):
        return 0, ANY
    code = function.__code__
    most = code.co_argcount - bound
    least = max(0, most - len(function.__defaults__ or ()))
    return least, ANY if code.co_flags & CO_VARARGS else most


def _any(found: Any) -> bool:
    """Whether it is a function or method of Python's own that takes any arguments."""
    if not isinstance(found, FunctionType):
        found = _get(_get(found, "__call__"), "__func__")
    return isinstance(found, FunctionType) and bool(found.__code__.co_flags & CO_VARARGS)


def _unwrapped(found: Any) -> list[Any]:
    """The application, and what it is a wrapper of, from outside in."""
    seen = []
    for _ in range(DEPTH):
        seen.append(found)
        if isinstance(found, functools.partial):
            found = found.func
        else:
            inner = _get(found, "__wrapped__")
            if inner is None:
                break
            found = inner
    return seen


def _makes_coroutine(found: Any) -> bool:
    inner = _get(found, "__func__")
    code = _get(found if inner is None else inner, "__code__")
    return isinstance(code, CodeType) and bool(code.co_flags & (CO_COROUTINE | CO_ITERABLE_COROUTINE))


def _get(found: Any, name: str) -> Any:
    """An attribute, or None: what the application is made of may raise anything when it is asked (Flask's `request`, outside of one)."""
    try:
        return getattr(found, name, None)
    except Exception:  # noqa: BLE001
        return None
