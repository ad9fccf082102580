"""Data from a file as the dataclasses that it says it is: every field there, of its type, and a number that can be one.

Knows types, and nothing of what the data means. Whoever computes with it afterwards need not ask again whether a count is a text.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

LEAST, MOST = 1e-12, 1e18
"""No figure here is smaller or larger: a nanosecond is 1e-9 s, thirty years are 1e18 ns. Others would not survive the arithmetic."""


def typed(kind: Any, value: Any, where: str = "") -> Any:
    """The value as `kind`: a dataclass or NamedTuple, str, int, float, bool, or a list, tuple, dict or union of these.

    Raises ValueError, which names the place.
    """
    origin, of = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        return (
            None
            if value is None
            else typed(next(each for each in of if each is not type(None)), value, where)
        )
    if dataclasses.is_dataclass(kind):
        return _fields(kind, value, where)
    if origin is list:
        return [typed(of[0], each, f"{where}[{at}]") for at, each in enumerate(_a(list, value, where))]
    if origin is dict:
        _a(dict, value, where)
        return {name: typed(of[1], each, f"{where}[{name!r:.60}]") for name, each in value.items()}
    if origin is tuple:
        return tuple(_places(of, value, where))
    if hasattr(kind, "_fields"):
        return kind(*_places(_hints(kind).values(), value, where))
    if kind in (int, float):
        return _number(kind, value, where)
    return _a(kind, value, where)


def _fields(kind: Any, value: Any, where: str) -> Any:
    _a(dict, value, where)
    hints = _hints(kind)
    for each in dataclasses.fields(kind):
        optional = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if each.name not in value and not optional:
            raise ValueError(f"{where or 'it'} has no {each.name!r}")
    for name in value:
        if name not in hints:
            raise ValueError(f"{where or 'it'} has {name!r:.60}, which nobody knows")
    prefix = f"{where}." if where else ""
    return kind(**{name: typed(hints[name], each, prefix + name) for name, each in value.items()})


def _places(kinds: Iterable[Any], value: Any, where: str) -> list[Any]:
    kinds = list(kinds)
    if len(_a(list, value, where)) != len(kinds):
        raise ValueError(f"{where} has {len(value)} elements, not {len(kinds)}")
    return [
        typed(kind, each, f"{where}[{at}]") for at, (kind, each) in enumerate(zip(kinds, value, strict=True))
    ]


def _number(kind: Any, value: Any, where: str) -> Any:
    fits = isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
    if not fits or not (value == 0 or LEAST <= value <= MOST):
        raise ValueError(
            f"{where} is {value!r:.60}, not {'a number' if kind is float else 'a whole number'} from 0 to 1e18"
        )
    return value


def _a(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{where or 'it'} is {value!r:.60}, not {_WORDS[kind]}")
    return value


_WORDS: Mapping[Any, str] = {str: "a text", bool: "true or false", list: "a list", dict: "an object"}


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)
