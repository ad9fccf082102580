"""Compile the floor and the load into the bench's directory."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.errors import BenchError

PROGRAMS = ("floor", "load")


def build(directory: Path) -> None:
    """Compile both with ``cc -O2``."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise BenchError(
            "bench: there is no C compiler (cc), which the floor and the load need: apt-get install gcc"
        )
    for name in PROGRAMS:
        source = Path(__file__).with_name(f"{name}.c")
        command = [compiler, "-O2", "-o", str(directory / name), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError(f"bench: {source.name} does not compile:\n{done.stderr.strip()}")
