"""lasthop does the right thing with its socket file in every situation of the matrix, behind a real nginx as www-data.

The situations and what is right in each stand in bench/matrix/situations.py, where other servers are put through them too.
"""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.matrix import cell
from bench.matrix.rules import Mark
from bench.matrix.situations import SITUATIONS


@pytest.mark.parametrize("situation", list(SITUATIONS))
def test_lasthop_does_right(situation: str) -> None:
    if cell.lacking():
        pytest.skip(cell.lacking())
    if cell.lasthop_lacks(situation):
        pytest.skip(f"there is no setting {cell.lasthop_lacks(situation)} yet")
    try:
        outcome = cell.outcome("lasthop", situation)
    except BenchError as error:
        if "may run no Python" not in str(error):
            raise
        pytest.skip(str(error).splitlines()[-1])
    assert Mark.RIGHT is outcome.mark, outcome.says


def test_there_are_as_many_situations_as_promised() -> None:
    assert 24 <= len(SITUATIONS)
