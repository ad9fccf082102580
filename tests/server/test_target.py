"""Targets: how they are written, and what is said of those that lead nowhere."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from lasthop.errors import ApplicationFailed, TargetError
from lasthop.server.target import Call, Target, parse


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that can be imported as ``site``'s neighbour ``shop``."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "shop.py"
    for name in [each for each in sys.modules if each.partition(".")[0] == "shop"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop:app", ("shop", ("app",), None)),
        ("shop.wsgi:site.app", ("shop.wsgi", ("site", "app"), None)),
        ("shop:create()", ("shop", ("create",), Call((), {}))),
        ('shop:a.create("x", -1, n=[1, None])', ("shop", ("a", "create"), Call(("x", -1), {"n": [1, None]}))),
    ],
)
def test_reads(text: str, expected: tuple[str, tuple[str, ...], Call | None]) -> None:
    assert Target(text, *expected) == parse(text)


@pytest.mark.parametrize(
    ("text", "what", "instead"),
    [
        ("shop", "the attribute is missing", "shop:application, or what it is called there"),
        ("shop:", "the attribute is missing", "shop:application, or what it is called there"),
        ("shop.py", "that is a file, and a module is asked for", "shop:application"),
        ("./web/shop.py:app", "that is a file, and a module is asked for", "web.shop:app"),
        ("", "'' is not the name of a module", "module:attribute"),
        ("my-shop:app", "'my-shop' is not the name of a module", "module:attribute"),
        ("shop:1", "'1' is not an attribute", "module:attribute or module:create()"),
        ("shop:a b", "'a b' is not an attribute", "module:attribute or module:create()"),
        ("shop:create()()", "'create()()' is not an attribute", "module:attribute or module:create()"),
        ("shop:create(open)", "a factory's arguments must be literals", 'module:create("x", n=1)'),
        ("shop:create(*[1])", "a factory's arguments must be literals", 'module:create("x", n=1)'),
        ("shop:create(**{})", "a factory's arguments must be literals", 'module:create("x", n=1)'),
    ],
)
def test_says_what_is_wrong_and_what_to_write(text: str, what: str, instead: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse(text)
    assert (f"{text!r} names no application: {what}", instead) == (caught.value.what, caught.value.hint)


def test_loads_an_attribute_of_an_attribute(module: Path) -> None:
    module.write_text("class site:\n    app = staticmethod(lambda environ, start_response: ['found'])\n")
    assert ["found"] == parse("shop:site.app").load()({}, None)


def test_calls_a_factory(module: Path) -> None:
    module.write_text("def create(*args, **named):\n    return lambda *_: (args, named)\n")
    assert (("x",), {"n": 1}) == parse("shop:create('x', n=1)").load()()


def test_a_module_that_is_not_there(module: Path) -> None:
    with pytest.raises(TargetError, match="there is no module 'shop'") as caught:
        parse("shop:app").load()
    assert "--chdir and --pythonpath" in caught.value.hint


def test_a_submodule_that_is_not_there(module: Path) -> None:
    module.write_text("")
    with pytest.raises(TargetError, match=r"there is no module 'shop\.wsgi'"):
        parse("shop.wsgi:app").load()


def test_a_module_that_is_missing_inside_is_the_applications_failure(module: Path) -> None:
    module.write_text("import shop_database\n")
    with pytest.raises(ApplicationFailed) as caught:
        parse("shop:app").load()
    lines = caught.value.traceback.splitlines()
    assert "Traceback (most recent call last):" == lines[0]
    assert f'  File "{module}", line 1, in <module>' == lines[1]
    assert "ModuleNotFoundError: No module named 'shop_database'" == lines[-1]


@pytest.mark.parametrize("code", ["1 / 0", "import sys; sys.exit(3)", "def", "raise KeyboardInterrupt"])
def test_whatever_the_import_raises_is_shown_from_the_users_code_on(module: Path, code: str) -> None:
    module.write_text(code)
    if "Keyboard" in code:
        with pytest.raises(KeyboardInterrupt):
            parse("shop:app").load()
        return
    with pytest.raises(ApplicationFailed) as caught:
        parse("shop:app").load()
    assert str(module) in "".join(caught.value.traceback.splitlines()[:2])
    assert "target.py" not in caught.value.traceback
    assert "importlib" not in caught.value.traceback


def test_what_a_factory_raises_is_shown(module: Path) -> None:
    module.write_text("def create(n):\n    return n / 0\n")
    with pytest.raises(ApplicationFailed, match=r"shop\.create\(\) failed") as caught:
        parse("shop:create(1)").load()
    assert "ZeroDivisionError: division by zero" == caught.value.traceback.splitlines()[-1]


def test_an_attribute_that_is_missing_comes_with_near_names(module: Path) -> None:
    module.write_text("application = print\n")
    with pytest.raises(TargetError, match="shop has no attribute 'aplication'") as caught:
        parse("shop:aplication").load()
    assert "did you mean application?" == caught.value.hint


def test_an_attribute_that_is_missing_comes_with_usual_names(module: Path) -> None:
    module.write_text("wsgi = print\n")
    with pytest.raises(TargetError) as caught:
        parse("shop:something").load()
    assert "did you mean wsgi?" == caught.value.hint


def test_a_near_name_that_cannot_be_called_is_not_offered_but_the_applications_are(module: Path) -> None:
    module.write_text(
        "scope = 1\n"
        "class Site:\n    def __call__(self, environ, start_response): ...\n"
        "site = Site()\n"
        "async def app(scope, receive, send): ...\n"
        "def view(request, number): ...\n"
        "async def with_send(scope, receive, send): ...\n"
    )
    with pytest.raises(TargetError) as caught:
        parse("shop:nope").load()
    assert "did you mean app or site or with_send?" == caught.value.hint


def test_what_raises_when_it_is_looked_at_is_no_hindrance(module: Path) -> None:
    module.write_text("from flask import Flask, request\napplication = Flask(__name__)\n")
    with pytest.raises(TargetError) as caught:
        parse("shop:aplication").load()
    assert "did you mean application?" == caught.value.hint


def test_where_nothing_looks_like_an_application_it_says_so(module: Path) -> None:
    module.write_text("number = 1\n")
    with pytest.raises(TargetError) as caught:
        parse("shop:nope").load()
    assert caught.value.hint.startswith("shop has nothing that looks like an application")


def test_before_a_dot_any_near_name_is_offered(module: Path) -> None:
    module.write_text("class Holder:\n    app = print\nsites = Holder()\n")
    with pytest.raises(TargetError) as caught:
        parse("shop:sties.app").load()
    assert "did you mean sites?" == caught.value.hint


def test_what_cannot_be_called_is_no_application(module: Path) -> None:
    module.write_text("app = 42\ndef application(environ, start_response): ...\n")
    with pytest.raises(TargetError, match=r"shop\.app is an int, and an application is called") as caught:
        parse("shop:app").load()
    assert "did you mean shop:application?" == caught.value.hint


def test_a_factory_that_is_a_coroutine_function_is_refused_and_its_coroutine_closed(module: Path) -> None:
    module.write_text("async def create():\n    return print\n")
    with pytest.raises(TargetError, match=r"shop\.create\(\) makes a coroutine") as caught:
        parse("shop:create()").load()
    assert "def instead of async def; what is to be awaited belongs in the lifespan" == caught.value.hint
    with pytest.raises(TargetError, match=r"shop\.create makes a coroutine") as caught:
        parse("shop:create").load()
    assert "def instead of async def; what is to be awaited belongs in the lifespan" == caught.value.hint


@pytest.mark.parametrize(
    ("interface", "code", "what", "hint"),
    [
        ("asgi", "def app(environ, start_response): ...", "it takes 2 arguments", "--interface wsgi"),
        ("wsgi", "async def app(scope, receive, send): ...", "it takes 3 arguments", "--interface asgi"),
    ],
)
def test_one_that_cannot_be_called_as_the_settings_say_is_refused(
    module: Path, interface: Literal["wsgi", "asgi"], code: str, what: str, hint: str
) -> None:
    module.write_text(code + "\n")
    with pytest.raises(TargetError, match=what) as caught:
        parse("shop:app")._replace(interface=interface).load()
    assert hint == caught.value.hint


def test_what_cannot_be_called_is_no_factory(module: Path) -> None:
    module.write_text("create = 42\n")
    with pytest.raises(TargetError, match=r"shop\.create is an int and cannot be called"):
        parse("shop:create()").load()


def test_a_module_is_no_application(module: Path) -> None:
    module.write_text("import json\n")
    with pytest.raises(TargetError, match=r"shop\.json is a module") as caught:
        parse("shop:json").load()
    assert "did you mean shop:json.application?" == caught.value.hint
