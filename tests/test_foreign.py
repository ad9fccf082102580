"""Options of uvicorn and gunicorn: what is said of them is true, and the same in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lasthop.cli import main
from lasthop.cli.serve import parser
from lasthop.foreign import FOREIGN, told

PAGE = Path(__file__).resolve().parents[1] / "docs/how-to/asgi.md"

OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z0-9_-]*")

NAMES = [name for each in FOREIGN for name in each.names]

OTHERS = {"--env-file", "-a"}
"""Options of docker and of the shell in what is said."""


def ours() -> set[str]:
    return {name for action in parser()._actions for name in action.option_strings}


def rows() -> list[tuple[str, str]]:
    """The table of the page, whose first column is uvicorn's."""
    section = PAGE.read_text().partition("## Coming from uvicorn")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ", 1) for line in section.splitlines() if line.startswith("| ")]
    return [(left, right) for left, right in lines[1:]]


@pytest.mark.parametrize("name", NAMES)
def test_the_hint_says_what_it_is_here(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["serve", "shop:app", name, "x"])
    assert f"lasthop: there is no option {name}\n  hint: {told(name)}\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--uds", "/run/a.sock"], "--uds\n  hint: uvicorn's --uds is --bind unix:PATH here\n"),
        (["--port=80"], "--port\n  hint: uvicorn's --port is --bind HOST:PORT here\n"),
        (["-kgthread"], f"-k\n  hint: {told('-k')}\n"),
        (["-xy"], "-xy\n  hint: lasthop serve --help lists all options\n"),
    ],
)
def test_its_value_may_stand_with_it(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main(["serve", "shop:app", *arguments])
    assert f"lasthop: there is no option {text}" == capsys.readouterr().err


def test_an_option_that_two_servers_have_names_both() -> None:
    assert told("--forwarded-allow-ips").startswith("uvicorn's and gunicorn's --forwarded-allow-ips is ")


def test_none_is_ours_and_none_stands_there_twice() -> None:
    assert set() == set(NAMES) & ours()
    assert sorted(set(NAMES)) == sorted(NAMES)


def test_what_is_named_instead_is_an_option() -> None:
    assert set() == {name for each in FOREIGN for name in OPTION.findall(each.here)} - ours() - OTHERS


def test_the_page_has_all_of_uvicorns() -> None:
    on_page = {name for left, _ in rows() for name in OPTION.findall(left)}
    uvicorns = {name for each in FOREIGN if "uvicorn" in each.servers for name in each.names}
    assert set() == uvicorns - on_page
    assert set() == on_page - uvicorns - ours()


def test_the_page_names_what_there_is() -> None:
    assert set() == {name for _, right in rows() for name in OPTION.findall(right)} - ours() - OTHERS
