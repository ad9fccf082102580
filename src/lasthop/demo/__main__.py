"""`python -m lasthop.demo`, `make demo`: serve the example on both links at once, ask it, and say what a request costs on each.

What is timed here is honest but small: one client in Python, one connection, one request at a time. The server's own CPU time
is what the links can be compared by; the time a request takes is mostly the client's. `make bench` measures properly.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from lasthop.demo import LINES
from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from lasthop.errors import DemoFailed, LasthopError

UPLOAD = bytes(range(256)) * 4096  # 1 MiB
WARM_UP = 200
ROUNDS = 20
"""The links take turns, so that what else the machine does falls on both."""

ENOUGH = 15
"""In so many of 20 pairs one link must be the dearer one before a difference is claimed: by chance it happens once in 25 (sign test)."""


class Cost(NamedTuple):
    """What the requests of one round took."""

    cpu_us: float
    """CPU time of the server's processes a request, in microseconds."""
    took_us: float
    """Time from sending to the reply's end as the client saw it: the median, in microseconds."""


def main() -> int:
    """Show it; 0 if all came back as it must."""
    words = argparse.ArgumentParser(
        prog="python -m lasthop.demo", description="Serve the example on both links and ask it."
    )
    words.add_argument(
        "--requests", type=int, default=4000, metavar="N", help="timed requests on each link (default: 4000)"
    )
    requests = max(ROUNDS, words.parse_args().requests)
    try:
        show(requests)
    except (LasthopError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def show(requests: int) -> None:
    """The whole demonstration, printed; raises if anything is not as it must be."""
    with tempfile.TemporaryDirectory(prefix="lasthop-demo-") as directory:
        bind = [f"unix:{directory}/app.sock", "127.0.0.1:0"]
        print(f"$ lasthop serve lasthop.demo:app {' '.join(f'--bind {address}' for address in bind)}")
        with Serving("lasthop.demo:app", bind=bind, log=Path(directory, "log")) as server:
            print(f"ready: pid {server.pid} listens on {' and '.join(server.addresses)}\n")
            for address in (server.unix, server.tcp):
                ask(address)
            costs = measure(server, requests)
        print(report(costs, requests))


def ask(address: str) -> None:
    """Send one request of each sort over one link, print what came back, and check it."""
    link = "a UNIX socket" if address.startswith("unix:") else "TCP from 127.0.0.1"
    digest = hashlib.sha256(UPLOAD).hexdigest()
    stream = "".join(f"line {number} of {LINES}\n" for number in range(1, LINES + 1))
    print(f"over {address}, one connection for all:")
    with contextlib.closing(Connection(address)) as connection:
        for method, path, body, expected in (
            ("GET", "/", None, f"Hello! This request came over {link}.\n"),
            ("POST", "/echo", UPLOAD, f"{len(UPLOAD)} bytes, sha256 {digest}\n"),
            ("GET", "/slow?ms=20", None, "waited 20 ms\n"),
            ("GET", "/stream", None, stream),
        ):
            connection.request(method, path, body)
            reply = connection.getresponse()
            text = reply.read().decode()
            sent = f" ({len(body):,} bytes)" if body else ""
            print(
                f"  {method} {path}{sent} -> {reply.status}, {text.splitlines()[0] if text else 'nothing'}{', ...' * (text.count(chr(10)) > 1)}"
            )
            if (reply.status, text) != (200, expected):
                raise DemoFailed(
                    f"{method} {path} over {address} gave {reply.status} {text!r} instead of 200 {expected!r}"
                )
            if connection.sock is None:
                raise DemoFailed(
                    f"the connection to {address} was closed after {method} {path}; it should have been kept"
                )
    print()


def measure(server: Serving, requests: int) -> dict[str, list[Cost]]:
    """Time requests on both links in turns."""
    costs: dict[str, list[Cost]] = {"unix": [], "tcp": []}
    with contextlib.ExitStack() as closing:
        connections = {
            link: closing.enter_context(contextlib.closing(Connection(address)))
            for link, address in (("unix", server.unix), ("tcp", server.tcp))
        }
        for connection in connections.values():
            time_requests(connection, server.pid, WARM_UP)
        for turn in range(ROUNDS):
            for link in ("unix", "tcp") if turn % 2 == 0 else ("tcp", "unix"):
                costs[link].append(time_requests(connections[link], server.pid, requests // ROUNDS))
    return costs


def time_requests(connection: Connection, pid: int, requests: int) -> Cost:
    """Send requests one after another over a kept connection."""
    if connection.sock is None:
        connection.connect()
    # http.client would cost many times what it measures: the bytes are sent and received as they are.
    sock, request = connection.sock, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    took: list[int] = []
    before = cpu_us(pid)
    for _ in range(requests):
        started = time.perf_counter_ns()
        sock.sendall(request)
        reply = sock.recv(65536)
        took.append(time.perf_counter_ns() - started)
        if not reply.startswith(b"HTTP/1.1 200 ") or not reply.endswith(b".\n"):
            raise DemoFailed(f"a timed request over {connection.address} got {reply[:200]!r}")
    return Cost((cpu_us(pid) - before) / requests, statistics.median(took) / 1000)


def cpu_us(supervisor: int) -> float:
    """CPU time that the server's processes have used, with all of their threads, in microseconds."""
    # The clock of a process's CPU time, as clock_getcpuclockid(3) numbers it: exact, where /proc/PID/stat counts in 10 ms.
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in [supervisor, *_workers(supervisor)]) / 1000


def _workers(supervisor: int) -> list[int]:
    """The processes whose parent is the supervisor."""
    workers = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            # proc_pid_stat(5): the name, in parentheses, may hold anything; state and parent follow the last one.
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == supervisor:
                workers.append(int(each.name))
    return workers


def report(costs: dict[str, list[Cost]], requests: int) -> str:
    """The figures in a table and in words."""
    lines = [
        f"{requests:,} kept-alive requests on each link, one at a time, in {ROUNDS} rounds that take turns (medians):"
    ]
    middle: dict[str, Cost] = {}
    for link, rounds in costs.items():
        middle[link] = Cost(*(statistics.median(each) for each in zip(*rounds, strict=True)))
        low, _, high = statistics.quantiles([each.cpu_us for each in rounds], n=4)
        lines.append(
            f"  {link:<5} {middle[link].cpu_us:6.1f} µs of the server's CPU a request"
            f" (half of the rounds: {low:.1f} to {high:.1f}), reply after {middle[link].took_us:.1f} µs"
        )
    pairs = list(zip(costs["unix"], costs["tcp"], strict=True))
    ratio = statistics.median(tcp.cpu_us / unix.cpu_us for unix, tcp in pairs)
    dearer = sum(tcp.cpu_us > unix.cpu_us for unix, tcp in pairs)
    if dearer >= ENOUGH:
        lines.append(
            f"Over TCP a request cost {ratio:.2f} times the CPU (dearer in {dearer} of {len(pairs)} pairs of rounds)."
        )
    elif len(pairs) - dearer >= ENOUGH:
        lines.append(
            f"Over TCP a request cost {ratio:.2f} times the CPU, less than over unix:. That is not what we expect."
        )
    else:
        lines.append(
            f"No difference between the links is shown: TCP was dearer in {dearer} of {len(pairs)} pairs of rounds."
        )
    lines.append(
        "One request at a time on an idle server is its dearest case: each one wakes a sleeping thread. `make bench` measures under load."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)
