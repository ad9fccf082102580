"""What settings mean before anything is started: the directory and path of the process, where to listen, where to log, and what is wrong."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lasthop.errors import DirectoryError, MissingExtra
from lasthop.link.address import file_mode
from lasthop.link.permissions import Asked
from lasthop.server import logs

if TYPE_CHECKING:
    from lasthop.settings import Settings


def check(target: str | None, settings: "Settings") -> None:
    """Raise the error for what can be known to be wrong of the texts among the settings, without starting anything."""
    from lasthop.link import address
    from lasthop.server.target import parse

    if target is not None:
        parse(target)
    for text in settings.bind:
        address.parse(text)
    check_format(settings)
    if settings.chdir is not None and not Path(settings.chdir).is_dir():
        raise DirectoryError(str(settings.chdir), "there is no such directory")


def binds(settings: "Settings", sockets_passed: bool) -> tuple[str, ...]:
    """Where to listen: at what systemd passed, when it passed something and nothing else was asked for."""
    from lasthop.settings import default_of

    return ("systemd",) if sockets_passed and settings.bind == default_of("bind") else settings.bind


def file_permissions(settings: "Settings") -> Asked:
    """Who may use the socket files, where their addresses do not say."""
    mode = settings.socket_mode
    return Asked(
        settings.socket_owner or "", settings.socket_group or "",
        file_mode(mode) if mode is not None else None, settings.socket_mkdir,
    )  # fmt: skip


def workers(settings: "Settings") -> int:
    """How many, as a number."""
    if settings.workers != "auto":
        return settings.workers
    from lasthop.server.processors import usable_processors

    return usable_processors()


def prepare_path(settings: "Settings", started_in: Path) -> None:
    """What ``--chdir`` and ``--pythonpath`` say, for this process and those that it forks."""
    if settings.chdir is not None:
        try:
            os.chdir(started_in / settings.chdir)
        except OSError as error:
            raise DirectoryError(str(settings.chdir), error.strerror or str(error)) from error
    wanted = [*(str(Path(each).absolute()) for each in settings.pythonpath), str(Path.cwd())]
    sys.path[:] = [*wanted, *(each for each in sys.path if each not in wanted)]


def check_loop(settings: "Settings") -> None:
    """Say before anything starts that the event loop is not installed: a worker could only fail."""
    if settings.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        raise MissingExtra("--loop uvloop", "uvloop", "uvloop")


def check_format(settings: "Settings") -> None:
    from lasthop.server import accesslog

    accesslog.check(settings.access_logformat)


def access_log(settings: "Settings") -> logs.Sink | None:
    """Where requests are logged, or None. A wrong format is to be known before anything starts, also while there is no log."""
    check_format(settings)
    return None if settings.access_logfile is None else logs.Sink(settings.access_logfile, 1)


def destinations(
    settings: "Settings",
    was: "Settings",
    sinks: tuple[logs.Sink, logs.Sink | None],
    opened: list[logs.Sink],
) -> tuple[logs.Sink, logs.Sink | None]:
    """Where to log from new settings on: as before where nothing changed. What is opened for it is noted in ``opened``."""
    errors, accesses = sinks
    if (settings.error_logfile, settings.log_level) != (was.error_logfile, was.log_level):
        errors = logs.open_error_log(settings.error_logfile, settings.log_level)
        opened.append(errors)
    if settings.access_logfile != was.access_logfile:
        accesses = access_log(settings)
        if accesses is not None:
            opened.append(accesses)
    else:
        check_format(settings)
    return errors, accesses
