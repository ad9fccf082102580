"""A `lasthop serve` of our own: started on given addresses, known to be ready by its pipe, stopped by TERM.

The demonstration uses it, and the tests: both want the real program, as a user starts it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lasthop.demo.asking import SECONDS, Connection
from lasthop.errors import DemoFailed


class Serving:
    """The server's process and what it said. A context manager: leaving it stops the server."""

    def __init__(
        self,
        target: str,
        *options: str,
        bind: Sequence[str],
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.log = log
        self._heard, told = os.pipe()
        self.addresses: list[str] = []
        binds = [word for address in bind for word in ("--bind", address)]
        try:
            with log.open("ab") as output:
                self.process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "lasthop",
                        "serve",
                        target,
                        *binds,
                        "--ready-fd",
                        str(told),
                        *options,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=cwd,
                    env=dict(os.environ if env is None else env),
                    pass_fds=(told, *pass_fds),
                    start_new_session=True,  # Ctrl-C is for us; we stop it in order
                )
        finally:
            os.close(told)

    def wait_ready(self) -> None:
        """Wait until all workers accept; the addresses with their real ports are known then."""
        line = b""
        while not line.endswith(b"\n"):
            found, _, _ = select.select([self._heard], [], [], SECONDS)
            piece = os.read(self._heard, 4096) if found else b""
            if not piece:
                what = "was not ready in time" if not found else "ended before it was ready"
                self.kill()
                raise DemoFailed(f"lasthop serve {what}; it said:\n{self.said()}")
            line += piece
        self.addresses = line.decode().split()[1:]

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self.process.pid

    @property
    def unix(self) -> str:
        """The first address that is a UNIX socket: `unix:/PATH`."""
        return next(address for address in self.addresses if address.startswith("unix:"))

    @property
    def tcp(self) -> str:
        """The first address that is TCP: `HOST:PORT`, with the real port."""
        return next(address for address in self.addresses if not address.startswith("unix:"))

    def connect(self, address: str | None = None) -> Connection:
        """A connection to an address, or to the first one."""
        return Connection(self.addresses[0] if address is None else address)

    def said(self) -> str:
        """What the server wrote to standard output and standard error."""
        return self.log.read_text("utf-8", "replace")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and wait; the exit code. One that does not end is killed and complained of."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DemoFailed(
                f"lasthop serve did not end within {SECONDS:.0f} s of {number.name}; it said:\n{self.said()}"
            ) from None
        finally:
            self._forget_pipe()

    def kill(self) -> None:
        """End it and all of its workers at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._forget_pipe()

    def _forget_pipe(self) -> None:
        if self._heard >= 0:
            os.close(self._heard)
            self._heard = -1

    def __enter__(self) -> Self:
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.kill()
            return
        code = self.stop()
        if code != 0:
            raise DemoFailed(f"lasthop serve ended with {code} instead of 0; it said:\n{self.said()}")
