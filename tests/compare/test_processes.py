"""Processes that a comparison starts, and that none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lasthop.compare.processes import Started, free_port, pinned, tree, until

ENV = dict(os.environ)
FAMILY = """
import subprocess, sys, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.pause()"])
print(child.pid, flush=True)
signal.pause()
"""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def soon() -> float:
    return time.monotonic() + 20


def test_what_it_says_is_kept(tmp_path: Path) -> None:
    with Started(["sh", "-c", "echo out; echo err >&2; exit 3"], tmp_path / "said", None, ENV) as it:
        assert until(lambda: not it.alive, soon())
        assert (3, "out\nerr") == (it.code, it.said())


def test_a_stubborn_family_is_ended_as_a_whole(tmp_path: Path) -> None:
    with Started([sys.executable, "-c", FAMILY], tmp_path / "said", None, ENV) as it:
        assert until(lambda: bool(it.said()), soon())
        child = int(it.said())
        assert [it.pid, child] == tree(it.pid)
    assert gone(it.pid)
    assert until(lambda: gone(child), soon())


def test_it_is_ended_when_we_are_killed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from lasthop.compare.processes import Started\n"
        f"it = Started(['sleep', '600'], pathlib.Path({str(tmp_path / 'said')!r}), None, dict(os.environ))\n"
        "print(it.pid, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        pid = int(ours.stdout.readline())
        ours.send_signal(signal.SIGKILL)
    assert until(lambda: gone(pid), soon())


def test_pinning_holds_for_what_is_started_inside_and_ends_after() -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    with pinned(core):
        inside = subprocess.run(["taskset", "-pc", str(os.getpid())], capture_output=True, text=True).stdout
    assert inside.strip().endswith(f": {core}")
    assert before == os.sched_getaffinity(0)


def test_a_free_port_is_free() -> None:
    assert 1024 <= free_port("127.0.0.1") <= 65535
