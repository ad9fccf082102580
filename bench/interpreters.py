"""The Pythons that servers run in: the bench's own, Python 3.11, and the newest that is found on this machine.

Each has an environment of its own with the peers and with lasthop compiled for it (``python -m bench.install`` makes
them); the bench's own environment serves for its own Python. Knows versions and files; starts no server.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from bench.process import ROOT

OWN, OLDEST, NEWEST = "", "py311", "newest"
ROLES = (OLDEST, NEWEST)
OLDEST_VERSION = (3, 11)
ENVIRONMENTS = ROOT / ".build" / "bench"
INSTALL = "python -m bench.install"
ANSWER_SECONDS = 10

ASKED = """
import json, sys, sysconfig
from pathlib import Path
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "executable": sys.executable,
    "usable": sys.version_info.releaselevel == "final"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and (Path(sysconfig.get_path("include")) / "Python.h").exists(),
}))
"""
"""What a Python is asked of itself; usable: a release, with a GIL, and lasthop can be compiled for it."""


@dataclass(frozen=True)
class Interpreter:
    """A Python with what is installed for it."""

    version: tuple[int, int, int]
    executable: Path
    """In its environment, so that scripts lie beside it."""

    def __str__(self) -> str:
        return ".".join(map(str, self.version))

    def script(self, name: str) -> str:
        """A command of an installed package."""
        beside = self.executable.with_name(name)
        return str(beside) if beside.exists() else (shutil.which(name) or name)

    def installed(self, distribution: str) -> str | None:
        """The version of a package in its environment, or None."""
        if self.executable == Path(sys.executable):
            found = metadata.distributions(name=distribution)
        else:
            library = "python{}.{}".format(*self.version)
            place = self.executable.parent.parent / "lib" / library / "site-packages"
            found = metadata.distributions(name=distribution, path=[str(place)])
        return next((it.version for it in found), None)


@dataclass(frozen=True)
class Missing:
    """Why there is none, with the command that helps."""

    why: str


def own() -> Interpreter:
    """The bench's own Python and environment."""
    return Interpreter(sys.version_info[:3], Path(sys.executable))


def candidates() -> Iterator[Path]:
    """What is called python3 or python3.N on PATH, and what pyenv has."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    places = [Path(place) for place in os.get_exec_path()]
    for place in [*places, *sorted(pyenv.glob("versions/*/bin"))]:
        if place.is_dir():
            yield from sorted(file for file in place.iterdir() if re.fullmatch(r"python3(\.\d+)?", file.name))


def _said(python: Path) -> tuple[tuple[int, int, int], Path] | None:
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", ASKED],
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_SECONDS,
        )
        told = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None  # such as pyenv's shim of a version that is not chosen
    major, minor, micro = told["version"]
    return ((major, minor, micro), Path(told["executable"])) if told["usable"] else None


@cache
def found() -> dict[tuple[int, int], tuple[tuple[int, int, int], Path]]:
    """The newest Python of each minor version from 3.11 on; the first that is found of equal ones."""
    best: dict[tuple[int, int], tuple[tuple[int, int, int], Path]] = {}
    for python in dict.fromkeys(file.resolve() for file in candidates()):
        told = _said(python)
        if told is None or told[0][:2] < OLDEST_VERSION:
            continue
        minor = told[0][:2]
        if minor not in best or told[0] > best[minor][0]:
            best[minor] = told
    return best


def wanted(role: str) -> tuple[int, int] | Missing:
    """The minor version that a role stands for here."""
    versions = {*found(), own().version[:2]}
    if role == OLDEST:
        return (
            OLDEST_VERSION
            if OLDEST_VERSION in versions
            else Missing("no Python 3.11 with its headers was found on PATH or under pyenv")
        )
    newest = max(versions)
    if newest == OLDEST_VERSION:
        return Missing("no Python newer than 3.11 with its headers was found on PATH or under pyenv")
    return newest


def environment(version: tuple[int, int]) -> Path:
    """Where the environment for another Python than the bench's own lies."""
    return ENVIRONMENTS / "python{}.{}".format(*version)


def chosen(role: str) -> Interpreter | Missing:
    """The Python of a role with its environment, if that was made."""
    if role == OWN:
        return own()
    version = wanted(role)
    if isinstance(version, Missing):
        return version
    if version == own().version[:2]:
        return own()
    executable = environment(version) / "bin" / "python"
    told = _said(executable)
    if told is None:
        return Missing("Python {}.{} has no environment for the bench yet ({})".format(*version, INSTALL))
    return Interpreter(told[0], executable)
