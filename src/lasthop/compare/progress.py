"""How far a comparison is: a live line where there is a terminal, a line for each round where there is none."""

from __future__ import annotations

import io
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from lasthop.compare.results import Results, Round


class Progress(Protocol):
    """What a comparison tells while it runs."""

    def cell(self, name: str) -> None:
        """A cell is being measured."""

    def round(self, done: Round, results: Results) -> None:
        """A round is complete."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def _figures(done: Round) -> str:
    return " · ".join(f"{name} {each.requests_per_second:,.0f}/s" for name, each in done.cells.items())


class Lines:
    """For files and pipes."""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def cell(self, name: str) -> None:
        """Too quick to be told."""

    def round(self, done: Round, results: Results) -> None:
        """One line."""
        print(
            f"round {done.number} of about {results.rounds_planned}: {_figures(done)}",
            file=self._to,
            flush=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to tidy."""


class Live:
    """For a terminal: a bar with the time that is left, and the last round's figures."""

    def __init__(self, to: TextIO, seconds: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.fields[round]}"),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(file=to),
            transient=True,
        )
        self._task = self._bars.add_task("starting", total=seconds, round="round 1")
        self._began = time.monotonic()

    def cell(self, name: str) -> None:
        """Move the bar; say what is measured."""
        self._bars.update(self._task, completed=time.monotonic() - self._began, description=name)

    def round(self, done: Round, results: Results) -> None:
        """Count it."""
        self._bars.update(
            self._task,
            round=f"round {min(done.number + 1, results.rounds_planned)} of {results.rounds_planned}",
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


class _Willing:
    """A stream that may go away, as a terminal does that is closed: that costs what is shown, not what is measured."""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def write(self, text: str) -> int:
        """The text, as far as anybody takes it."""
        with suppress(OSError):
            self._to.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._to.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._to, name)


def progress_on(to: TextIO | None, seconds: float, quiet: bool) -> Progress:
    """The one that fits where it is shown."""
    stream: Any = _Willing(sys.stderr if to is None else to)
    if quiet:
        return Lines(io.StringIO())
    return Live(stream, seconds) if stream.isatty() else Lines(stream)
