"""Install the bench's peers and frameworks, one by one: ``python -m bench.install``.

Into the bench's own environment those for WSGI and ASGI; for each other Python in which ASGI is measured an environment is
made (:mod:`bench.interpreters`), with the peers for ASGI and with lasthop compiled in place for that Python. What cannot be
installed is said, with what it needs, and is no failure of the whole.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from bench.interpreters import ROLES, Interpreter, Missing, chosen, environment, found, own, wanted
from bench.process import ROOT

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ASGI_REQUIREMENTS = Path(__file__).with_name("requirements-asgi.txt")
COMPILED_AT = "lasthop-compiled"
"""A file in an environment, as old as lasthop's compilation for it."""

NEEDS = {
    "bjoern": "a C compiler and libev: apt-get install gcc libev-dev",
    "pyuwsgi": "a wheel for this Python, or a C compiler",
    "gunicorn-h1c": "a wheel for this Python, or a C compiler",
    "lasthop": "a C compiler; pip's own words: pip install --editable .",
}


def requirements(text: str) -> list[str]:
    """Give the names in a requirements file, comments left out."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _done(name: str, *command: str | Path) -> bool:
    """Run a step; say it if it fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=ROOT
    )
    if done.returncode != 0:
        last = done.stdout.strip().splitlines()[-1:] or ["it said nothing"]
        print(f"bench: {name} was not installed and is left out: {last[0]}", file=sys.stderr)
        if name in NEEDS:
            print(f"  hint: it needs {NEEDS[name]}", file=sys.stderr)
    return done.returncode == 0


def _pip(python: Interpreter, name: str, *what: str) -> bool:
    pip = (python.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    return _done(name, *pip, *what)


def install(python: Interpreter, names: list[str]) -> None:
    """Install each that is not there."""
    for name in names:
        if python.installed(name) is None:
            _pip(python, name, name)


def others() -> Iterator[tuple[int, int]]:
    """The Pythons that need an environment of their own; what is not found is said."""
    for role in ROLES:
        version = wanted(role)
        if isinstance(version, Missing):
            print(f"bench: {role} is left out: {version.why}", file=sys.stderr)
        elif version != own().version[:2]:
            yield version


def _sources() -> Iterator[Path]:
    yield ROOT / "pyproject.toml"
    for pattern in ("*.py", "*.pxd"):
        yield from (ROOT / "src").rglob(pattern)


def compile_for(python: Interpreter) -> None:
    """Compile lasthop in place, beside what is there for other Pythons, if a source is newer than that of last time."""
    mark = python.executable.parent.parent / COMPILED_AT
    if mark.exists() and mark.stat().st_mtime > max(file.stat().st_mtime for file in _sources()):
        return
    print(f"bench: compiling lasthop for Python {python}: some minutes", file=sys.stderr)
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    begun = time.time()
    if _pip(python, "lasthop", *needs) and _pip(
        python, "lasthop", "--no-build-isolation", "--editable", str(ROOT)
    ):
        mark.touch()
        os.utime(mark, (begun, begun))  # a source that is saved meanwhile is newer


def main() -> int:
    """Install each, say what failed."""
    asgi = requirements(ASGI_REQUIREMENTS.read_text())
    install(own(), list(dict.fromkeys([*requirements(REQUIREMENTS.read_text()), *asgi])))
    for version in others():
        place = environment(version)
        name = "Python {}.{}".format(*version)
        if not (place / "bin" / "python").exists() and not _done(
            name, found()[version][1], "-m", "venv", "--clear", place
        ):
            continue
        for role in ROLES:
            python = chosen(role)
            if isinstance(python, Interpreter) and python.version[:2] == version:
                install(python, asgi)
                compile_for(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
