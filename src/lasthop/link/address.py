"""What ``--bind`` takes, read into an address and written back as its canonical text.

Knows the spelling only: nothing here touches a socket, a file or the environment.
"""

import os
from typing import Any, NamedTuple

from lasthop.errors import AddressError

LONGEST_PATH = 107
"""Bytes of a socket's path: sun_path holds 108, and the last one is the closing NUL that other programs expect."""

EXAMPLE = "unix:/run/app/app.sock?group=www-data&mode=0660"

FORMS = "HOST:PORT, [IPV6]:PORT, :PORT, unix:/PATH, unix:@NAME, fd:N or systemd"


class TcpAddress(NamedTuple):
    """A host (a name or a literal, IPv6 without its brackets) and a port; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class UnixAddress(NamedTuple):
    """A socket file. A relative path is relative to the directory in which the server works (``--chdir``)."""

    path: str
    owner: str = ""
    """A name or a number; empty: as the settings say for all."""
    group: str = ""
    mode: int | None = None

    def __str__(self) -> str:
        return f"unix:{self.path}"


class AbstractAddress(NamedTuple):
    """A name in Linux's abstract namespace: no file, no mode, gone with its last listener."""

    name: str

    def __str__(self) -> str:
        return f"unix:@{self.name}"


class FdAddress(NamedTuple):
    """A listening socket that was inherited under a known number."""

    number: int

    def __str__(self) -> str:
        return f"fd:{self.number}"


class SystemdAddress(NamedTuple):
    """The sockets that systemd passed; with a name only those of that FileDescriptorName."""

    name: str = ""

    def __str__(self) -> str:
        return f"systemd:{self.name}" if self.name else "systemd"


Address = TcpAddress | UnixAddress | AbstractAddress | FdAddress | SystemdAddress


def parse(text: str) -> Address:
    """The address that a text of ``--bind`` means.

    >>> parse("[::1]:8000")
    TcpAddress(host='::1', port=8000)
    """
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "unix":
        return _unix(text, rest)
    if colon and scheme == "fd":
        return _fd(text, rest.removeprefix("//"))
    if scheme == "systemd":
        return SystemdAddress(rest)
    return _tcp(text)


def _unix(text: str, rest: str) -> UnixAddress | AbstractAddress:
    if rest.startswith("///"):
        rest = rest[2:]  # unix:///run/app.sock, as a URL has it
    if rest.startswith("//"):
        raise AddressError(
            text, "after // a path must begin with another /", f"unix:{rest[1:]} or unix:{rest[2:]}"
        )
    path, question, options = rest.partition("?")
    if "\0" in path:
        raise AddressError(text, "a path holds no NUL; an abstract name is written with @", "unix:@NAME")
    if path in ("", "@"):
        raise AddressError(text, "the path is missing", "unix:/run/app/app.sock")
    if question and path.startswith("@"):
        raise AddressError(
            text, "an abstract name has no file, and so no owner, group or mode", f"unix:{path}"
        )
    if path.startswith("@"):
        length = byte_length(path[1:])
        if length > LONGEST_PATH:
            raise AddressError(
                text,
                f"the name has {length} bytes, an abstract name at most {LONGEST_PATH}",
                "a shorter name",
            )
        return AbstractAddress(path[1:])
    if path.endswith("/"):
        raise AddressError(text, "that is a directory, not the name of a socket", f"{text}app.sock")
    return UnixAddress(path, **_options(text, options)) if question else UnixAddress(path)


def _options(text: str, options: str) -> dict[str, Any]:
    """``owner=NAME&group=NAME&mode=OCTAL``, each at most once."""
    found: dict[str, Any] = {}
    for each in options.split("&"):
        name, _, value = each.partition("=")
        if name not in ("owner", "group", "mode"):
            raise AddressError(text, f"{name!r} is no option of a socket file", EXAMPLE)
        if name in found or not value:
            raise AddressError(
                text, f"{name} stands there twice" if value else f"{name} has no value", EXAMPLE
            )
        found[name] = value
    if "mode" in found:
        try:
            found["mode"] = file_mode(found["mode"])
        except ValueError as error:
            raise AddressError(text, str(error), EXAMPLE) from None
    return found


def file_mode(text: str) -> int:
    """A mode in octal digits, as chmod takes it. Raises ValueError with the rule."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and set(text) <= set("01234567")):
        raise ValueError(f"a mode is three octal digits such as 0660, not {text!r}")
    mode = int(text, 8)
    if mode > 0o777:
        raise ValueError(f"a mode of a socket is at most 0777, not {text!r}")
    return mode


def byte_length(path: str) -> int:
    """How long a path is for the system, which counts bytes and not letters."""
    return len(os.fsencode(path))


def _fd(text: str, rest: str) -> FdAddress:
    if not (rest.isascii() and rest.isdecimal()):
        raise AddressError(text, f"{rest!r} is not the number of a file descriptor", "fd:3")
    return FdAddress(int(rest))


def _tcp(text: str) -> TcpAddress:
    if "/" in text:
        if "://" in text:
            raise AddressError(
                text, "an address to listen on is not a URL", text.partition("://")[2].rstrip("/")
            )
        raise AddressError(text, "a path needs unix: before it", f"unix:{text}")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise AddressError(
                text, "an IPv6 address is written in brackets and followed by a port", "[::1]:8000"
            )
        return TcpAddress(host, _port(text, rest[1:]))
    host, colon, port = text.rpartition(":")
    if not colon:
        if text.isascii() and text.isdecimal():
            raise AddressError(
                text, "a port alone does not say on which address", f"127.0.0.1:{text} or :{text}"
            )
        raise AddressError(text, "the port is missing", f"{text or '127.0.0.1'}:8000")
    if ":" in host:
        raise AddressError(text, "an IPv6 address needs brackets", f"[{host}]:{port}")
    if host == "*":
        raise AddressError(text, "* is not a host", f"0.0.0.0:{port} and [::]:{port}")
    # No host means every IPv4 address, as gunicorn has it.
    return TcpAddress(host or "0.0.0.0", _port(text, port))


def _port(text: str, port: str) -> int:
    if not (port.isascii() and port.isdecimal()):
        raise AddressError(
            text,
            f"{port!r} is not a port" if port else "the port is missing",
            f"{text[: -len(port) or None]}8000",
        )
    if int(port) > 65535:
        raise AddressError(
            text, f"port {port} is above 65535", "a port from 1 to 65535, or 0 for any free one"
        )
    return int(port)
