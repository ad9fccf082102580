"""Real web servers before lasthop: their configuration, their start and their end.

Each runs in the foreground as our child, with everything it writes in a directory of its own, as whoever we are; Apache, which
refuses to work as root, as www-data. Its port is held by a socket of ours that is bound but does not listen, so nobody else gets it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

SECONDS = 20.0
"""When a wait for a front is given up. Nothing is expected to take as long."""

PROGRAMS = {"nginx": "nginx", "apache": "apache2", "haproxy": "haproxy", "caddy": "caddy"}

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {place}/pid;
error_log {place}/error.log info;
events {{ worker_connections 2048; }}
http {{
    access_log {place}/access.log;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    client_max_body_size 0;
    upstream lasthop {{ server {address}; {keepalive} }}
    server {{
        listen 127.0.0.1:{port};
        {server}
        location / {{
            proxy_pass http://lasthop;
            proxy_set_header Host $http_host;
            proxy_next_upstream off;
            {location}
        }}
    }}
}}
"""

KEPT = 'proxy_http_version 1.1; proxy_set_header Connection "";'

NGINX_KINDS = {
    "nginx": {"keepalive": "", "server": "", "location": ""},
    "nginx-kept": {"keepalive": "keepalive 32;", "server": "", "location": KEPT},
    # As many kept as come at a time: with fewer, most are closed after a request.
    "nginx-even": {"keepalive": "keepalive 64;", "server": "", "location": KEPT},
    # As much as nginx can be made to pass on as it came.
    "nginx-lax": {
        "keepalive": "keepalive 32;",
        "server": "underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;",
        "location": KEPT + " proxy_request_buffering off; proxy_buffering off;",
    },
}

APACHE = """
ServerRoot {place}
DefaultRuntimeDir {place}
ServerName localhost
PidFile {place}/pid
ErrorLog {place}/error.log
{user}
{modules}
Listen 127.0.0.1:{port}
StartServers 1
ThreadLimit 64
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
ProxyPreserveHost On
ProxyTimeout 20
{unsafe}
AllowEncodedSlashes NoDecode
<VirtualHost 127.0.0.1:{port}>
    ProxyPass "/" "{address}" {reuse}
</VirtualHost>
"""

APACHE_MODULES = Path("/usr/lib/apache2/modules")

HAPROXY = """
global
    nbthread 1
    maxconn 1024
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    {lax}
listen front
    bind 127.0.0.1:{port}
    http-reuse always
    server lasthop {address}
"""

CADDY = """
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy {address}
}}
"""


def program(kind: str) -> str:
    return PROGRAMS[kind.partition("-")[0]]


def find(name: str) -> str | None:
    """Where a program is: those of a service are not in everybody's PATH."""
    return shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    )


def missing(kind: str) -> str | None:
    """The program that a front needs and that is not here."""
    return None if find(program(kind)) else program(kind)


class Front:
    """A front before one address of lasthop. A context manager: it is there, and accepts, between entering and leaving."""

    def __init__(
        self, kind: str, address: str, place: Path, user: str = "root", within: Sequence[str] = ()
    ) -> None:
        """`user`: whose nginx's workers are when root starts it; `within`: what is put before its command line."""
        self.kind = kind
        self.user = user
        self._place = place
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port: int = self._held.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._words = [*within, *getattr(self, f"_{kind.partition('-')[0]}")(address)]

    def said(self) -> str:
        """What it wrote, for whoever has to find out why a test failed."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text('utf-8', 'replace')[-4000:]}"
            for path in self._place.glob("*.log")
        )

    def __enter__(self) -> Self:
        with (self._place / "output.log").open("wb") as output:
            self.process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._place,
                env=os.environ
                | {
                    "HOME": str(self._place),
                    "XDG_DATA_HOME": str(self._place),
                    "XDG_CONFIG_HOME": str(self._place),
                },
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _wait(self) -> None:
        until = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{self.kind} does not accept; it said:\n{self.said()}")
            time.sleep(0.01)

    def _end(self) -> None:
        """End it and its workers: in order if it will, else at once."""
        self._held.close()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    # How each is told what to do: its command line.

    def _write(self, text: str) -> Path:
        path = self._place / "configuration"
        path.write_text(text)
        return path

    def _nginx(self, address: str) -> list[str]:
        user = f"user {self.user};" if os.geteuid() == 0 else ""
        path = self._write(
            NGINX.format(
                place=self._place, port=self.port, address=address, user=user, **NGINX_KINDS[self.kind]
            )
        )
        return [str(find("nginx")), "-p", str(self._place), "-c", str(path), "-e", "stderr"]

    def _apache(self, address: str) -> list[str]:
        modules = "\n".join(
            f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so"
            for name in ("mpm_event", "authz_core", "proxy", "proxy_http")
        )
        user = ""
        if os.geteuid() == 0:
            names = {each.pw_name for each in pwd.getpwall()}
            name = "www-data" if "www-data" in names else "nobody"
            user = f"User {name}\nGroup #{pwd.getpwnam(name).pw_gid}"
        upstream = f"{address}|http://lasthop/" if address.startswith("unix:") else f"http://{address}/"
        path = self._write(
            APACHE.format(
                place=self._place,
                port=self.port,
                address=upstream,
                reuse="enablereuse=on",
                modules=modules,
                user=user,
                unsafe="HttpProtocolOptions Unsafe" if self.kind == "apache-lax" else "",
            )
        )
        return [str(find("apache2")), "-f", str(path), "-D", "FOREGROUND"]

    def _haproxy(self, address: str) -> list[str]:
        path = self._write(
            HAPROXY.format(
                port=self.port,
                address=address.replace("unix:", "unix@"),
                lax="option accept-invalid-http-request" if self.kind == "haproxy-lax" else "",
            )
        )
        return [str(find("haproxy")), "-db", "-f", str(path)]

    def _caddy(self, address: str) -> list[str]:
        path = self._write(CADDY.format(port=self.port, address=address.replace("unix:", "unix/")))
        return [str(find("caddy")), "run", "--config", str(path), "--adapter", "caddyfile"]
