"""An engine that runs in threads of this process, on a socket file and on TCP at once, and what talks to it.

`Running` starts and ends it, and at the end holds it to what an engine owes: every `serve()` has returned, no connection is
open, no thread is in the application. `Peer` is the other end of one connection; what it reads is read by h11.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import h11

from lasthop import engine as compiled

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Start = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, Start], Iterable[bytes]]
Link = Literal["unix", "tcp", "tcp6"]

PATIENCE = 20.0
"""Seconds after which a test gives up hope. None waits so long when all is well."""


def get(path: str = "/", *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: a", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(body: bytes, *fields: str, path: str = "/", version: str = "1.1") -> bytes:
    """A request with a body of known length."""
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST", version=version) + body


def chunked(*chunks: bytes, fields: tuple[str, ...] = ()) -> bytes:
    """A request whose body comes in these chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    return get("/", "Transfer-Encoding: chunked", *fields, method="POST") + body


@dataclass
class Reply:
    status: int
    fields: list[tuple[str, str]]
    body: bytes
    interim: list[int]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def __getitem__(self, name: str) -> str | None:
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def summary(self) -> tuple[int, bytes]:
        return self.status, self.body


class Peer:
    """One connection to the engine. It closes itself when the test has ended."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        connected.settimeout(PATIENCE)
        self._reading = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)

    def send(self, data: bytes) -> "Peer":
        self.socket.sendall(data)
        return self

    def reply(self, method: str = "GET") -> Reply:
        """The next reply, to a request with this method; h11.RemoteProtocolError when it breaks off or is none."""
        if self._reading.our_state is h11.DONE:
            self._reading.start_next_cycle()
        self._reading.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        self._reading.send(h11.EndOfMessage())
        interim: list[int] = []
        head: h11.Response | None = None
        body = b""
        while True:
            event = self._reading.next_event()
            if event is h11.NEED_DATA:
                self._reading.receive_data(self.socket.recv(1 << 20))
            elif isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                fields = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in head.headers]
                return Reply(head.status_code, fields, body, interim)
            else:
                raise AssertionError(f"{event} instead of a reply")

    def replies(self, count: int) -> list[Reply]:
        return [self.reply() for _ in range(count)]

    def rest(self) -> bytes:
        """All bytes until the engine ends the connection."""
        received = bytearray(self._reading.trailing_data[0])
        while True:
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                return bytes(received)
            if not data:
                return bytes(received)
            received += data

    def is_silent(self, seconds: float = 0.2) -> bool:
        """Does nothing come, not even an end, for so long?"""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        return False

    def end_sending(self) -> "Peer":
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def close(self) -> None:
        self.socket.close()


class _Remember(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(self.format(record))


@dataclass
class Running:
    """An engine of `threads` threads. `options` are Engine's."""

    application: Application
    directory: Path
    threads: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    finished: bool = False

    def __post_init__(self) -> None:
        log = logging.Logger("engine", logging.DEBUG)  # noqa: LOG001 - no other test shall hear it
        log.addHandler(_Remember(self.said))
        self.listeners = [socket.socket(socket.AF_UNIX), socket.socket(), socket.socket(socket.AF_INET6)]
        unix, tcp, tcp6 = self.listeners
        self.path = str(self.directory / "e.sock")
        unix.bind(self.path)
        tcp.bind(("127.0.0.1", 0))
        tcp6.bind(("::1", 0))
        self.port: int = tcp.getsockname()[1]
        self.port6: int = tcp6.getsockname()[1]
        for listener in self.listeners:
            listener.listen(self.options.pop("backlog", 1024))
        self.engine: Any = compiled.Engine(
            self.application,
            [
                (unix.fileno(), "localhost", "", self.options.pop("believed", False)),
                (tcp.fileno(), "127.0.0.1", str(self.port)),
                (tcp6.fileno(), "::1", str(self.port6)),
            ],
            threads=self.threads,
            **{"log": log, **self.options},
        )
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(self.threads)]
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        try:
            self.engine.serve()
        except BaseException as error:  # noqa: BLE001 - whatever it is, finish() tells
            self.failures.append(error)

    def connect(self, link: Link = "unix", *, receive_buffer: int = 0) -> Peer:
        families = {"unix": socket.AF_UNIX, "tcp": socket.AF_INET, "tcp6": socket.AF_INET6}
        connecting = socket.socket(families[link])
        connecting.settimeout(PATIENCE)
        if receive_buffer:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        addresses: dict[Link, Any] = {
            "unix": self.path,
            "tcp": ("127.0.0.1", self.port),
            "tcp6": ("::1", self.port6),
        }
        peer = Peer(connecting)
        self.peers.append(peer)
        connecting.connect(addresses[link])
        return peer

    def send(self, data: bytes, link: Link = "unix") -> Peer:
        """A new connection on which `data` was sent."""
        return self.connect(link).send(data)

    def ask(self, data: bytes = b"", link: Link = "unix", method: str = "GET") -> Reply:
        """The reply to `data` (by default GET /) on a connection of its own."""
        return self.send(data or get(), link).reply(method)

    @property
    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.engine.counters()
        return counters

    def has_ended(self, seconds: float = PATIENCE) -> bool:
        """Has every serve() returned, within so many seconds together?"""
        for thread in self._threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._threads)

    def finish(self) -> None:
        """Close all that is open, drain, and look whether all is as it was. A test may do it itself, or have ended the engine."""
        if self.finished:
            return
        self.finished = True
        for peer in self.peers:
            peer.close()
        self.engine.drain(0)
        ended = self.has_ended(5)
        if not ended:
            self.engine.stop()
            self.has_ended(5)
        counters = self.counters
        try:
            assert ended, f"a thread is still in serve(): {counters}"
            self.engine.close()
            assert self.failures == []
            assert {"connections": 0, "busy": 0} == {
                key: self.counters[key] for key in ("connections", "busy")
            }
        finally:
            for listener in self.listeners:
                listener.close()
            Path(self.path).unlink()


def hello(environ: Environ, start_response: Start) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def echo(environ: Environ, start_response: Start) -> list[bytes]:
    """The body of the request as the body of the reply."""
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]
