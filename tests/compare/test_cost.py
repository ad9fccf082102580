"""The kernel's counters of real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lasthop.compare.cost import Machine, calls_during, counters, foreign_share

ECHO = """
import os, sys
while os.read(0, 1):
    os.write(1, b"x")
"""
SPIN = "for _ in range(10_000_000): pass\nprint('done', flush=True); input()"


def test_cpu_time_of_a_process_is_counted_in_user_ticks() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == b"done\n"
        found = counters([busy.pid])
        busy.kill()
    assert found.user_ticks > 5
    assert found.kernel_ticks < found.user_ticks


def test_a_process_that_is_gone_counts_for_nothing() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert (0, 0, 0) == (
        counters([gone.pid]).user_ticks,
        counters([gone.pid]).kernel_ticks,
        counters([gone.pid]).switches,
    )


def test_a_process_that_waits_for_each_byte_switches_for_each() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as echo:
        assert echo.stdin is not None
        assert echo.stdout is not None
        turn(echo, 1)
        before = counters([echo.pid]).switches
        turn(echo, 200)
        switched = counters([echo.pid]).switches - before
        echo.stdin.close()
    assert 150 <= switched <= 400


def turn(echo: subprocess.Popen[bytes], times: int) -> int:
    assert echo.stdin is not None
    assert echo.stdout is not None
    for _ in range(times):
        os.write(echo.stdin.fileno(), b"x")
        os.read(echo.stdout.fileno(), 1)
    return times


def test_system_calls_are_counted_for_each_request_or_not_told() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as echo:
        turn(echo, 1)
        found = calls_during([echo.pid], lambda: turn(echo, 500))
        assert echo.stdin is not None
        echo.stdin.close()
    if found is None:
        pytest.skip("this system tells nobody's system calls: apt-get install linux-perf, and root")
    assert 1.9 <= found <= 2.2  # one read, one write


def test_without_perf_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert calls_during([os.getpid()], lambda: 1) is None


def test_a_perf_that_fails_is_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "perf").symlink_to(str(shutil.which("false")))
    monkeypatch.setenv("PATH", str(tmp_path))
    before = set(Path("/proc/self/fd").iterdir())
    assert calls_during([os.getpid()], lambda: 1) is None
    assert before == set(Path("/proc/self/fd").iterdir())


def test_what_others_use_is_what_is_busy_beyond_our_own() -> None:
    second = os.sysconf("SC_CLK_TCK")
    before, after = Machine(1000, 10), Machine(1000 + 3 * second, 10 + second // 2)
    assert (1.0, 0.5) == foreign_share(before, after, own_seconds=1.5, seconds=1.0)


def test_the_machines_counters_grow() -> None:
    first = Machine.now()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert Machine.now().busy > first.busy
