"""Everything that can go wrong and be told to a user, on one page.

An error is made of facts; its text, the hint (what to do) and the exit code follow from them. Knows no other module, so
that any may raise one. Refusals of the HTTP reader are not here: they are codes, since one is made for every bad request.

Exit codes: 2 what the user wrote is wrong (as for any command that is misused), 1 it could not be done here and now, 3 and
4 as gunicorn has them: a worker did not boot, the application could not be loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class LasthopError(Exception):
    """What went wrong, in one sentence; `hint` says what to do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, hint: str = "") -> None:
        self.what = what
        self.hint = hint
        super().__init__(what, hint)

    def __str__(self) -> str:
        return f"{self.what}\n  hint: {self.hint}" if self.hint else self.what


# What the user wrote


class SettingError(LasthopError):
    """The value of a setting breaks its rule."""

    exit_code = 2

    def __init__(self, setting: str, value: object, source: str, rule: str, hint: str = "") -> None:
        self.setting = setting
        self.value = value
        self.source = source
        self.rule = rule
        super().__init__(f"{setting} is {value!r} ({source}), but {rule}", hint)


class SettingsConflict(LasthopError):
    """Two settings, each right by itself, contradict each other."""

    exit_code = 2

    def __init__(self, first: str, second: str, why: str, hint: str) -> None:
        self.settings = (first, second)
        super().__init__(f"{first} and {second} contradict each other: {why}", hint)


class UnknownSetting(LasthopError):
    """A name in a file or in the environment that is no setting."""

    exit_code = 2

    def __init__(self, name: str, source: str, nearest: Sequence[str], told: str = "") -> None:
        """``told``: what is known of the name; else the nearest ones are named."""
        self.name = name
        self.nearest = tuple(nearest)
        meant = f"did you mean {' or '.join(nearest)}?" if nearest else ""
        hint = told or meant or "lasthop serve --help lists all settings"
        super().__init__(f"there is no setting {name} ({source})", hint)


class SettingsFileError(LasthopError):
    """A file of settings cannot be read."""

    exit_code = 2

    def __init__(self, path: str, what: str, hint: str = "") -> None:
        self.path = path
        super().__init__(f"the settings in {path} cannot be read: {what}", hint)


class UsageError(LasthopError):
    """The command line is not one."""

    exit_code = 2


class AddressError(LasthopError):
    """A text that is no address."""

    exit_code = 2

    def __init__(self, text: str, rule: str, instead: str) -> None:
        self.text = text
        self.rule = rule
        super().__init__(f"{text!r} is not an address to listen on: {rule}", instead)


class PeerError(LasthopError):
    """A text that names nobody who could connect."""

    exit_code = 2

    def __init__(self, text: str, rule: str, instead: str) -> None:
        self.text = text
        self.rule = rule
        super().__init__(f"{text!r} names no peer: {rule}", instead)


class TargetError(LasthopError):
    """A text that leads to no application."""

    exit_code = 2

    def __init__(self, text: str, what: str, instead: str) -> None:
        self.text = text
        super().__init__(f"{text!r} names no application: {what}", instead)


class AccessFormatError(LasthopError):
    """A format of the access log that cannot be followed."""

    exit_code = 2

    def __init__(self, text: str, what: str, instead: str) -> None:
        self.text = text
        super().__init__(f"--access-logformat {text!r} cannot be followed: {what}", instead)


# What this machine does not give


class ListenError(LasthopError):
    """An address on which nobody can listen, as things are."""

    def __init__(self, address: object, what: str, hint: str) -> None:
        self.address = address
        super().__init__(f"cannot listen on {address}: {what}", hint)


class TakeoverRefused(LasthopError):
    """A running server whose place cannot be taken."""

    def __init__(self, address: object, what: str, hint: str) -> None:
        self.address = address
        super().__init__(f"cannot take over {address}: {what}", hint)


class DirectoryError(LasthopError):
    """A directory that cannot be worked in."""

    def __init__(self, path: str, what: str) -> None:
        self.path = path
        super().__init__(
            f"cannot work in {path} (--chdir): {what}", "a directory that the server's user may enter"
        )


class LogFileError(LasthopError):
    """A log that cannot be opened."""

    def __init__(self, path: str, what: str) -> None:
        self.path = path
        super().__init__(
            f"cannot write the log {path}: {what}",
            "a path in a directory that the server's user may write to, or -",
        )


class PidFileError(LasthopError):
    """A pid file that cannot be ours."""

    def __init__(self, path: str, what: str, hint: str) -> None:
        self.path = path
        super().__init__(f"cannot use the pid file {path}: {what}", hint)


class MissingExtra(LasthopError):
    """A part of lasthop that is installed on demand is not."""

    def __init__(self, wanted_by: str, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{wanted_by} needs the package {package}, which is not installed",
            f"pip install 'lasthop[{extra}]'",
        )


class NotCompiled(LasthopError):
    """lasthop runs from sources whose compiled part was not built."""

    def __init__(self, module: str) -> None:
        self.module = module
        super().__init__(
            f"{module} is not compiled: lasthop runs from its sources, without what a C compiler makes of them",
            "make setup; or pip install . (both need a C compiler: apt-get install gcc python3-dev)",
        )


# What the application does


class ApplicationFailed(LasthopError):
    """The application's own code raised while it was being loaded; the traceback is the user's."""

    exit_code = 4

    def __init__(self, text: str, what: str, traceback: str) -> None:
        self.text = text
        self.traceback = traceback
        super().__init__(f"{text!r} cannot be served: {what}\n{traceback.rstrip()}")


# The demonstration


class DemoFailed(LasthopError):
    """Something in the demonstration did not come out as it must."""


# Fronts


class HopError(LasthopError):
    """Something of the hop that a front's configuration cannot say, or must not."""

    exit_code = 2


class UnknownFront(LasthopError):
    """A name that is no front's."""

    exit_code = 2

    def __init__(self, name: str, known: Sequence[str], nearest: Sequence[str]) -> None:
        self.name = name
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"one of {', '.join(known)}"
        super().__init__(f"there is no front {name!r}", hint)


class FrontMissing(LasthopError):
    """A front that is not installed."""

    def __init__(self, title: str, package: str) -> None:
        self.package = package
        super().__init__(f"{title} is not installed", f"apt-get install {package}")


class FrontRefused(LasthopError):
    """A front that does not take a configuration; `said` is what it says of it."""

    def __init__(self, title: str, file: object, said: str, hint: str = "") -> None:
        self.said = said
        super().__init__(f"{title} refuses {file}:\n{_indented(said or 'it does not say why')}", hint)


class FrontFailed(LasthopError):
    """A front that does not start, or ends by itself; `said` is what it said before."""

    def __init__(self, what: str, said: str, hint: str = "") -> None:
        self.said = said
        super().__init__(f"{what}; it said:\n{_indented(said or 'nothing')}", hint)


class FileDiffers(LasthopError):
    """A file that would be lost: it is there, and says something else."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"{path} exists and says something else; it was left as it is",
            "another path, or --force to overwrite it",
        )


# Comparing


class ResultsUnreadable(LasthopError):
    """A file that should hold a comparison's results does not, or not in a form that this version reads."""

    exit_code = 2

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"{path} cannot be read as the results of a comparison: {why}",
            "lasthop compare --json FILE writes one",
        )


class ServerMissing(LasthopError):
    """A server that was asked for is not installed."""

    def __init__(self, name: str, how: str) -> None:
        super().__init__(f"{name} is not installed", how)


class HopFailed(LasthopError):
    """A hop could not be stood up, or does not reply as it must: nothing can be measured on it."""

    def __init__(self, what: str, said: str = "", hint: str = "") -> None:
        self.said = said
        super().__init__(f"{what}\n{_indented(said)}" if said else what, hint)


# Tracing


class CaptureRefused(LasthopError):
    """The right to capture frames is missing; everything else can still be seen."""

    def __init__(self) -> None:
        super().__init__(
            "frames cannot be captured: that needs the right CAP_NET_RAW, which this process does not have",
            "sudo lasthop trace ...; or give it to a copy of Python that only you may run: sudo setcap cap_net_raw+ep PYTHON",
        )


class StraceRefused(LasthopError):
    """System calls cannot be seen; everything else can."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(f"system calls cannot be seen: {why}", hint)


class TraceFailed(LasthopError):
    """A request that was to be traced got no reply: there is nothing to show of it."""

    def __init__(self, what: str, said: str = "", hint: str = "") -> None:
        self.said = said
        super().__init__(f"{what}\n{_indented(said)}" if said else what, hint)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


class Stopped(KeyboardInterrupt):
    """A signal ended a command that had something to clear away."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


# Asking a server how it is


class NoServer(LasthopError):
    """Nothing to ask."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what, hint)


class NotTold(LasthopError):
    """A server, or what passes for one, that gave no status."""

    def __init__(self, address: str, what: str, hint: str = "") -> None:
        self.address = address
        super().__init__(f"no status from {address}: {what}", hint)
