"""The processors that may be used."""

import os
from pathlib import Path

import pytest

from lasthop.server.processors import cgroup_quota, usable_processors


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert len(os.sched_getaffinity(0)) == usable_processors(tmp_path)


def test_this_machine_has_at_least_one() -> None:
    assert 1 <= usable_processors() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", None), ("150000 100000", 1.5), ("50000 100000", 0.5)]
)
def test_version_2(tmp_path: Path, quota: str, expected: float | None) -> None:
    files = {"proc/self/cgroup": "0::/app\n", "sys/fs/cgroup/app/cpu.max": quota}
    assert expected == cgroup_quota(tree(tmp_path, files))


def test_the_tightest_group_above_holds(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/pod/app\n",
        "sys/fs/cgroup/pod/app/cpu.max": "max 100000",
        "sys/fs/cgroup/pod/cpu.max": "200000 100000",
        "sys/fs/cgroup/cpu.max": "400000 100000",
    }
    assert 2.0 == cgroup_quota(tree(tmp_path, files))


def test_in_a_container_the_mount_itself_is_ours(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../../a/path/of/the/host\n", "sys/fs/cgroup/cpu.max": "300000 100000"}
    assert 3.0 == cgroup_quota(tree(tmp_path, files))


@pytest.mark.parametrize(("quota", "expected"), [("-1", None), ("250000", 2.5)])
@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1(tmp_path: Path, mount: str, quota: str, expected: float | None) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/\n3:cpu,cpuacct:/app\n",
        f"sys/fs/cgroup/{mount}/app/cpu.cfs_quota_us": f"{quota}\n",
        f"sys/fs/cgroup/{mount}/app/cpu.cfs_period_us": "100000\n",
    }
    assert expected == cgroup_quota(tree(tmp_path, files))


def test_a_quota_is_rounded_up_and_never_0(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000"}
    assert 1 == usable_processors(tree(tmp_path, files))
