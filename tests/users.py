"""Connecting as somebody else: a process of another user, for tests of who may connect. Only root can start one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of other users")

PYTHON = "/usr/bin/python3"
"""The system's own: the one of a virtual environment may lie where another user may not go."""

ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1].replace("@", "\\0", 1) if sys.argv[1].startswith("@") else sys.argv[1])
got = b""
try:
    s.sendall(sys.argv[2].encode("latin-1"))
    while piece := s.recv(65536):
        got += piece
except ConnectionError:
    pass
sys.stdout.buffer.write(got)
"""


def ask_as(
    path: str | Path,
    *fields: str,
    uid: int,
    gid: int = 65534,
    groups: Sequence[int] = (),
    target: str = "/",
) -> bytes:
    """What a process of that user and these groups gets for a request; nothing when it is turned away."""
    if not Path(PYTHON).exists():
        pytest.skip(f"{PYTHON} is missing: apt-get install python3")
    request = "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""])
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    return subprocess.run(
        [PYTHON, "-I", "-c", ASK, str(path), request],
        user=uid,
        group=gid,
        extra_groups=list(groups),
        cwd="/",
        env=environment,
        capture_output=True,
        timeout=60,
        check=True,
    ).stdout


def open_to_all(path: str | Path) -> None:
    """Let everybody connect to a socket file, and pass through the directories that tests made above it."""
    Path(path).chmod(0o777)
    for parent in Path(path).parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(0o755)
