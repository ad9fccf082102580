"""What a situation is acted out on: a directory, nginx as www-data before a socket file in it, and servers started and stopped.

Processes are ended by the pid namespace that each situation is run in (see cell.py). Waits are bounded and end as soon as they can.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError
from bench.front import CONFIGURATION, executable
from bench.matrix.servers import Server, Wish
from bench.process import ROOT, free_port

SECONDS = 8.0
"""How long a server may take to start, to stop or to be reachable again."""
POLL_SECONDS = 0.02
FRONT_USER = "www-data"


class Reply(NamedTuple):
    """What nginx, or a server itself, replied: the status (0: nothing), who, and why not."""

    status: int
    name: str = ""
    why: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.status) if self.status else "no reply", self.why)))


class Ask(HTTPConnection):
    """HTTP over a socket file or an abstract name."""

    def __init__(self, address: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect("\0" + self._address[1:] if self._address.startswith("@") else self._address)


def reply_of(connection: HTTPConnection, path: str = "/") -> Reply:
    """One request, its reply; nothing is raised for what a server or front does wrong."""
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return Reply(reply.status, reply.read().decode(errors="replace").partition(" ")[0])
        except (OSError, HTTPException) as error:
            return Reply(0, why=f"({getattr(error, 'strerror', None) or error!r})")


class Process:
    """A started server."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process = process
        self._said = said

    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def alive(self) -> bool:
        return self.process.poll() is None

    def ends(self, seconds: float = SECONDS) -> bool:
        """Whether it ends by itself within that time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return not self.alive()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> bool:
        """SIGTERM, as systemd does it; whether it ended in time."""
        self.signal(signal.SIGTERM)
        return self.ends()

    def kill(self, *, everything: bool = True) -> None:
        """SIGKILL, to all of its processes or to the first alone."""
        if everything:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()


class Stand:
    """One server in one situation."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.server = server
        self.top = directory
        self.directory = directory / "run"
        self.directory.mkdir()
        self.path = self.directory / "app.sock"
        self._logs = directory / "logs"
        self._logs.mkdir()
        self._fronts: dict[Path, int] = {}
        self._started = 0

    def can(self, wish: Wish) -> bool:
        return self.server.command(wish) is not None

    def start(
        self,
        name: str,
        wish: Wish | None = None,
        *,
        umask: int = 0o022,
        user: str = "root",
        environment: Mapping[str, str] | None = None,
        passed: socket.socket | None = None,
        wait: bool = True,
    ) -> Process:
        """Start the server under a name; unless told otherwise wait until that name replies, or it ends."""
        wish = wish or Wish(str(self.path))
        command = self.server.command(wish)
        assert command is not None
        if user != "root":
            command = [python_for(user), *command[1:]]
        if passed is not None:
            # As systemd does it: descriptor 3, and the pid that it is meant for.
            words = 'exec 3<&"$0"; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
            command = ["bash", "-c", words, str(passed.fileno()), *command]
        self._started += 1
        said = self._logs / f"{self._started}-{name}.log"
        entry = pwd.getpwnam(user)
        with said.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.top,
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1",
                     "MATRIX_NAME": name, "HOME": str(self.top), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=umask,
                start_new_session=True,
                user=entry.pw_uid,
                group=entry.pw_gid,
                extra_groups=[],
                pass_fds=() if passed is None else (passed.fileno(),),
            )  # fmt: skip
        started = Process(process, said)
        if wait:
            address = str(self.path) if wish.address == "fd:3" else wish.address
            self.until(lambda: not started.alive() or self.direct(address).name == name)
        return started

    def direct(self, address: str = "") -> Reply:
        """Ask the server itself, as root."""
        return reply_of(Ask(address or str(self.path)))

    def front(self, path: Path | None = None, *, ask: str = "/") -> Reply:
        """Ask through nginx as www-data, with the reason that it logged if it could not connect."""
        path = path or self.path
        if path not in self._fronts:
            self._fronts[path] = self._start_nginx(path)
        log = self._logs / f"nginx-{self._fronts[path]}.log"
        before = log.stat().st_size if log.exists() else 0
        reply = reply_of(HTTPConnection("127.0.0.1", self._fronts[path], timeout=SECONDS), ask)
        if reply.status == 200:
            return reply
        found = re.findall(r"\(\d+: [^)]*\)", log.read_text()[before:]) if log.exists() else []
        return Reply(reply.status, why=found[-1] if found else reply.why)

    def served_by(self, name: str, path: Path | None = None) -> Reply:
        """The front's reply, once that name replies, or the last one when it does not within the time."""
        self.until(lambda: self.front(path).name == name)
        return self.front(path)

    def until(self, done: Callable[[], bool], seconds: float = SECONDS) -> bool:
        """Wait for something."""
        give_up = time.monotonic() + seconds
        while not done():
            if time.monotonic() > give_up:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _start_nginx(self, path: Path) -> int:
        port = free_port()
        place = self._logs / f"nginx-{port}"
        place.mkdir()
        text = CONFIGURATION.format(
            user=f"user {FRONT_USER};",
            directory=place,
            port=port,
            upstream=f"unix:{path}",
            keep="",
            protocol="proxy_next_upstream off;",
        ).replace(f"{place}/nginx-error.log", f"{place}.log")
        file = place / "nginx.conf"
        file.write_text(text)
        program = executable()
        assert program is not None
        with (place / "output").open("wb") as output:
            subprocess.Popen(
                [program, "-c", str(file), "-e", str(place / "start.log")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        assert self.until(lambda: _accepts(port)), "nginx does not start"
        return port


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@cache
def python_for(user: str) -> str:
    """A Python of our version that this user may run: ours, or the system's if ours lies in somebody's home."""
    for each in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        with contextlib.suppress(OSError):
            tried = subprocess.run([each, "-c", ""], cwd="/", user=user, extra_groups=[], check=False)
            if tried.returncode == 0:
                return each
    raise BenchError(f"{user} may run no Python of version 3.{sys.version_info.minor} here")


def dead_socket(path: Path, uid: int = 0, mode: int = 0o666) -> None:
    """A socket file that nobody listens at."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    path.chmod(mode)
    os.chown(path, uid, uid)


def other_server(path: Path) -> subprocess.Popen[bytes]:
    """Something else that listens at a path and replies «other»."""
    code = (
        "import socket, sys\n"
        "with socket.socket(socket.AF_UNIX) as listening:\n"
        "    listening.bind(sys.argv[1])\n"
        "    listening.listen(64)\n"
        "    print('there', flush=True)\n"
        "    while True:\n"
        "        connection, _ = listening.accept()\n"
        "        if connection.recv(65536):\n"
        "            connection.sendall(b'HTTP/1.0 200 OK\\r\\nContent-Length: 8\\r\\n\\r\\nother 0\\n')\n"
        "        connection.close()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    path.chmod(0o666)
    return process
