"""The compiled floor and load, and a place to run them in."""

from collections.abc import Iterator

import pytest

from bench.build import build
from bench.measure import Stand
from bench.process import Bailiff, Cores


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A stand with very short rounds: the figures do not matter here, that they are right does."""
    with Bailiff() as bailiff:
        build(bailiff.directory)
        yield Stand(bailiff, Cores.here(), seconds=0.1, seed=1)
