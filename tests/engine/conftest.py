"""`run(application, ...)`: an engine in threads of this process; a test that leaves a descriptor open fails.

For the load: `answer(talk)`, a server that answers as the test says, and `floor`, one that costs as little as a server can.
"""

import gc
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.engine.answering import Answering, Floor, Talking
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


class Answer(Protocol):
    """The fixture `answer`: start a server that answers as `talk` does."""

    def __call__(self, talk: Talking, backlog: int = ...) -> Answering: ...


@pytest.fixture
def answer(short_directory: Path) -> Iterator[Answer]:
    """Start servers; end them when the test has ended."""
    started: list[Answering] = []
    before = open_descriptors()

    def start(talk: Talking, backlog: int = 1024) -> Answering:
        directory = short_directory / f"answering-{len(started)}"
        directory.mkdir()
        started.append(Answering(directory, talk, backlog))
        return started[-1]

    yield start
    for server in started:
        server.finish()
    if open_descriptors() - before:
        gc.collect()
    assert set() == open_descriptors() - before


@pytest.fixture(scope="session")
def floor_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bench's floor, compiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc): apt-get install gcc")
    program = tmp_path_factory.mktemp("floor") / "floor"
    source = Path(__file__).parents[2] / "bench/floor.c"
    # What a sanitized run puts before Python's own libraries is not for the compiler.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    subprocess.run([compiler, "-O2", "-o", program, source], check=True, env=environment)
    return program


@pytest.fixture
def floor(floor_program: Path, short_directory: Path) -> Iterator[Floor]:
    running = Floor(floor_program, short_directory)
    yield running
    running.finish()
