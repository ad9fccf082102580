"""Fronts of another user beside which a server's advice is tested, and a world of processes in which there are no others.

`python -m tests.server.beside OPTIONS` is run in a pid namespace of its own: it starts nginx there, then `lasthop serve` with the
options on a socket file, then prints what the server said, as JSON with what nginx replied.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest

from lasthop.demo.serving import Serving
from tests.live.fronts import Front, missing

USER = "news"
"""One whom every Debian has and as whom no front runs, so that none of this machine stands for a test's: one of each user is told."""
ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 60
ALONE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def need_front_of_another_user() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can start nginx as another user")
    if missing("nginx"):
        pytest.skip("nginx is not installed")
    if USER not in {each.pw_name for each in pwd.getpwall()}:
        pytest.skip(f"there is no user {USER}")


def need_a_world_of_our_own() -> None:
    need_front_of_another_user()
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no pid namespace here: {tried.stderr.strip()}")


def workers_of(front: Front) -> list[int]:
    """The pids of an nginx's workers, once they are who they are to be: it accepts before that."""
    pid = front.process.pid
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        wanted = pwd.getpwnam(front.user).pw_uid
        if children and all(Path(f"/proc/{child}").stat().st_uid == wanted for child in children):
            return children
        time.sleep(0.01)
    raise AssertionError(front.said())


def asked(port: int) -> int:
    """The status of nginx's reply."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().status


class Told(NamedTuple):
    """What happened in a world of its own."""

    warnings: list[str]
    status: int


def as_user(user: str) -> list[str]:
    """What is put before a command that another user is to run, if he can run our Python."""
    words = ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]
    tried = subprocess.run(
        [*words, sys.executable, "-c", "import lasthop.cli"], cwd="/", capture_output=True, text=True
    )
    if tried.returncode != 0:
        pytest.skip(
            f"{user} cannot run the Python and the lasthop of this test: {tried.stderr.strip()[-200:]}"
        )
    return words


def alone(
    address: Path, *options: str, umask: str = "022", fronts: str = "nginx", user: str = "root"
) -> Told:
    """Start fronts and a server where no other process is; what the server warned of, and the status that nginx replied."""
    done = subprocess.run(
        [*ALONE, sys.executable, "-m", "tests.server.beside", str(address), umask, fronts, user, *options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    said, status = json.loads(done.stdout)
    return Told([part for part in said.split("\n[") if "cannot connect to" in part], status)


def main(address: Path, umask: str, fronts: str, user: str, options: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="beside-") as name, contextlib.ExitStack() as running:
        place = Path(name)
        place.chmod(0o755)
        status = 0
        front = None
        if fronts:
            front = running.enter_context(Front("nginx", f"unix:{address}", place, user=USER))
        os.umask(int(umask, 8))
        if user != "root":
            python = place / "python"
            python.write_text(f'#!/bin/sh\nexec {" ".join([*as_user(user), sys.executable])} "$@"\n')
            python.chmod(0o755)
            sys.executable = str(python)
        server = running.enter_context(
            Serving(
                "applications:application",
                *options,
                bind=[f"unix:{address}"],
                log=place / "server.log",
                cwd=Path(__file__).parent,
            )
        )
        if front is not None:
            status = asked(front.port)
        server.stop()
        print(json.dumps([server.said(), status]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
