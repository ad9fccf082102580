"""What the live tests share: a lasthop that a whole module uses, real fronts before it, and the mark `live` on everything here.

A front whose program is not installed skips its tests and says so; `make test` as root installs all of them.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lasthop.demo.serving import Serving

from .fronts import Front, missing

HERE = Path(__file__).resolve().parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "live: with real fronts, frameworks and hostile peers; takes minutes, not seconds"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """A directory with a short name, which the user of a front may pass through."""
    with tempfile.TemporaryDirectory(prefix="lasthop-live-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


Run = Callable[..., Serving]


@pytest.fixture(scope="module")
def run(directory: Path) -> Iterator[Run]:
    """Start servers that live as long as the module: `run("applications.pages:application", "--threads", "1")`."""
    with ExitStack() as running:
        started: list[Serving] = []

        def start(target: str, *options: str, **environment: str) -> Serving:
            path = directory / f"{len(started)}.sock"
            server = Serving(
                target,
                *options,
                bind=[f"unix:{path}", "127.0.0.1:0"],
                log=directory / f"{len(started)}.log",
                cwd=HERE,
                env={name: value for name, value in os.environ.items() if not name.startswith("LASTHOP_")}
                | environment,
            )
            started.append(server)
            running.enter_context(server)
            path.chmod(0o666)  # Apache's workers run as another user when root starts it
            return server

        yield start


Before = Callable[[str, str], Front]


@pytest.fixture(scope="module")
def before(directory: Path) -> Iterator[Before]:
    """Put fronts before an address: `before("nginx", server.unix)`. The same again gives the one that is there."""
    with ExitStack() as running:
        started: dict[tuple[str, str], Front] = {}

        def start(kind: str, address: str) -> Front:
            if missing(kind):
                pytest.skip(f"{missing(kind)} is not installed")
            if (kind, address) not in started:
                place = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=directory))
                place.chmod(0o755)
                started[kind, address] = running.enter_context(Front(kind, address, place))
            return started[kind, address]

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its fronts and its servers said."""
    report = yield
    if report.when == "call" and report.failed:
        place = getattr(item, "funcargs", {}).get("directory") or getattr(item, "funcargs", {}).get(
            "short_directory"
        )
        for log in sorted(place.rglob("*.log")) if place is not None else ():
            said = log.read_text("utf-8", "replace")[-1500:]
            if said:
                report.sections.append((f"what {log.relative_to(place)} says", said))
    return report


@pytest.fixture(scope="module")
def large_file(directory: Path) -> tuple[Path, str]:
    """A file of 3 MB that no two places of are alike, and its digest."""
    content = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(100_000))
    path = directory / "large.bin"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()
