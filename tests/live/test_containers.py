"""Two containers without any network, of different users, that share only the directory of the socket: nginx in one, lasthop in the other.

The containers are real (podman, runc) and use this machine's files, read-only, as their root. The test reaches nginx through a
second directory, which only nginx's container has.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from .fronts import find, missing

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent.parent / "src"
SECONDS = 30.0
APP, FRONT = 10001, 10002
"""The users: neither is the other, nor root, nor in a group of the other's."""

PODMAN = ["podman", "--runtime", "runc"]
RUN = [
    *PODMAN, "run", "--rm", "--network=none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000",
    "--log-driver=none", "--env", f"PYTHONPATH={SOURCES}",
]  # fmt: skip

NGINX = """
daemon off;
worker_processes 1;
pid /own/pid;
error_log /own/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path /own/body;
    proxy_temp_path /own/proxy;
    fastcgi_temp_path /own/fastcgi;
    uwsgi_temp_path /own/uwsgi;
    scgi_temp_path /own/scgi;
    upstream lasthop {{ server unix:/shared/app.sock; keepalive 8; }}
    server {{
        listen unix:/own/front.sock;
        location / {{
            proxy_pass http://lasthop;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
        }}
    }}
}}
"""


@cache
def lacking() -> str:
    """Why there are no containers here, or nothing."""
    if missing("nginx"):
        return "nginx is not installed"
    if shutil.which("podman") is None or shutil.which("runc") is None:
        return "podman and runc are not installed"
    if os.geteuid() != 0:
        return "containers with this machine's files as their root take root"
    said = tried("/bin/true")
    if said:
        return f"podman cannot run a container here: {said}"
    return (
        ""
        if python()
        else f"user {APP} cannot run this Python in a container, nor Debian's of the same version"
    )


@cache
def python() -> str:
    """The Python of the containers: ours, if a stranger may run it, or Debian's. It must be of the version that lasthop is compiled for."""
    candidates = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")
    return next((each for each in candidates if not tried(each, "-c", "import lasthop.engine.wsgi")), "")


def tried(*command: str) -> str:
    """What a command says that fails in a container; nothing when it succeeds."""
    try:
        done = subprocess.run(
            [*RUN, f"--user={APP}", "--rootfs", "/:O", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return "it does not end"
    return done.stderr.strip()[-300:] or "nothing" if done.returncode else ""


class Container:
    """A container that can be started again and again."""

    def __init__(self, name: str, user: int, volumes: list[str], command: list[str], log: Path) -> None:
        self.name = name
        self._words = [*RUN, f"--name={name}", f"--user={user}:{user}"]
        for volume in volumes:
            self._words += ["--volume", volume]
        self._words += ["--rootfs", "/:O", *command]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def stop(self) -> None:
        """As `podman stop` and `docker stop` do it: SIGTERM, and SIGKILL when that takes too long."""
        self._end("stop", "--time", "20")

    def kill(self) -> None:
        self._end("kill")

    def _end(self, *how: str) -> None:
        process = self._process
        if process is None:
            return
        subprocess.run([*PODMAN, *how, self.name], capture_output=True, timeout=60)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        subprocess.run([*PODMAN, "rm", "--force", self.name], capture_output=True, timeout=60)


class Hop:
    """The two containers, and who asks the front."""

    def __init__(self, place: Path, app: Container, front: Container) -> None:
        self.place = place
        self.app = app
        self.front = front

    def status(self) -> int:
        """What the front replies now; 0 when it is not there."""
        connection = HTTPConnection("localhost", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        with contextlib.closing(connection):
            try:
                connection.sock.connect(str(self.place / "own/front.sock"))
                connection.request("GET", "/hello")
                return connection.getresponse().status
            except (OSError, HTTPException):
                return 0

    def works(self) -> bool:
        """Whether it replies within the time, and then goes on replying."""
        return self.replies(200) and {200} == {self.status() for _ in range(50)}

    def replies(self, status: int) -> bool:
        until = time.monotonic() + SECONDS
        while self.status() != status:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True


@pytest.fixture
def hop() -> Iterator[Hop]:
    if lacking():
        pytest.skip(lacking())
    # Not below /tmp, which the containers see too: what is shared is shared by the volume alone.
    with tempfile.TemporaryDirectory(prefix="lasthop-containers-", dir="/var/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        for directory, user in (("shared", APP), ("own", FRONT)):
            (place / directory).mkdir()
            os.chown(place / directory, user, user)
        (place / "own/nginx.conf").write_text(NGINX.format())
        serve = [
            "-m",
            "lasthop",
            "serve",
            "applications.pages:application",
            "--bind",
            "unix:/shared/app.sock",
        ]
        app = Container(
            f"lasthop-app-{os.getpid()}",
            APP,
            [f"{place}/shared:/shared"],
            [python(), *serve, "--pythonpath", str(HERE), "--graceful-timeout", "5"],
            place / "app.log",
        )
        front = Container(
            f"lasthop-front-{os.getpid()}",
            FRONT,
            # The front cannot write where the socket is.
            [f"{place}/shared:/shared:ro", f"{place}/own:/own"],
            [str(find("nginx")), "-c", "/own/nginx.conf", "-e", "/own/start.log"],
            place / "front.log",
        )
        with app, front:
            yield Hop(place, app, front)


def test_it_works_and_the_front_may_not_write_where_the_socket_is(hop: Hop) -> None:
    assert hop.works(), said(hop)
    assert ["app.sock"] == [each.name for each in (hop.place / "shared").iterdir()]
    assert APP == (hop.place / "shared/app.sock").stat().st_uid


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("order", ["application, front", "front, application"])
def test_both_are_restarted_and_it_goes_on_working(hop: Hop, order: str, how: str) -> None:
    assert hop.works(), said(hop)
    for which in order.split(", "):
        container = hop.app if which == "application" else hop.front
        getattr(container, how)()
        if how == "kill" and which == "front":
            # nginx never removes what it finds: the directory of its own socket is cleaned as its image would.
            (hop.place / "own/front.sock").unlink(missing_ok=True)
        assert hop.replies(502 if which == "application" else 0), said(hop)
        container.start()
        assert hop.works(), said(hop)


def test_both_are_down_and_come_back_in_either_order(hop: Hop) -> None:
    for first, second in ((hop.app, hop.front), (hop.front, hop.app)):
        assert hop.works(), said(hop)
        hop.app.kill()
        hop.front.stop()
        first.start()
        second.start()
        assert hop.works(), said(hop)


def said(hop: Hop) -> str:
    """What the containers wrote."""
    logs = [hop.place / name for name in ("app.log", "front.log", "own/error.log", "own/start.log")]
    return "\n".join(f"--- {log.name}\n{log.read_text()[-1500:]}" for log in logs if log.exists())
