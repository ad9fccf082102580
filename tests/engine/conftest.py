"""`run(application, ...)`: an engine in threads of this process; a test that leaves a descriptor open fails."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.engine.running import Application, Link, Running

THREADS = (1, 4, 16)


class Run(Protocol):
    """The fixture `run`: start an engine; `options` are Engine's, and `backlog`."""

    def __call__(self, application: Application, threads: int = ..., **options: Any) -> Running: ...


def open_descriptors() -> set[str]:
    """What each descriptor of this process is."""
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            found.add(f"{name}: {os.readlink(f'/proc/self/fd/{name}')}")  # noqa: PTH115
        except FileNotFoundError:  # the listing's own
            pass
    return found


@pytest.fixture
def run(short_directory: Path) -> Iterator[Run]:
    """Start engines; end them when the test has ended."""
    started: list[Running] = []
    before = open_descriptors()

    def start(application: Application, threads: int = 1, **options: Any) -> Running:
        directory = short_directory / str(len(started))
        directory.mkdir()
        running = Running(application, directory, threads, options)
        started.append(running)
        return running

    yield start
    while started:
        started.pop(0).finish()
    if open_descriptors() - before:
        gc.collect()  # dear, in a process with as much in it as this one
    assert set() == open_descriptors() - before


@pytest.fixture(params=THREADS, ids=lambda count: f"{count}-threads")
def threads(request: pytest.FixtureRequest) -> int:
    """Each way to serve: one thread alone, a few, many."""
    count: int = request.param
    return count


@pytest.fixture(params=["unix", "tcp"])
def link(request: pytest.FixtureRequest) -> Link:
    found: Link = request.param
    return found
