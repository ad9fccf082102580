"""Make what building needs, a C compiler, Python's headers, `.venv` with the tools.

With `--build` compile lasthop, in place, in that environment; with `--tests` bring into it what tests and checks use.

Run by `make` with the Python that was found; uses the standard library only. Where something is missing it is installed
(root on Debian), or one sentence says what to install.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tools.debian import install

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)


def missing() -> dict[str, str]:
    """What a source install needs and is not here: what it is, and the Debian package that brings it."""
    found: dict[str, str] = {}
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not (shutil.which("cc") or shutil.which("gcc")):
        found["a C compiler (cc)"] = "gcc"
    if not Path("/usr/include/stdio.h").exists() and "a C compiler (cc)" not in found:
        found["the C library's headers"] = "libc6-dev"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        found["Python's C headers (Python.h)"] = f"python{version}-dev"
    if importlib.util.find_spec("ensurepip") is None:
        found["the venv module with ensurepip"] = f"python{version}-venv"
    return found


def run(says: str, *command: str | Path) -> None:
    """Run a step, saying which; what its program says is shown only when it fails."""
    print(f"setup: {says}", file=sys.stderr)
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()


def main() -> int:
    """Do what was asked."""
    if sys.version_info < OLDEST:
        print(
            f"lasthop needs Python {'.'.join(map(str, OLDEST))} or later; this is {sys.version.split()[0]}.",
            file=sys.stderr,
        )
        print("hint: make PYTHON=/path/to/python3.11", file=sys.stderr)
        return 1
    lacking = missing()
    if lacking and not install(list(lacking.values()), f"building lasthop needs {' and '.join(lacking)}"):
        return 1
    python = VENV / "bin/python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install")
    try:
        if "--build" in sys.argv[1:]:
            run("compiling lasthop", *pip, "--no-build-isolation", "--editable", ".")
        elif "--tests" in sys.argv[1:]:
            run("bringing what the tests use", *pip, "--group", "dev")
        else:
            if not python.exists():
                run("making .venv", sys.executable, "-m", "venv", VENV)
            run("bringing tools", *pip, "--upgrade", "pip>=25.1")  # the first that reads dependency-groups
            run("bringing what building uses", *pip, "--group", "build")
    except subprocess.CalledProcessError as error:
        print(
            f"{' '.join(map(str, error.cmd))} ended with {error.returncode}; its own words are above.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
