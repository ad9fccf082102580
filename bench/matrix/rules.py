"""What a situation is: a play on a stand, what is right in it, and the outcome; and how a play finds words for what a server did."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bench.matrix.stand import Process, Reply, Stand


class Mark(Enum):
    RIGHT = "right"
    WRONG = "wrong"
    NONE = "none"
    """The server has no such feature."""


@dataclass(frozen=True)
class Outcome:
    """What a server did."""

    mark: Mark
    says: str


@dataclass(frozen=True)
class Situation:
    """One row of the table."""

    name: str
    asks: str
    right: str
    play: Callable[[Stand], Outcome]
    needs: str = ""
    """The setting of lasthop without which it cannot be right."""


SITUATIONS: dict[str, Situation] = {}


def situation(
    asks: str, right: str, needs: str = ""
) -> Callable[[Callable[[Stand], Outcome]], Callable[[Stand], Outcome]]:
    """Enter a play into the table under its own name."""

    def enter(play: Callable[[Stand], Outcome]) -> Callable[[Stand], Outcome]:
        name = play.__name__.replace("_", "-")
        SITUATIONS[name] = Situation(name, asks, right, play, needs)
        return play

    return enter


def verdict(good: bool, says: str) -> Outcome:
    return Outcome(Mark.RIGHT if good else Mark.WRONG, says)


def no_option(what: str) -> Outcome:
    return Outcome(Mark.NONE, what)


def served(reply: Reply, name: str) -> Outcome:
    return verdict(reply.name == name, "works" if reply.name == name else f"nginx: {reply}")


def mode_of(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def names(pid: int, said: str) -> bool:
    """Whether words name a process: its number alone may stand for anything."""
    return re.search(rf"\bpid:?\s+{pid}\b", said, re.IGNORECASE) is not None


def how_it_ended(process: Process) -> str:
    """The last words of a server that refused to start."""
    said = re.sub(r"x{20,}", "xxx", re.sub(r"/tmp/matrix-\w+/", "/", process.said()))
    lines = [re.sub(r"^(\[[^\]]*\] *)+", "", line).strip() for line in said.splitlines() if line.strip()]
    if "Traceback (most recent call last)" in said:
        last = next((line for line in reversed(lines) if re.match(r"\S*(Error|Exception)\b", line)), "")
        return f"a traceback: {last[:80]}"
    told = next((line for line in lines if re.search(r"error|cannot|in use|failed", line, re.IGNORECASE)), "")
    return (told or (lines[-1] if lines else "no word"))[:110]
