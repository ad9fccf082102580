"""What processes cost while they were asked: CPU time, kernel time, context switches, system calls, and what others took of the machine.

Reads the kernel's counters in /proc, and `perf stat` for system calls where the system lets it. A counter that is not there is None, never 0.
CPU time itself is read by the load at the two ends of its window (process clocks, ns); what is here only splits it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
BUSY = (0, 1, 2, 5, 6, 7)
"""Places in a processor's line of /proc/stat: user, nice, system, irq, softirq, steal."""
STEAL = 7
PERF_SECONDS = 5.0


@dataclass(frozen=True)
class Counters:
    """Of some processes together, since their start."""

    user_ticks: int
    kernel_ticks: int
    switches: int


def counters(pids: Iterable[int]) -> Counters:
    """Read them; a process that is gone counts for nothing."""
    user = kernel = switches = 0
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user += int(words[11])
            kernel += int(words[12])
            for thread in Path(f"/proc/{pid}/task").iterdir():
                switches += _switches((thread / "status").read_text())
        except OSError:
            continue
    return Counters(user, kernel, switches)


def _switches(status: str) -> int:
    return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches:" in line)


@dataclass(frozen=True)
class Machine:
    """What the processors did since the machine was started, in ticks."""

    busy: int
    stolen: int

    @classmethod
    def now(cls, stat: Path = Path("/proc/stat")) -> Machine:
        """All processors together."""
        words = stat.read_text().split("\n", 1)[0].split()[1:]
        return cls(
            sum(int(words[place]) for place in BUSY if place < len(words)),
            int(words[STEAL]) if len(words) > STEAL else 0,
        )


def foreign_share(before: Machine, after: Machine, own_seconds: float, seconds: float) -> tuple[float, float]:
    """The shares of one core that others used, and that the hypervisor kept, in `seconds` in which our own processes used `own_seconds`."""
    stolen = (after.stolen - before.stolen) / TICKS
    others = (after.busy - before.busy) / TICKS - stolen - own_seconds
    return max(0.0, others / seconds), max(0.0, stolen / seconds)


def calls_during(pids: list[int], work: Callable[[], int]) -> float | None:
    """System calls of these processes for each of the requests that `work` makes and counts; None: the system does not tell.

    Counted by `perf stat`, which has to be allowed to (root, or kernel.perf_event_paranoid and the rights on tracefs).
    """
    perf = shutil.which("perf")
    if perf is None or not pids:
        return None
    command_read, command_write = os.pipe()
    done_read, done_write = os.pipe()
    command = [
        perf,
        "stat",
        "-x,",
        "-D",
        "-1",
        "-e",
        "raw_syscalls:sys_enter",
        "-p",
        ",".join(map(str, pids)),
    ]
    command += ["--control", f"fd:{command_read},{done_write}"]
    try:
        process = subprocess.Popen(
            command, pass_fds=(command_read, done_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError:
        for end in (command_read, command_write, done_read, done_write):
            os.close(end)
        return None
    os.close(command_read)
    os.close(done_write)
    try:
        os.write(command_write, b"enable\n")
        if not os.read(done_read, 16):  # it ended: not allowed, or no such event here
            return None
        requests = work()
        os.write(command_write, b"disable\n")
        os.read(done_read, 16)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=PERF_SECONDS)[1]
    except (OSError, subprocess.TimeoutExpired):
        return None
    finally:
        os.close(command_write)
        os.close(done_read)
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
    for line in said.splitlines():
        words = line.split(",")
        if len(words) > 2 and words[2].startswith("raw_syscalls") and words[0].isdecimal() and requests:
            return int(words[0]) / requests
    return None
