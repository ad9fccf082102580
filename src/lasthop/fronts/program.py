"""The programs of fronts: where they are, which version, and what they say of a file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lasthop.errors import FrontMissing, FrontRefused

CHECK_SECONDS = 30.0
"""A front tests a configuration in milliseconds, unless it waits for a name server."""


def find(program: str) -> str | None:
    """Where a program is; Debian puts those of services where an ordinary user's PATH does not look."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/local/sbin"])
    return shutil.which(program, path=path)


def needed(program: str, title: str, package: str) -> str:
    """Where a program is; FrontMissing where it is not."""
    found = find(program)
    if found is None:
        raise FrontMissing(title, package)
    return found


def version(program: str, option: str, pattern: str) -> str | None:
    """The version that a program tells of itself."""
    where = find(program)
    if where is None:
        return None
    found = re.search(pattern, _said(_run([where, option])))
    return found.group(1) if found else "unknown"


def judged(
    title: str, command: Sequence[str], file: Path, environment: Mapping[str, str] | None = None
) -> str:
    """What a front says of a configuration; raises FrontRefused when that is not yes."""
    try:
        done = _run(command, environment)
    except subprocess.TimeoutExpired:
        raise FrontRefused(title, file, f"(nothing within {CHECK_SECONDS:.0f} s)") from None
    said = _said(done)
    if done.returncode != 0:
        privileged = "bind()" in said and "(13: Permission denied)" in said
        raise FrontRefused(title, file, said, "a port below 1024 takes root: sudo" if privileged else "")
    return said


def _run(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=CHECK_SECONDS,
        check=False,
        env=None if environment is None else {**os.environ, **environment},
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stdout + done.stderr).strip()
