"""Bring the Debian packages that a verb of the Makefile needs and that are missing: `python -m tools.debian test`.

Root installs them; anybody else is told what to install, and goes on without (tests that need one are skipped, and say so).
No service is started: the fronts under test are started by the tests, with files of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = {
    "test": {
        "curl": "curl", "nginx": "nginx-light", "apache2": "apache2", "haproxy": "haproxy", "caddy": "caddy",
        "strace": "strace", "tshark": "tshark", "ip": "iproute2", "chromium": "chromium", "h2load": "nghttp2-client", "wrk": "wrk",
        "podman": "podman", "runc": "runc",
    },
    "compare": {"nginx": "nginx-light"},
    "bench": {"nginx": "nginx-light", "h2load": "nghttp2-client", "wrk": "wrk"},
    "fuzz": {"clang": "clang"},
}  # fmt: skip
"""For each verb: the programs it runs, and the package that brings each."""

FILES = {
    "bench": {"usr/include/ev.h": "libev-dev"},  # bjoern is compiled with it
    "fuzz": {"usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer*": "libclang-rt-dev"},
}
"""For each verb: the files that it compiles or links with, and the package that brings each."""

POLICY = Path("/usr/sbin/policy-rc.d")


def lacking(verb: str) -> list[str]:
    """The packages that are missing for a verb."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    absent = [
        package for program, package in PROGRAMS[verb].items() if shutil.which(program, path=path) is None
    ]
    absent += [package for file, package in FILES.get(verb, {}).items() if not any(Path("/").glob(file))]
    return absent


@contextmanager
def services_stay_down() -> Iterator[None]:
    """Keep the packages' own services from being started while they are installed (Debian Policy 9.3.3.1)."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def install(packages: list[str], why: str) -> bool:
    """Install packages if we may; else say which command does. True when they are here afterwards."""
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"{why}; missing here.\nhint: sudo {' '.join(command)}", file=sys.stderr)
        return False
    print(f"{why}: installing {' '.join(packages)}", file=sys.stderr)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with services_stay_down():
        for step in (["apt-get", "update", "--quiet=2"], [*command, "--quiet=2"]):
            done = subprocess.run(
                step,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode != 0:
                print(f"{done.stdout}\n{' '.join(step)} ended with {done.returncode}.", file=sys.stderr)
                return False
    return True


def main() -> int:
    """Install what the verb on the command line lacks; fail only where root could not."""
    verb = sys.argv[1]
    packages = lacking(verb)
    if not packages or install(packages, f"`make {verb}` runs programs that are not installed"):
        return 0
    return 1 if os.geteuid() == 0 and shutil.which("apt-get") else 0


if __name__ == "__main__":
    sys.exit(main())
