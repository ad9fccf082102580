"""How each server is started on a socket file, and which of its options the situations ask for. Starts nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

SCRIPTS = Path(sys.executable).parent
WSGI, ASGI = "bench.applications.named:application", "bench.applications.named:asgi"


@dataclass(frozen=True)
class Wish:
    """What a server is to do. An address is a path, or `@NAME`, or `fd:3` for a socket that systemd would pass."""

    address: str
    workers: int = 1
    mode: str = ""
    group: str = ""
    replace: bool = False
    opened: bool = True
    """With the option that lets nginx in, for a server that needs one: what is asked is something else than its default mode."""


@dataclass(frozen=True)
class Server:
    """A server, and its command for a wish, which begins with our Python; None where it has no option for it."""

    name: str
    command: Callable[[Wish], list[str] | None]
    reloads: bool = False
    """Whether SIGHUP loads the code again."""
    remark: str = ""
    known_version: str = ""
    """The version where it is not installed as a package; without any it is left out."""

    @property
    def version(self) -> str:
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return self.known_version


def _script(name: str) -> tuple[str, str]:
    return sys.executable, str(SCRIPTS / name)


def _own_version() -> str:
    try:
        from lasthop import __version__
    except ImportError:
        return ""
    return __version__


def _lasthop(wish: Wish) -> list[str] | None:
    command = [sys.executable, "-m", "lasthop", "serve", WSGI, "--workers", str(wish.workers)]
    command += ["--bind", "systemd" if wish.address == "fd:3" else f"unix:{wish.address}"]
    if wish.mode:
        command += ["--socket-mode", wish.mode]
    if wish.group:
        command += ["--socket-group", wish.group]
    return [*command, "--replace"] if wish.replace else command


def _gunicorn(wish: Wish) -> list[str] | None:
    if wish.group or wish.replace:
        return None  # its --group is that of the workers' processes
    command = [*_script("gunicorn"), WSGI, "--workers", str(wish.workers), "--no-control-socket"]
    if wish.address != "fd:3":  # it looks for systemd's sockets by itself
        command += ["--bind", f"unix:{wish.address}"]
    return command


def _uvicorn(wish: Wish) -> list[str] | None:
    if wish.group or wish.replace or wish.address.startswith("@"):
        return None
    where = ["--fd", "3"] if wish.address == "fd:3" else ["--uds", wish.address]
    return [*_script("uvicorn"), ASGI, *where, "--workers", str(wish.workers)]


def _granian(wish: Wish) -> list[str] | None:
    if wish.group or wish.replace or wish.address == "fd:3" or wish.address.startswith("@"):
        return None
    return [
        *(*_script("granian"), "--interface", "wsgi", "--uds", wish.address),
        *("--workers", str(wish.workers), "--no-ws", WSGI),
        *(("--uds-permissions", "666") if wish.opened else ()),
    ]


def _hypercorn(wish: Wish) -> list[str] | None:
    if wish.group or wish.replace:
        return None  # its --group takes a number, and only together with --user
    where = "fd://3" if wish.address == "fd:3" else f"unix:{wish.address}"
    command = [*_script("hypercorn"), ASGI, "--bind", where, "--workers", str(wish.workers)]
    return [*command, "--umask", "0"] if wish.opened else command


def _waitress(wish: Wish) -> list[str] | None:
    if wish.group or wish.replace or wish.address == "fd:3" or wish.address.startswith("@"):
        return None
    opened = ["--unix-socket-perms=666"] if wish.opened else []
    return [*_script("waitress-serve"), f"--unix-socket={wish.address}", *opened, WSGI]


SERVERS = {
    server.name: server
    for server in (
        Server("lasthop", _lasthop, reloads=True, known_version=_own_version()),
        Server("gunicorn", _gunicorn, reloads=True),
        Server("uvicorn", _uvicorn, reloads=True, remark="SIGHUP and a supervisor only with several workers"),
        Server("granian", _granian, reloads=True),
        Server("hypercorn", _hypercorn),
        Server("waitress", _waitress, remark="one process"),
    )
}
