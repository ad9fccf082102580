"""What ``lasthop serve`` is given: ``module:attribute``, ``module:a.b`` or a factory, ``module:create("x", n=1)``.

Read into a Target without importing anything; loaded in the process that serves. Only literals may be arguments: a target is a
name, not a program.
"""

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable
from types import CoroutineType, FunctionType, ModuleType, TracebackType
from typing import Any, Literal, NamedTuple

from lasthop.errors import ApplicationFailed, TargetError
from lasthop.server import interface

Application = Callable[..., Any]

CO_VARARGS, CO_COROUTINE = 0x04, 0x80
"""Flags of a code object (documented in the module inspect): it takes any arguments; its call makes a coroutine."""

USUAL = ("application", "app", "wsgi", "asgi")
"""What applications are called."""
FACTORY = "create_app"
"""What makes them is called."""


class Call(NamedTuple):
    """The arguments of a factory."""

    positional: tuple[Any, ...]
    named: dict[str, Any]


class Target(NamedTuple):
    """Where the application is found."""

    text: str
    module: str
    attributes: tuple[str, ...]
    call: Call | None
    interface: Literal["auto", "wsgi", "asgi"] = "auto"
    """As what it is to be called, as the settings say."""

    def load(self) -> Application:
        """Import the module and take the application out of it.

        Whatever the application's own code raises becomes an ApplicationFailed with the traceback of that code, ours cut off.
        """
        found: Any = _import(self)
        at = self.module
        for name in self.attributes:
            found, at = _attribute(self, found, at, name), f"{at}.{name}"
        if self.call is not None:
            if not callable(found):
                raise TargetError(
                    self.text, f"{at} is {_a(found)} and cannot be called", self.text.partition("(")[0]
                )
            try:
                found = found(*self.call.positional, **self.call.named)
            except (Exception, SystemExit) as error:
                raise ApplicationFailed(self.text, f"{at}() failed", users_traceback(error)) from error
            at += "()"
            if isinstance(found, CoroutineType):
                found.close()
                raise self._not_at_once(at)
        if not callable(found):
            raise TargetError(
                self.text, f"{at} is {_a(found)}, and an application is called", self._instead(found)
            )
        if (
            isinstance(found, FunctionType)
            and not found.__code__.co_argcount
            and not found.__code__.co_flags & CO_VARARGS
        ):
            if found.__code__.co_flags & CO_COROUTINE:
                raise self._not_at_once(at)
            raise TargetError(
                self.text, f"{at} takes no arguments: it makes the application, perhaps", f"'{self.text}()'"
            )
        interface.check(found, self.text, self.interface)
        return found  # type: ignore[no-any-return]

    def _not_at_once(self, at: str) -> TargetError:
        return TargetError(
            self.text,
            f"{at} makes a coroutine, and a factory makes the application at once",
            "def instead of async def; what is to be awaited belongs in the lifespan",
        )

    def _instead(self, found: object) -> str:
        if isinstance(found, ModuleType):
            return _did_you_mean(f"{self.text}.{each}" for each in _applications(found) or ["application"])
        module = sys.modules[self.module]
        return _did_you_mean(f"{self.module}:{each}" for each in _applications(module)) or _named_in(
            self.module
        )


def parse(text: str) -> Target:
    """The target that a text names."""
    module, colon, expression = text.partition(":")
    if module.endswith(".py") or "/" in module:
        dotted = module.removesuffix(".py").strip("./").replace("/", ".")
        raise TargetError(
            text, "that is a file, and a module is asked for", f"{dotted}:{expression or 'application'}"
        )
    if not all(part.isidentifier() for part in module.split(".")):
        raise TargetError(text, f"{module!r} is not the name of a module", "module:attribute")
    if not colon or not expression:
        raise TargetError(
            text, "the attribute is missing", f"{module}:application, or what it is called there"
        )
    attributes, call = _expression(text, expression)
    return Target(text, module, attributes, call)


def _expression(text: str, expression: str) -> tuple[tuple[str, ...], Call | None]:
    try:
        node: ast.expr = ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise TargetError(
            text, f"{expression!r} is not an attribute", "module:attribute or module:create()"
        ) from error
    call = None
    if isinstance(node, ast.Call):
        try:
            call = Call(
                tuple(ast.literal_eval(each) for each in node.args),
                {_name(each): ast.literal_eval(each.value) for each in node.keywords},
            )
        except ValueError as error:
            raise TargetError(
                text, "a factory's arguments must be literals", 'module:create("x", n=1)'
            ) from error
        node = node.func
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise TargetError(text, f"{expression!r} is not an attribute", "module:attribute or module:create()")
    return (node.id, *reversed(names)), call


def _name(keyword: ast.keyword) -> str:
    if keyword.arg is None:
        raise ValueError("**")
    return keyword.arg


def _import(target: Target) -> ModuleType:
    try:
        return importlib.import_module(target.module)
    except ModuleNotFoundError as error:
        # Missing is the module itself or a package above it; any other name is missing inside the application's own code.
        if error.name is not None and f"{target.module}.".startswith(f"{error.name}."):
            where = sys.path[0] or "."
            raise TargetError(
                target.text,
                f"there is no module {error.name!r}",
                f"begin in the directory that holds it (lasthop serve has --chdir and --pythonpath for it); {where} and Python's own were searched",
            ) from error
        raise ApplicationFailed(
            target.text, f"importing {target.module} failed", users_traceback(error)
        ) from error
    except (Exception, SystemExit) as error:
        raise ApplicationFailed(
            target.text, f"importing {target.module} failed", users_traceback(error)
        ) from error


def _attribute(target: Target, owner: Any, at: str, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        import difflib

        # Between two dots anything may stand; at the end only what can be called.
        names = [each for each in dir(owner) if not each.startswith("_")]
        if name == target.attributes[-1]:
            names = [each for each in names if _is_called(owner, each)]
        near = difflib.get_close_matches(name, names, n=2)
        if isinstance(owner, ModuleType):
            near += _applications(owner)
        hint = _did_you_mean(near) or _named_in(at)
        raise TargetError(target.text, f"{at} has no attribute {name!r}", hint) from error


def _is_called(owner: Any, name: str) -> bool:
    try:
        return callable(getattr(owner, name))
    except Exception:  # noqa: BLE001 - whatever a property raises
        return False


def _applications(module: ModuleType) -> list[str]:
    """The names in a module that look like an application's, or a factory's."""
    found = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (interface.looks_like_one(value) or (name in (*USUAL, FACTORY) and callable(value)))
    ]
    found.sort(key=lambda name: name not in (*USUAL, FACTORY))
    return [f"{name}()" if name == FACTORY else name for name in found]


def _did_you_mean(names: Iterable[str]) -> str:
    likeliest = list(dict.fromkeys(names))[:3]
    return f"did you mean {' or '.join(likeliest)}?" if likeliest else ""


def _named_in(at: str) -> str:
    return f"{at} has nothing that looks like an application: MODULE:ATTRIBUTE names one, MODULE:FACTORY() calls what makes it"


def users_traceback(error: BaseException) -> str:
    """The traceback from the first frame that is the user's: what the import machinery and we do on the way is left out."""
    frames: TracebackType | None = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _is_ours(file: str) -> bool:
    return file in (__file__, importlib.__file__) or file.startswith("<frozen importlib")


def _a(found: object) -> str:
    kind = type(found).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
