"""``python -m bench.lossless``: does a request get lost while lasthop reloads and is taken over, behind a real nginx?

GET and POST in turn go through nginx, which keeps its connections and tries nothing twice (``proxy_next_upstream off``), without a pause; meanwhile
the server is reloaded (HUP) and replaced (``--replace``), spread over the time. Every reply must have status 200 and the right length; the application
refuses a body that is not the one that was sent; and two plain clients beside the load compare every byte. Exit code 1: something failed.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import front
from bench.applications.checked import GREETING
from bench.errors import BenchError
from bench.link import Link
from bench.process import ROOT, Bailiff, Cores, Started, free_port, raise_file_limit
from lasthop.demo.serving import Serving
from lasthop.engine import load as engine_load

CONNECTIONS = 32
BODIES = (100, 2_000, 20_000)
"""Bytes of the bodies that are sent; the last does not fit into nginx's buffer."""
PARTS = 200
"""The load is one of so many runs after another, so that it is known how far it is."""
LEAST_PART = 192
"""Requests of one run at least: each begins with the first of the texts, and all are to be asked for."""
LONGEST_SECONDS = 3_600.0
WAIT_SECONDS = 60.0
PLAIN_CLIENTS = 2
GRACEFUL_SECONDS = "10"

_Load: Callable[..., Any] = engine_load.Load


def request(body: bytes | None) -> bytes:
    """A request as it goes over the wire."""
    if body is None:
        return b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    digest = hashlib.sha256(body).hexdigest()
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Digest: {digest}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Asking:
    """The load and the plain clients, until enough was asked and whoever changes the server is done."""

    def __init__(self, port: int, requests: int) -> None:
        self._port = port
        self._wanted = requests
        self._lock = threading.Lock()
        self.replies = 0
        self.failures: Counter[str] = Counter()
        self.changed = threading.Event()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._load),
            *(threading.Thread(target=self._plain, args=(number,)) for number in range(PLAIN_CLIENTS)),
        ]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait for the last reply."""
        self.changed.set()
        for thread in self._threads:
            thread.join()

    @property
    def done(self) -> float:
        """How much of what is to be asked has been, as a share."""
        return (self.replies + self.failures.total()) / self._wanted

    def _load(self) -> None:
        texts = []
        for size in BODIES:
            texts += [request(None), request(os.urandom(size))]
        part = max(LEAST_PART, self._wanted // PARTS)
        try:
            while self.done < 1 or not self.changed.is_set():
                load = _Load(
                    ("127.0.0.1", self._port), texts, connections=CONNECTIONS, expect_body=len(GREETING)
                )
                told = load.run(LONGEST_SECONDS, requests=part, waits=True)
                with self._lock:
                    for status, count in told["statuses"].items():
                        if status == 200:
                            self.replies += count
                        else:
                            self.failures[f"status {status}"] += count
                    self.failures.update(told["errors"])
        finally:
            self._over.set()

    def _plain(self, number: int) -> None:
        """One request after the other, every byte of the reply compared."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT_SECONDS)
        asked = number
        while not self._over.is_set():
            asked += 1
            try:
                if asked % 2:
                    expected = GREETING
                    connection.request("GET", "/")
                else:
                    body = os.urandom(BODIES[asked // 2 % len(BODIES)])
                    expected = hashlib.sha256(body).hexdigest().encode()
                    connection.request("POST", "/", body, {"X-Digest": expected.decode()})
                reply = connection.getresponse()
                right = (200, expected) == (reply.status, reply.read())
                failure = "" if right else f"plain: status {reply.status}"
            except (OSError, http.client.HTTPException) as error:
                failure = f"plain: {error!r}"
                connection.close()
            with self._lock:
                if failure:
                    self.failures[failure] += 1
                else:
                    self.replies += 1
        connection.close()


class Changing:
    """The servers, one after another."""

    def __init__(self, bailiff: Bailiff, link: Link, workers: int) -> None:
        self._bailiff = bailiff
        self._bind = f"127.0.0.1:{link.port}" if link.path is None else f"unix:{link.path}"
        self._workers = workers
        self._replaced: list[Serving] = []
        self.reloads = self.takeovers = 0
        self.serving = self._start()

    def _start(self, *options: str) -> Serving:
        number = len(self._replaced)
        server = Serving(
            "bench.applications.checked:application",
            *("--workers", str(self._workers), "--graceful-timeout", GRACEFUL_SECONDS, *options),
            bind=[self._bind],
            log=self._bailiff.directory / f"{'tcp' if self._bind[0] == '1' else 'unix'}-{number}.log",
            cwd=ROOT,
        )
        self._bailiff.started(server.pid)
        server.wait_ready()
        return server

    def reload(self) -> None:
        before = self._reloaded()
        self.serving.process.send_signal(signal.SIGHUP)
        give_up = time.monotonic() + WAIT_SECONDS
        while self._reloaded() == before:
            if time.monotonic() > give_up or self.serving.process.poll() is not None:
                raise BenchError(f"the server has not reloaded; it said:\n{self.serving.said()}")
            time.sleep(0.01)
        self.reloads += 1

    def _reloaded(self) -> int:
        return self.serving.said().count("] reloaded:")

    def replace(self) -> None:
        self._replaced.append(self.serving)
        self.serving = self._start("--replace")
        self.takeovers += 1

    def end(self) -> list[str]:
        """Stop the last; what was wrong with how they ended."""
        wrong = []
        for server in (*self._replaced, self.serving):
            if server is self.serving:
                server.process.send_signal(signal.SIGTERM)
            code = server.process.wait(WAIT_SECONDS)
            if code != 0:
                wrong.append(f"pid {server.pid} ended with {code}; it said:\n{server.said()}")
        return wrong

    def kill(self) -> None:
        for server in (*self._replaced, self.serving):
            server.kill()
            self._bailiff.ended(server.pid)


def change(changing: Changing, asking: Asking, reloads: int, takeovers: int) -> None:
    """Reload and replace, spread over the time of the load."""
    changes: list[tuple[float, Callable[[], None]]] = [
        ((at + 0.5) / count, do)
        for count, do in ((reloads, changing.reload), (takeovers, changing.replace))
        for at in range(count)
    ]
    for due, do in sorted(changes, key=lambda each: each[0]):
        while asking.done < due:
            time.sleep(0.005)
        do()


def run(bailiff: Bailiff, kind: str, options: argparse.Namespace) -> bool:
    """One link; whether nothing failed."""
    link, port = Link.fresh(kind, bailiff.directory, "app"), free_port()
    text = front.configuration(bailiff.directory, port, link, kept_alive=True)
    file = bailiff.directory / f"{kind}.conf"
    file.write_text(text.replace("proxy_pass", "proxy_next_upstream off; proxy_pass"))
    changing = Changing(bailiff, link, options.workers)
    with ExitStack() as ending:
        ending.callback(changing.kill)
        nginx = Started(bailiff, f"nginx-{kind}", front.command(file), Cores.here().front, {})
        ending.enter_context(nginx)
        _wait(Link(port=port), nginx)
        asking = Asking(port, options.requests)
        begun = time.monotonic()
        asking.begin()
        try:
            change(changing, asking, options.reloads, options.takeovers)
        finally:
            asking.end()
        seconds = time.monotonic() - begun
        wrong = changing.end()
    total = asking.replies + asking.failures.total()
    print(
        f"{kind}: {total:,} requests in {seconds:.1f} s ({total / seconds:,.0f}/s), {changing.reloads} reloads, "
        f"{changing.takeovers} takeovers: {asking.failures.total():,} failed",
        flush=True,
    )
    for failure, count in asking.failures.most_common():
        print(f"  {count:,} {failure}")
    for each in wrong:
        print(f"  {each}")
    log = Path(file.parent / "nginx-error.log")
    if asking.failures and log.exists():
        print(log.read_text()[-2000:])
    return not asking.failures and not wrong


def _wait(link: Link, nginx: Started) -> None:
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            link.connect().close()
        except OSError:
            if not nginx.alive or time.monotonic() > give_up:
                raise BenchError(f"nginx does not accept; it said:\n{nginx.said()}") from None
            time.sleep(0.01)
        else:
            return


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.lossless", description=(__doc__ or "").partition("\n\n")[2]
    )
    add = parser.add_argument
    add("--requests", type=int, default=1_000_000, help="on each link, at least (default 1000000)")
    add("--reloads", type=int, default=20, help="by HUP (default 20)")
    add("--takeovers", type=int, default=5, help="by --replace (default 5)")
    add("--link", default="unix,tcp", help="unix, tcp or both (default unix,tcp)")
    add("--workers", type=int, default=2, help="of each server (default 2)")
    return parser.parse_args()


def main() -> int:
    """The command."""
    options = arguments()
    try:
        if front.executable() is None:
            raise BenchError(f"nginx is not installed: {front.INSTALL}")
        kinds = options.link.split(",")
        if not set(kinds) <= {"unix", "tcp"}:
            raise BenchError(f"bench: --link is unix, tcp or unix,tcp, not {options.link}")
        raise_file_limit()
        with Bailiff() as bailiff:
            went_well = [run(bailiff, kind, options) for kind in kinds]
        return 0 if all(went_well) else 1
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
