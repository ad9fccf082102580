"""nginx in front of a server: a configuration of its own in the bench's directory, one worker, never as a service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from bench.link import Link

INSTALL = "apt-get install nginx"

CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    upstream application {{
        server {upstream};
        {keep}
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://application;
            {protocol}
        }}
    }}
}}
"""


def executable() -> str | None:
    """Where nginx is; Debian puts it where an ordinary user's PATH does not look."""
    return shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")


def version() -> str | None:
    """nginx's version, or None if it is not installed."""
    program = executable()
    if program is None:
        return None
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"nginx/(\S+)", said)
    return found.group(1) if found else "unknown"


def configuration(directory: Path, port: int, upstream: Link, *, kept_alive: bool) -> str:
    """The configuration for one hop: kept alive (HTTP/1.1), or nginx's default (HTTP/1.0, a connection a request)."""
    where = f"127.0.0.1:{upstream.port}" if upstream.path is None else f"unix:{upstream.path}"
    return CONFIGURATION.format(
        # Started by root, nginx would give its worker to nobody, who may not enter the bench's directory.
        user="user root;" if os.geteuid() == 0 else "",
        directory=directory,
        port=port,
        upstream=where,
        keep="keepalive 64; keepalive_requests 1000000000;" if kept_alive else "",
        protocol='proxy_http_version 1.1; proxy_set_header Connection "";' if kept_alive else "",
    )


def command(file: Path) -> list[str]:
    """How nginx is started with a configuration."""
    program = executable()
    assert program is not None
    return [program, "-c", str(file), "-e", str(file.with_suffix(".error"))]
