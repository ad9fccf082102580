"""What the figures depend on besides the application: kernel, processors, versions, the kernel's settings. Read, never assumed."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lasthop import __version__
from lasthop.compare.plan import Plan, command_shown
from lasthop.compare.servers import SERVERS
from lasthop.compare.stand import Cores
from lasthop.fronts import FRONTS

SYSCTLS = (
    "net.core.somaxconn",
    "net.core.wmem_default",
    "net.core.rmem_default",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_tw_reuse",
    "kernel.sched_autogroup_enabled",
)


def _read(path: str) -> str:
    try:
        return " ".join(Path(path).read_text().split())
    except OSError:
        return "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def versions(plan: Plan) -> dict[str, str]:
    """Of every program that is measured."""
    found = {"lasthop": __version__}
    for cell in plan.cells.values():
        found.setdefault(cell.server, SERVERS[cell.server].version or "unknown")
        if cell.front != "direct":
            found.setdefault(cell.front, FRONTS[cell.front].version() or "unknown")
    return found


def describe(plan: Plan, cores: Cores) -> dict[str, Any]:
    """Everything, as plain data."""
    return {
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_shown(["lasthop", *sys.argv[1:]], plan.request),
        "kernel": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "virtual": " hypervisor " in f" {_read('/proc/cpuinfo')} ",
        "processors": os.cpu_count(),
        "cores": {"server": cores.server, "load": cores.load, "front": cores.front, "shared": cores.shared},
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "python": platform.python_version(),
        "versions": versions(plan),
        "sysctls": {name: _read("/proc/sys/" + name.replace(".", "/")) for name in SYSCTLS},
        "load_average": _read("/proc/loadavg"),
        "settings": {
            "workers": plan.workers,
            "threads": plan.threads,
            "burst": plan.burst,
        },
    }
