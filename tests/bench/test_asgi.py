"""The ASGI cases, asked of a server that is a peer: what is asked makes sense, and the figures of its table come back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.asgicases import asgi_cases
from bench.case import Case
from bench.interpreters import OLDEST, OWN, own
from bench.measure import Stand
from bench.peers import SERVERS

UVICORN = SERVERS["uvicorn"]


@pytest.mark.skipif(UVICORN.missing(own()) is not None, reason="uvicorn with uvloop is not installed")
@pytest.mark.parametrize(
    "case", [case for case in asgi_cases() if case.name.endswith(OLDEST)], ids=lambda it: it.name
)
def test_a_case_gives_the_figures_of_its_table(stand: Stand, case: Case) -> None:
    if case.name.startswith("asgi-starlette") and own().installed("starlette") is None:
        pytest.skip("starlette is not installed")
    work = replace(case.work, python=OWN, connections=min(case.work.connections, 100))
    figures = case.measure(stand, UVICORN, work)
    assert set() == set(case.columns) - set(figures)
    assert figures.get("errors", 0) == 0


def test_a_case_is_asked_of_the_same_servers_in_both_pythons() -> None:
    asked: dict[str, set[tuple[str, ...]]] = {}
    for case in asgi_cases():
        asked.setdefault(case.name.rpartition("-")[0], set()).add(case.servers)
    assert all(len(servers) == 1 for servers in asked.values())
