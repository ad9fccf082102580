"""What the figures depend on besides the code: kernel, processor, versions, settings of the kernel. Read, never typed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import front
from bench.asgipeers import ASGI_SERVERS
from bench.interpreters import ROLES, Interpreter, Missing, chosen, own
from bench.peers import SERVERS
from bench.process import ROOT, Cores
from bench.server import Server

SYSCTLS = (
    "net.core.somaxconn",
    "net.core.wmem_default",
    "net.core.rmem_default",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_tw_reuse",
    "kernel.sched_autogroup_enabled",
)
BESIDE = ("falcon", "flask", "django", "gunicorn-h1c")
ASGI_BESIDE = ("starlette",)
WSGI_SERVERS = [server for server in SERVERS.values() if server not in ASGI_SERVERS]


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


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError:
        return "unknown"
    lines = done.stdout.splitlines()
    return lines[0] if done.returncode == 0 and lines else "unknown"


def versions(python: Interpreter, servers: Iterable[Server], beside: Iterable[str]) -> dict[str, str]:
    """Of each package that is measured or measured with, as a Python has it."""
    names = {name for server in servers for name in (server.distribution, *server.needs) if name}
    return {name: python.installed(name) or "not installed" for name in sorted(names | set(beside))}


def pythons() -> dict[str, dict[str, Any]]:
    """The Pythons of the roles, each with its versions; one that is missing is not in it."""
    found = {role: chosen(role) for role in ROLES}
    return {
        role: {"version": str(it), "versions": versions(it, ASGI_SERVERS, ASGI_BESIDE)}
        for role, it in found.items()
        if not isinstance(it, Missing)
    }


def describe(cores: Cores, **settings: Any) -> dict[str, Any]:
    """Everything, as plain data for the JSON file."""
    return {
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "-m", "bench", *sys.argv[1:]]),
        "commit": _said(["git", "describe", "--always", "--dirty"]),
        "kernel": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "virtual": " hypervisor " in f" {_read('/proc/cpuinfo')} ",
        "processors": os.cpu_count(),
        "cores": {"server": cores.server, "load": cores.load, "front": cores.front},
        "python": platform.python_version(),
        "compiler": _said(["cc", "--version"]),
        "versions": versions(own(), WSGI_SERVERS, BESIDE) | {"nginx": front.version() or "not installed"},
        "pythons": pythons(),
        "sysctls": {name: _read("/proc/sys/" + name.replace(".", "/")) for name in SYSCTLS},
        "load_average": _read("/proc/loadavg"),
        "settings": settings,
    }
