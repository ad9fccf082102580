"""How many instructions a kept-alive request costs the engine, in user mode: python -m bench.instructions

Counts, where times would be lost in the noise of a machine: valgrind's callgrind, from the engine's turn on, one thread, one connection. It knows nothing
of the kernel's part. Needs valgrind; takes about ten seconds a line. For another state of the source: PYTHONPATH=/there/src.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

REQUESTS = 2000
TURN = "__pyx_f_7lasthop_6engine_4turn_take_turn"
PLAIN = ["Host: example.org", "User-Agent: h2load nghttp2/1.52.0", "Accept: */*"]
FORWARDED = [
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: example.org",
    "X-Real-IP: 203.0.113.9",
]
CASES = [("unix", "plain"), ("tcp", "plain"), ("unix", "forwarded"), ("tcp", "forwarded")]


def count(link: str, headers: str) -> float:
    """Instructions a request."""
    done = subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            f"--toggle-collect={TURN}",
            "--callgrind-out-file=/dev/null",
            sys.executable,
            "-m",
            "bench.instructions",
            link,
            headers,
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "0"},
        timeout=300,
        check=True,
    )
    # The child that asks is looked at as well; it takes no turn.
    return max(int(number) for number in re.findall(r"Collected : (\d+)", done.stderr)) / REQUESTS


def hello(_environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]


def serve(link: str, headers: str) -> None:
    """Be the process that is looked at: serve so many requests of a child, and end."""
    from lasthop.engine import Engine

    with tempfile.TemporaryDirectory() as name:
        listener = socket.socket(socket.AF_UNIX if link == "unix" else socket.AF_INET)
        listener.bind(f"{name}/s" if link == "unix" else ("127.0.0.1", 0))
        listener.listen()
        options = {"trust_proxy": ["127.0.0.1"]} if headers == "forwarded" else {}
        believed = [True] if headers == "forwarded" else []
        engine: Any = Engine(hello, [(listener.fileno(), "localhost", "80", *believed)], **options)
        child = os.fork()
        if child == 0:
            ask(link, listener.getsockname(), headers)
            os._exit(0)

        def end() -> None:
            os.waitpid(child, 0)
            engine.drain(0)

        threading.Thread(target=end, daemon=True).start()
        engine.serve()
        assert engine.counters()["requests"] == REQUESTS
        engine.close()


def ask(link: str, address: Any, headers: str) -> None:
    lines = ["GET /hello HTTP/1.1", *PLAIN, *(FORWARDED if headers == "forwarded" else []), "", ""]
    request = "\r\n".join(lines).encode()
    with socket.socket(socket.AF_UNIX if link == "unix" else socket.AF_INET) as connection:
        connection.connect(address)
        for _ in range(REQUESTS):
            connection.sendall(request)
            connection.recv(65536)


def main() -> int:
    if len(sys.argv) == 3:
        serve(sys.argv[1], sys.argv[2])
        return 0
    if shutil.which("valgrind") is None:
        print("valgrind is missing: apt-get install valgrind", file=sys.stderr)
        return 1
    import lasthop

    print(f"instructions a request, {Path(str(lasthop.__file__)).parent}")
    for link, headers in CASES:
        print(f"{link:5} {headers:10} {count(link, headers):9.0f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
