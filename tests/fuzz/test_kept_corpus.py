"""The inputs that the fuzzer found worth keeping, replayed: what was true of them stays true."""

from pathlib import Path

import pytest

from tests.fuzz.fuzz_reader import check

KEPT = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name[:12])
def test_a_kept_input_is_read_alike_by_all(path: Path) -> None:
    check(path.read_bytes())


def test_the_kept_corpus_is_there_and_small() -> None:
    assert 100 <= len(KEPT) <= 500
    assert sum(path.stat().st_size for path in KEPT) <= 1 << 20
