"""How many processors this process may really use: its affinity, and the quota of its control group.

``os.cpu_count()`` counts the machine's. In a container with ``--cpus 2`` on 64 processors, 64 workers would be 32 times too many.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path

ROOT = Path("/")


def usable_processors(root: Path = ROOT) -> int:
    """The processors of the affinity mask, or fewer when a cgroup's quota, rounded up, is worth fewer; at least 1."""
    allowed = len(os.sched_getaffinity(0))
    quota = cgroup_quota(root)
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def cgroup_quota(root: Path = ROOT) -> float | None:
    """The smallest quota, in processors, of our control group and those above it; None when there is none."""
    quotas: list[float] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            quotas += _walk(root / "sys/fs/cgroup", path, _quota_of_v2)
        elif "cpu" in controllers.split(","):
            for mount in ("cpu", "cpu,cpuacct"):
                quotas += _walk(root / "sys/fs/cgroup" / mount, path, _quota_of_v1)
    return min(quotas, default=None)


def _walk(mount: Path, path: str, quota_of: Callable[[Path], float | None]) -> list[float]:
    """The quotas of a group and of every group above it, up to the mount: the tightest one holds.

    In a container the path may be that of the host, which does not exist under the mount; the mount itself is then ours.
    """
    group = mount / path.lstrip("/")
    groups = [group, *group.parents]
    found = [quota_of(each) for each in groups if each == mount or mount in each.parents]
    return [quota for quota in found if quota is not None]


def _quota_of_v2(group: Path) -> float | None:
    words = _read(group / "cpu.max").split()
    if len(words) != 2 or words[0] == "max":
        return None
    return int(words[0]) / int(words[1])


def _quota_of_v1(group: Path) -> float | None:
    quota, period = _read(group / "cpu.cfs_quota_us").strip(), _read(group / "cpu.cfs_period_us").strip()
    if not quota or not period or int(quota) <= 0:
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
