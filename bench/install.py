"""Install the bench's peers and frameworks, one by one: ``python -m bench.install``.

A peer that cannot be installed is said, with what it needs, and is no failure of the whole.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")

NEEDS = {
    "bjoern": "a C compiler and libev: apt-get install gcc libev-dev",
    "pyuwsgi": "a wheel for this Python, or a C compiler",
}


def requirements(text: str) -> list[str]:
    """Give the names in a requirements file, comments left out."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def installed(name: str) -> bool:
    """Whether some version of it is there."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def main() -> int:
    """Install each, say what failed."""
    for name in requirements(REQUIREMENTS.read_text()):
        if installed(name):
            continue
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", name]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            last = done.stdout.strip().splitlines()[-1:] or ["pip said nothing"]
            print(f"bench: {name} was not installed and is left out: {last[0]}", file=sys.stderr)
            if name in NEEDS:
                print(f"  hint: it needs {NEEDS[name]}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
