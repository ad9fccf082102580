"""Processes that the bench starts end with it."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from bench.process import Bailiff, Started, pinned, tree

FAMILY = "import os, time; child = os.fork(); os.setpgid(0, 0) if not child else None; os.write(1, b'%d\\n' % os.getpid()); time.sleep(60)"
"""A process and its child, which write their pids, each at one go: the two would get into each other's lines else."""


def gone(pid: int) -> bool:
    """Whether the process has ended, waiting for it if it is about to."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def test_a_process_and_its_children_end_with_the_block(tmp_path: Path) -> None:
    with Bailiff() as bailiff:
        with Started(
            bailiff, "family", [sys.executable, "-c", FAMILY], min(os.sched_getaffinity(0)), {}
        ) as process:
            while len(process.said().split()) < 2:
                os.sched_yield()
            pids = tree(process.pid)
            assert sorted(map(int, process.said().split())) == sorted(pids)
        assert all(gone(pid) for pid in pids)
    assert not bailiff.directory.exists()


def test_what_is_started_stays_on_its_core_and_the_bench_does_not() -> None:
    before = os.sched_getaffinity(0)
    with pinned(max(before)):
        said = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            check=True,
        )
    assert f"{{{max(before)}}}" == said.stdout.decode().strip()
    assert before == os.sched_getaffinity(0)


def test_a_killed_bench_leaves_nothing_behind() -> None:
    code = """
import sys, time
from bench.process import Bailiff, Started
with Bailiff() as bailiff, Started(bailiff, 'sleeper', [sys.executable, '-c', 'import time; time.sleep(60)'], 0, {}) as it:
    print(it.pid, bailiff.directory, flush=True)
    time.sleep(60)
""".replace("], 0, {}", f"], {min(os.sched_getaffinity(0))}, {{}}")
    bench = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with bench:
        assert bench.stdout is not None
        pid, directory = bench.stdout.readline().split()
        bench.send_signal(signal.SIGKILL)
    assert gone(int(pid))
    while Path(directory).exists():  # the guard removes it after the kill
        os.sched_yield()
