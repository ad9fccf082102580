"""Where the values of settings come from, and which one wins: command line, environment, file, default, in that order.

Every value remembers its origin. A name that is no setting is refused with the nearest one, in a file and in the environment:
a misspelt limit that is silently ignored is worse than a server that does not start.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lasthop.errors import SettingsFileError, UnknownSetting
from lasthop.kinds import Misfit
from lasthop.settings import NAMES, Settings, kind_of, misfitting, option_of, variable_of

PREFIX = "LASTHOP_"
CONFIG_VARIABLE = "LASTHOP_CONFIG"
OWN_FILE = "lasthop.toml"
SHARED_FILE = "pyproject.toml"

_SERVICE = re.compile(
    r".*SERVICE_(?:HOST|PORT(?:_.*)?)|.*PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?"
)
"""What Kubernetes puts into every container of a namespace in which a service is called lasthop or lasthop-…: not meant for us."""


class Given(NamedTuple):
    """A value as it was written, and where."""

    value: Any
    source: str


class Found(NamedTuple):
    """The settings, and for each the source that its value came from."""

    settings: Settings
    origins: dict[str, str]


def gather(
    options: Mapping[str, Any], environment: Mapping[str, str], directory: Path, config: str | None = None
) -> Found:
    """The settings out of all sources; `options` are those of the command line, by the settings' names."""
    given: dict[str, Given] = {}
    given.update(_from_file(_file(environment, directory, config)))
    given.update(_from_environment(environment))
    given.update({name: Given(value, option_of(name)) for name, value in options.items()})
    values = {name: _read(name, each) for name, each in given.items()}
    sources = {name: each.source for name, each in given.items()}
    return Found(
        Settings(**values).came_from(sources), {name: sources.get(name, "default") for name in NAMES}
    )


def _read(name: str, given: Given) -> Any:
    try:
        return kind_of(name).read(given.value)
    except Misfit as misfit:
        raise misfitting(name, given.value, given.source, misfit) from misfit


# The environment


def _from_environment(environment: Mapping[str, str]) -> dict[str, Given]:
    names = {variable_of(name): name for name in NAMES}
    given: dict[str, Given] = {}
    for variable in sorted(each for each in environment if each.startswith(PREFIX)):
        name = names.get(variable)
        if name is None:
            if variable != CONFIG_VARIABLE and not _SERVICE.fullmatch(variable.removeprefix(PREFIX)):
                raise UnknownSetting(
                    variable,
                    "the environment",
                    nearest(variable, [*names, CONFIG_VARIABLE]),
                    _told(variable.removeprefix(PREFIX).lower()),
                )
            continue
        text = environment[variable]
        value = re.split(r"[,\s]+", text.strip(", \t\n")) if kind_of(name).many and text.strip() else text
        given[name] = Given(value, variable)
    return given


# Files


def _file(environment: Mapping[str, str], directory: Path, config: str | None) -> Path | None:
    """The settings file: the one that was named, else the one that lies in the directory."""
    named = config if config is not None else environment.get(CONFIG_VARIABLE)
    if named:
        return directory / named
    if (directory / OWN_FILE).exists():
        return directory / OWN_FILE
    shared = directory / SHARED_FILE
    # Most of these are none of ours: a look at the bytes saves reading TOML at each start.
    try:
        return shared if b"lasthop" in shared.read_bytes() else None
    except OSError:
        return None


def _from_file(path: Path | None) -> dict[str, Given]:
    if path is None:
        return {}
    import tomllib

    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsFileError(
            str(path), error.strerror or str(error), "--config PATH, or LASTHOP_CONFIG, names another"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsFileError(
            str(path), f"byte {error.start} is not UTF-8", "TOML is always UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsFileError(str(path), str(error)) from error
    if path.name == SHARED_FILE:
        return _from_table(path, "[tool.lasthop]", tables.get("tool", {}).get("lasthop", {}))
    for name in tables:
        if name != "server":
            if name.replace("-", "_") in NAMES:
                raise UnknownSetting(
                    f"{name} before any table", str(path), [f"[server] on a line above {name}"]
                )
            raise UnknownSetting(f"[{name}]", str(path), ["[server]"])
    return _from_table(path, "[server]", tables.get("server", {}))


def _from_table(path: Path, table: str, content: Any) -> dict[str, Given]:
    if not isinstance(content, dict):
        raise SettingsFileError(str(path), f"{table} is not a table")
    source = f"{path} {table}"
    given: dict[str, Given] = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        if name not in NAMES:
            raise UnknownSetting(key, source, nearest(name, NAMES), _told(name))
        if name in given:
            raise SettingsFileError(
                str(path), f"{name} stands in {table} twice, with a dash and with an underscore"
            )
        given[name] = Given(value, source)
    return given


def _told(name: str) -> str:
    """What is said of another server's option of that name."""
    from lasthop import foreign  # only for names that are refused

    return foreign.told(f"--{name.replace('_', '-')}")


def nearest(name: str, names: list[str] | tuple[str, ...]) -> list[str]:
    """The known names that somebody who wrote this one may have meant, the likeliest first."""
    import difflib

    return difflib.get_close_matches(name, names, n=2, cutoff=0.7)
