"""One server in one situation, in a pid namespace of its own where there is one: what is left over ends with it, and no front
of this machine is taken for the one that belongs to the situation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from bench.errors import BenchError
from bench.front import executable
from bench.matrix.rules import Mark, Outcome
from bench.matrix.servers import SERVERS
from bench.matrix.situations import SITUATIONS
from bench.matrix.stand import Stand
from bench.process import ROOT

SECONDS = 90
ALONE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@cache
def lacking() -> str:
    """Why the matrix cannot be run here, or nothing."""
    if os.geteuid() != 0:
        return "only root can start nginx as www-data and servers as other users"
    if executable() is None:
        return "nginx is not installed"
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
    return f"no pid namespace here: {tried.stderr.strip()}" if tried.returncode else ""


def lasthop_lacks(situation: str) -> str:
    """The setting that a situation needs and that this lasthop does not have, or nothing."""
    from lasthop.settings import NAMES

    needs = SITUATIONS[situation].needs
    return "" if needs in NAMES else needs


def outcome(server: str, situation: str) -> Outcome:
    """Act it out in a process of its own."""
    if server == "lasthop" and lasthop_lacks(situation):
        return Outcome(Mark.NONE, "not yet")
    command = [*ALONE, sys.executable, "-m", "bench.matrix.cell", server, situation]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as acted:
        try:
            told, failed = acted.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            acted.kill()
            return Outcome(Mark.WRONG, f"not over within {SECONDS} s")
    if acted.returncode != 0:
        raise BenchError(f"{server} in {situation}: the play failed:\n{failed}")
    mark, says = json.loads(told.splitlines()[-1])
    return Outcome(Mark(mark), says)


def act(server: str, situation: str) -> Outcome:
    """Act it out here."""
    # A short name: a path of 107 bytes must be longer than the directory's.
    directory = Path(tempfile.mkdtemp(prefix="matrix-"))
    directory.chmod(0o755)
    try:
        return SITUATIONS[situation].play(Stand(SERVERS[server], directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    done = act(sys.argv[1], sys.argv[2])
    print(json.dumps([done.mark.value, done.says]), flush=True)
