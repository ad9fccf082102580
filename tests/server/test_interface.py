"""What an application is, as seen from outside: real frameworks, and what people write themselves."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from lasthop.errors import TargetError
from lasthop.server.interface import interface_of


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
