"""Requests without a pause from several threads, each on a connection that it keeps as long as it is kept; every reply is looked at.

A reply counts only if it is whole: status, length, and the digest of what was sent to be echoed. Everything else is written down as a failure,
with whom the connection led to.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from types import TracebackType
from typing import Self

from lasthop.demo.asking import Connection


@dataclass
class Failure:
    what: str
    worker: int | None
    """Who answered on this connection before; None on a connection without a reply so far."""
    began: int
    ended: int
    """What `moment()` said before the request was sent, and when it had failed."""


@dataclass
class Load:
    addresses: list[str]
    connections: int = 8
    moment: Callable[[], int] = lambda: 0
    fresh_after: int = 0
    """A new connection after so many requests; 0 for never."""
    replies: int = 0
    workers: set[int] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(self.connections)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        connection = Connection(self.addresses[number % len(self.addresses)])
        worker: int | None = None
        body = b"%d " % number * 5000
        expected = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
        asked = 0
        while not self._over.is_set():
            asked += 1
            if connection.sock is None or (self.fresh_after and asked % self.fresh_after == 0):
                connection.close()
                worker = None
            began = self.moment()
            try:
                if asked % 2:
                    connection.request("POST", "/echo", body)
                else:
                    connection.request("GET", "/pid")
                reply = connection.getresponse()
                said = reply.read().decode()
            except (OSError, HTTPException) as error:
                with self._lock:
                    self.failures.append(Failure(repr(error), worker, began, self.moment()))
                connection.close()
                worker = None
                continue
            text, _, pid = said.rpartition(" ")
            with self._lock:
                if reply.status != 200 or text != (expected if asked % 2 else "") or not pid.isdecimal():
                    self.wrong.append(f"{reply.status} {said[:100]}")
                    continue
                self.replies += 1
                worker = int(pid)
                self.workers.add(worker)
        with contextlib.suppress(OSError):
            connection.close()
