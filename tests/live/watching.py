"""Looking at a running lasthop from outside: its workers, their memory, their descriptors and what their engines count.

The counters are read where the supervisor reads them, in the memory file that it shares with its workers; the application is not asked.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import struct
import time
from collections.abc import Callable
from pathlib import Path

from lasthop.engine import SLOT_FIELDS
from lasthop.server.slots import BOARD_BYTES, PAGE_BYTES

SECONDS = 20.0
MIB = 1 << 20


def until(holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Wait for something that must come true."""
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.01)


def workers(supervisor: int) -> list[int]:
    """The process ids of its children that are alive."""
    found = []
    for task in Path(f"/proc/{supervisor}/task").iterdir():
        for pid in (task / "children").read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it went while we looked
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}:
                    found.append(int(pid))
    return found


def only_worker(supervisor: int) -> int:
    (worker,) = workers(supervisor)
    return worker


def _status(pid: int, field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024


def memory(pid: int) -> int:
    """Bytes of memory that a process has now."""
    return _status(pid, "VmRSS")


def forget_peak(pid: int) -> None:
    """Let the kernel begin anew with the highest memory that it saw."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def grew(pid: int, before: int) -> int:
    """How much more memory a process had at most since `forget_peak` than before. A sanitizer keeps what is freed: then it says 0."""
    return 0 if "SANITIZED" in os.environ else _status(pid, "VmHWM") - before


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def counters(supervisor: int, slot: int = 0) -> dict[str, int]:
    """What the engine of the worker with this slot counts."""
    for link in Path(f"/proc/{supervisor}/fd").iterdir():
        if "lasthop-slots" in str(link.readlink()):
            with (
                link.open("rb") as file,
                mmap.mmap(
                    file.fileno(),
                    PAGE_BYTES,
                    prot=mmap.PROT_READ,
                    offset=BOARD_BYTES + slot * PAGE_BYTES,
                ) as page,
            ):
                return dict(zip(SLOT_FIELDS, struct.unpack_from(f"={len(SLOT_FIELDS)}Q", page), strict=True))
    raise AssertionError("the supervisor has no memory file of counters")


def at_rest(supervisor: int, slot: int = 0) -> bool:
    """Is no connection open, and no thread in the application?"""
    now = counters(supervisor, slot)
    return now["connections"] == 0 and now["busy"] == 0
