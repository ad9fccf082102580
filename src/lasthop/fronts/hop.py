"""The hop as one description, from which every front's configuration is made: what is on both sides of it, and how they talk.

Holds what is wrong for any front back (an address that nobody can connect to, a name with a line end in it); what only one front
cannot say is refused by that front. Knows no front, and touches no socket or file.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lasthop.errors import HopError
from lasthop.link.address import (
    LONGEST_PATH,
    AbstractAddress,
    Address,
    FdAddress,
    SystemdAddress,
    TcpAddress,
    UnixAddress,
    byte_length,
)

MOST_BYTES = 1 << 40
"""A larger upload limit is a mistake, and 0 says that there is none."""
MOST_SECONDS = 86_400
MOST_IDLE = 100_000
MOST_WORKERS = 1024
MOST_CLIENTS = 16_384

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_PREFIX = re.compile(r"/(?:[A-Za-z0-9._~-]+/)*(?:[A-Za-z0-9._~-]+/?)?")


EVERYWHERE = TcpAddress("0.0.0.0", 80)


@dataclass(frozen=True, kw_only=True)
class Hop:
    """What a front is told. Times are whole seconds, because not every front knows smaller ones."""

    application: Address
    """Where the application listens, as `lasthop serve --bind` has it. All addresses of the machine (0.0.0.0) become its loopback."""
    entrance: TcpAddress = EVERYWHERE
    """Where the front listens."""
    server_name: str = ""
    """The site's name; empty: whatever name is asked for."""
    keep_alive: int = 32
    """Idle connections to the application that each process of the front keeps. 0: a connection a request."""
    forwarded: bool = True
    """Tell the application who asked, and how. What a client says of that itself is removed in any case."""
    connect_seconds: int = 5
    reply_seconds: int = 60
    """How long the application may be silent: longer than lasthop's --timeout (30 s), so that a stuck worker is replaced first."""
    idle_seconds: int = 60
    """How long an idle connection is kept: shorter than lasthop's --keep-alive (75 s), so that the front closes it and never
    sends a request on a connection which is just being closed."""
    upload_bytes: int = 1 << 30
    """The longest body of a request; as lasthop's --limit-request-body. 0: any length."""
    websocket: bool = False
    """Let a client change from HTTP to WebSocket."""
    static: Mapping[str, str] = field(default_factory=dict)
    """URL prefixes, and the directories whose files the front serves there itself."""
    workers: int = 1
    """Processes of the front (Caddy and HAProxy: threads), when it runs alone."""
    clients: int = 4096
    """How many clients each of these must have room for, when it runs alone. Only Apache pays for room: it has a thread for each."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "application", _application(self.application))
        _entrance(self.entrance)
        if self.server_name and (len(self.server_name) > 253 or not _NAME.fullmatch(self.server_name)):
            raise HopError(
                f"{self.server_name!r} is not the name of a site",
                "letters, digits, - and dots, such as shop.example.org; a name in another script as punycode (xn--...)",
            )
        for what, value, least, most in (
            ("keep-alive", self.keep_alive, 0, MOST_IDLE),
            ("upload limit", self.upload_bytes, 0, MOST_BYTES),
            ("connect time-out", self.connect_seconds, 1, MOST_SECONDS),
            ("reply time-out", self.reply_seconds, 1, MOST_SECONDS),
            ("idle time-out", self.idle_seconds, 1, MOST_SECONDS),
            ("number of workers", self.workers, 1, MOST_WORKERS),
            ("number of clients", self.clients, 1, MOST_CLIENTS),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise HopError(
                    f"the hop's {what} is {value!r}, but it must be a whole number from {least} to {most}"
                )
        object.__setattr__(self, "static", {_prefix(url): _directory(to) for url, to in self.static.items()})

    def at(self, entrance: TcpAddress) -> Hop:
        """The same hop with another entrance."""
        return replace(self, entrance=entrance)


def _application(address: Address) -> Address:
    match address:
        case UnixAddress(path):
            refuse_controls("the socket's path", path)
            if not path.startswith("/"):
                raise HopError(
                    f"the socket's path {path!r} is relative, and a front works in another directory",
                    "the whole path, such as unix:/run/app/app.sock",
                )
            if byte_length(path) > LONGEST_PATH:
                raise HopError(
                    f"the socket's path has {byte_length(path)} bytes, but no front connects to more than {LONGEST_PATH}",
                    "a shorter path, such as /run/app/app.sock",
                )
        case AbstractAddress(name):
            refuse_controls("the socket's abstract name", name)
        case TcpAddress(host, port):
            if port == 0:
                raise HopError(
                    "port 0 is no address to connect to", "the port that lasthop says when it is ready"
                )
            _host(host)
            if _is_every_address(host):
                return TcpAddress("::1" if ":" in host else "127.0.0.1", port)
        case FdAddress() | SystemdAddress():
            raise HopError(
                f"{address} does not say where a front can connect to",
                "the address of the socket itself, such as unix:/run/app.sock (systemd: its ListenStream=)",
            )
    return address


def _entrance(address: TcpAddress) -> None:
    if not isinstance(address, TcpAddress) or address.port == 0:
        raise HopError(f"a front cannot be told to listen on {address}", "HOST:PORT, :80 or [::]:80")
    _host(address.host)


def _is_every_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _host(host: str) -> None:
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise HopError(f"{host!r} is not an IPv6 address", "such as [::1]:8000") from None
        if "%" in host:
            raise HopError(f"{host!r} names an interface, which fronts cannot", "an address without %")
    elif len(host) > 253 or not _HOST.fullmatch(host):
        raise HopError(f"{host!r} is not a host", "an IP address, or a name of letters, digits, - and dots")


def _prefix(url: str) -> str:
    if url == "/":
        raise HopError(
            "all of / cannot be left to files: nothing would be left for the application", "/static/"
        )
    if not _PREFIX.fullmatch(url) or any(part in (".", "..") for part in url.split("/")):
        raise HopError(
            f"{url!r} is not the path of a URL that a front can take to files",
            "letters, digits and . _ ~ - between slashes, such as /static/",
        )
    return url if url.endswith("/") else f"{url}/"


def _directory(path: str) -> str:
    refuse_controls("the directory", path)
    if not path.startswith("/"):
        raise HopError(
            f"the directory {path!r} is relative, and a front works in another one", "the whole path"
        )
    return path if path.endswith("/") else f"{path}/"


def refuse_controls(what: str, text: str) -> None:
    """Refuse what would end a line of a configuration, and what is not text: no front has a way to write it."""
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 or letter in "\u2028\u2029" for letter in text):
        raise HopError(
            f"{what} {text!r} holds a control character, which no front can be told", "another name"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise HopError(f"{what} {text!r} is not text in UTF-8", "another name") from None
