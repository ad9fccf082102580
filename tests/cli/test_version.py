"""`lasthop version`."""

from __future__ import annotations

import platform

import pytest

from lasthop import __version__
from lasthop.cli import main


@pytest.mark.parametrize("word", ["version", "--version", "-V"])
def test_says_versions_of_all_that_matters(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main([word])
    assert (
        f"lasthop {__version__}, cpython {platform.python_version()}, Linux {platform.release()}\n"
        == capsys.readouterr().out
    )
