"""What an application is, as seen from outside: real frameworks, and what people write themselves."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from lasthop.errors import TargetError
from lasthop.server.interface import check, interface_of


async def coroutine(scope: Any, receive: Any, send: Any) -> None: ...


def simple(environ: Any, start_response: Any) -> list[bytes]:
    return []


def returns_coroutine(scope: Any, receive: Any, send: Any) -> Any:
    return coroutine(scope, receive, send)


class Asgi:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class Wsgi:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


class WsgiClass:
    def __init__(self, environ: Any, start_response: Any) -> None: ...


class Asgi2:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*arguments: Any) -> Any:
        return function(*arguments)

    return inner


def starlette() -> Any:
    return pytest.importorskip("starlette.applications").Starlette()


def fastapi() -> Any:
    return pytest.importorskip("fastapi").FastAPI()


def litestar() -> Any:
    return pytest.importorskip("litestar").Litestar([])


def quart() -> Any:
    return pytest.importorskip("quart").Quart("shop")


def django(kind: str) -> Any:
    settings = pytest.importorskip("django.conf").settings
    if not settings.configured:
        settings.configure()
    return getattr(pytest.importorskip(f"django.core.{kind}"), f"get_{kind}_application")()


def flask() -> Any:
    return pytest.importorskip("flask").Flask("shop")


def named(application: Any) -> str:
    """The same in every run, unlike a repr with an address."""
    return getattr(application, "__name__", type(application).__name__)


@pytest.mark.parametrize(
    "application",
    [
        coroutine,
        Asgi(),
        Asgi().method,
        functools.partial(coroutine),
        functools.partial(functools.partial(coroutine)),
        wrapped(coroutine),
        returns_coroutine,
        functools.partial(starlette),
        functools.partial(fastapi),
        functools.partial(litestar),
        functools.partial(quart),
        functools.partial(django, "asgi"),
    ],
    ids=named,
)
def test_asgi(application: Any) -> None:
    if isinstance(application, functools.partial) and application.func in (
        starlette,
        fastapi,
        litestar,
        quart,
        django,
    ):
        application = application()
    assert "asgi" == interface_of(application, "shop:app")


@pytest.mark.parametrize(
    "application",
    [
        simple,
        Wsgi(),
        WsgiClass,
        functools.partial(simple),
        wrapped(simple),
        functools.partial(flask),
        functools.partial(django, "wsgi"),
    ],
    ids=named,
)
def test_wsgi(application: Any) -> None:
    if isinstance(application, functools.partial) and application.func in (flask, django):
        application = application()
    assert "wsgi" == interface_of(application, "shop:app")


def test_version_2_is_named_with_what_helps() -> None:
    with pytest.raises(TargetError, match="ASGI 2"):
        interface_of(Asgi2, "shop:app")


class CallSetInInit:
    """As sentry-sdk's middleware."""

    __slots__ = ("__call__",)

    def __init__(self) -> None:
        self.__call__ = self.run

    async def run(self, scope: Any, receive: Any, send: Any) -> None: ...


def test_an_object_may_have_a_call_of_its_own() -> None:
    assert "asgi" == interface_of(CallSetInInit(), "shop:app")
    check(CallSetInInit(), "shop:app", "auto")


def factory(settings: object = None, **options: object) -> Any:
    return simple


class Inherits(Asgi): ...


@pytest.mark.parametrize("made", [factory, Asgi, Inherits], ids=named)
def test_what_makes_an_application_is_refused_with_what_calls_it(made: Any) -> None:
    with pytest.raises(TargetError) as caught:
        check(made, "shop:made", "auto")
    assert "'shop:made()', if it makes the application" == caught.value.hint


class Anything:
    def __call__(self, *arguments: Any) -> Any: ...


class Many:
    def __call__(self, environ: Any, start_response: Any, more: Any = None, *rest: Any) -> Any: ...


APPLICATIONS: list[Any] = [
    coroutine, Asgi(), Asgi().method, returns_coroutine, simple, Wsgi(), WsgiClass, wrapped(simple), wrapped(coroutine),
    functools.partial(simple), functools.partial(coroutine), Anything(), Many(), Many().__call__, print, lambda *_: None,
]  # fmt: skip


@pytest.mark.parametrize("application", APPLICATIONS, ids=named)
def test_what_can_be_called_as_it_seems_is_not_refused(application: Any) -> None:
    check(application, "shop:app", "auto")


@pytest.mark.parametrize("make", [starlette, fastapi, litestar, quart, flask], ids=named)
def test_frameworks_are_not_refused(make: Callable[[], Any]) -> None:
    check(make(), "shop:app", "auto")


@pytest.mark.parametrize(
    ("application", "asked", "what", "hint"),
    [
        (simple, "asgi", "it takes 2 arguments, and an ASGI application is called with (scope, receive, send)", "--interface wsgi"),
        (Wsgi(), "asgi", "it takes 2 arguments, and an ASGI application is called with (scope, receive, send)", "--interface wsgi"),
        (WsgiClass, "asgi", "it takes 2 arguments, and an ASGI application is called with (scope, receive, send)", "--interface wsgi"),
        (coroutine, "wsgi", "it takes 3 arguments, and a WSGI application is called with (environ, start_response)", "--interface asgi"),
        (Asgi().method, "wsgi", "it takes 3 arguments, and a WSGI application is called with (environ, start_response)", "--interface asgi"),
        (functools.partial(simple, None), "auto", "it takes 1 argument, and a WSGI application is called with (environ, start_response)",
         "an ASGI application is called with (scope, receive, send)"),
        (lambda a, b, c, d=1, *e: None, "wsgi", "it takes 3 or more arguments, and a WSGI application is called with (environ, start_response)",
         "--interface asgi"),
    ],
)  # fmt: skip
def test_what_cannot_be_called_so_is_refused(application: Any, asked: Any, what: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        check(application, "shop:app", asked)
    assert (f"'shop:app' names no application: {what}", hint) == (caught.value.what, caught.value.hint)


@pytest.mark.parametrize("application", [Anything(), lambda *_: None, wrapped(Anything())])
def test_one_that_does_not_show_what_it_is_is_told_of(
    application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lasthop")
    check(application, "shop:app", "auto")
    assert ["--interface asgi or wsgi says it"] == [
        record.getMessage().rpartition("; ")[2] for record in caplog.records
    ]
    check(application, "shop:app", "wsgi")
    check(wrapped(simple), "shop:app", "auto")
    assert 1 == len(caplog.records)


class RaisesWhatItLikes:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not now")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class HasEverything:
    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


class CalledByItsClass(type):
    async def __call__(cls, scope: Any, receive: Any, send: Any) -> None: ...


class Called(metaclass=CalledByItsClass):
    pass


@pytest.mark.parametrize(
    ("make", "kind"), [(RaisesWhatItLikes, "asgi"), (HasEverything, "wsgi"), (lambda: Called, "asgi")]
)
def test_objects_that_answer_oddly_are_looked_at_all_the_same(make: Callable[[], Any], kind: str) -> None:
    application = make()
    assert kind == interface_of(application, "shop:app")
    check(application, "shop:app", "auto")
