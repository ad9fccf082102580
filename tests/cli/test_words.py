"""The layer over argparse: errors of ours, no shortened options, help in two columns."""

from __future__ import annotations

import pytest

from lasthop.cli.words import Parser, did_you_mean
from lasthop.errors import UsageError


def made() -> Parser:
    parser = Parser("lasthop x", "lasthop x [option ...]")
    parser.add_argument("-n", "--number", metavar="N", help="a number")
    parser.add_argument("--fast", action="store_true", help="no waiting")
    return parser


def test_reads_what_it_knows() -> None:
    words = made().read(["-n", "1", "--fast"])
    assert ("1", True) == (words.number, words.fast)


@pytest.mark.parametrize(
    "arguments", [["--num", "1"], ["--fas"], ["-x"], ["stray"], ["--number"], ["--numbr=1"]]
)
def test_refuses_the_rest(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        made().read(arguments)


def test_an_option_with_its_value_is_named_without_it() -> None:
    with pytest.raises(UsageError, match=r"there is no option --numbr\b") as caught:
        made().read(["--numbr=1"])
    assert "did you mean --number?" == caught.value.hint


def test_the_metavar_stands_there_once() -> None:
    lines = made().format_help().splitlines()
    assert "  -n, --number N  a number" in lines
    assert "      --fast      no waiting" in lines


def test_what_is_far_from_everything_is_not_guessed() -> None:
    assert "" == did_you_mean("zzz", ["serve", "version"])
