"""``--reload``: a process that watches source files and tells the supervisor, which then does what it does on HUP.

A process of its own, because watching needs threads, and a supervisor that forks must have none.
"""

import importlib.util
import socket
from logging import getLogger
from pathlib import Path

from lasthop.errors import MissingExtra
from lasthop.server import exits
from lasthop.server.signals import release

log = getLogger("lasthop")

LOOK_UP_MS = 500
"""How long to watch between two looks at whether the supervisor is still there."""


def check_available() -> None:
    """Say before anything starts that what watches is not installed."""
    if importlib.util.find_spec("watchfiles") is None:
        raise MissingExtra("--reload", "watchfiles", "reload")


def watched_directories(pythonpath: tuple[str, ...]) -> list[str]:
    """The working directory and what was put on the path: where the user's own code is."""
    return sorted({str(Path(each).absolute()) for each in (".", *pythonpath) if Path(each).is_dir()})


def watch(channel: socket.socket, directories: list[str]) -> int:
    """Send the name of a changed file, until the supervisor is gone. Called in a fresh fork with all signals held."""
    release()
    from watchfiles import PythonFilter
    from watchfiles import watch as changes

    said = False
    for found in changes(
        *directories,
        watch_filter=PythonFilter(),
        yield_on_timeout=True,
        rust_timeout=LOOK_UP_MS,
        raise_interrupt=False,
    ):
        if not said:
            log.info("watching %s", " ".join(directories))  # said only once it is true
            said = True
        try:
            if found:
                channel.send(sorted(path for _, path in found)[0].encode("utf-8", "backslashreplace")[-4096:])
            elif channel.recv(1, socket.MSG_DONTWAIT) == b"":
                break
        except BlockingIOError:
            continue
        except OSError:
            break
    return exits.STOPPED
