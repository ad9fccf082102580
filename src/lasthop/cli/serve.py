"""`lasthop serve`: the settings from all sources, checked; then the server.

The options are made from the declaration in `settings`. Values are taken as texts and read in one place for all sources, so
that an error says the same wherever the value came from.
"""

import argparse
import os
from pathlib import Path

from lasthop.cli.words import Parser
from lasthop.errors import UsageError
from lasthop.settings import NAMES, Settings, default_of, kind_of, option_of, says_of
from lasthop.sources import CONFIG_VARIABLE, OWN_FILE, Found, gather

USAGE = "lasthop serve MODULE:ATTRIBUTE [option ...]"

DESCRIPTION = f"""\
Serve a WSGI or ASGI application. An option's value comes from the command line, else from the environment (LASTHOP_WORKERS for
--workers), else from {OWN_FILE} ([server]) or pyproject.toml ([tool.lasthop]) in the working directory, else it is the default.
Durations: 30, 1500ms, 2m. Sizes: 8190, 8k, 1GiB."""


def main(arguments: list[str]) -> int:
    """Check, say or serve."""
    words = parser().read(arguments, _told_of)
    options = {name: getattr(words, name) for name in NAMES if hasattr(words, name)}
    directory = Path.cwd()  # now: the server may change it, and a reload reads the same file again

    def read() -> Found:
        return gather(options, os.environ, directory, words.config)

    found = read()
    if words.print_config:
        print(as_toml(found), end="")
    if words.check_config:
        from lasthop.server.preparing import check

        check(words.target, found.settings)
        print("The settings are right. The application was not imported, and no address was tried.")
    if words.print_config or words.check_config:
        return 0
    if words.target is None:
        raise UsageError(
            "the application is missing",
            "lasthop serve MODULE:ATTRIBUTE, such as lasthop serve shop.wsgi:application",
        )
    # Only now: asking for help or checking settings works where nothing was compiled.
    from lasthop.server import ready
    from lasthop.server.supervisor import run

    ready.check(found.settings.ready_fd)
    return run(words.target, found.settings, lambda: read().settings)


def _told_of(option: str) -> str:
    from lasthop import foreign  # only for options that are refused

    return foreign.told(option)


def parser() -> Parser:
    """All options, in the groups of the settings."""
    made = Parser("lasthop serve", USAGE)
    made.description = DESCRIPTION
    made.add_argument(
        "target",
        nargs="?",
        metavar="MODULE:ATTRIBUTE",
        help="where the application is: shop.wsgi:application, or a factory that makes it: shop:create_app()",
    )
    made.add_argument(
        "--config",
        metavar="PATH",
        help=f"the settings file, instead of the one in the working directory [{CONFIG_VARIABLE}]",
    )
    made.add_argument(
        "--check-config",
        action="store_true",
        help="check the settings and exit; the application is not imported",
    )
    made.add_argument(
        "--print-config",
        action="store_true",
        help="print all settings as a settings file, each with its origin, and exit",
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name in NAMES:
        says = says_of(name)
        if says.group not in groups:
            groups[says.group] = made.add_argument_group(says.group)
        _add(groups[says.group], name)
    return made


def _add(group: argparse._ArgumentGroup, name: str) -> None:
    kind, says = kind_of(name), says_of(name)
    names = [
        *([f"-{says.letter}"] if says.letter else []),
        option_of(name),
        *([f"--{says.alias}"] if says.alias else []),
    ]
    text = says.short.replace("%", "%%").replace("`", "")
    default = default_of(name)
    if default is not None and default is not False and default != ():
        text += f" (default: {kind.show(default).replace('%', '%%')})"
    if kind.switch:
        group.add_argument(
            *names, dest=name, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
        )
        return
    group.add_argument(
        *names,
        dest=name,
        metavar=kind.metavar,
        action="append" if kind.many else "store",
        default=argparse.SUPPRESS,  # so that only what was given is there
        help=text,
    )


def as_toml(found: Found) -> str:
    """The settings as a file that gives the same ones, with the origin of each in a comment."""
    lines = []
    for name in NAMES:
        value = getattr(found.settings, name)
        written = f"# {name} is not set" if value is None else f"{name} = {_toml(name, found.settings)}"
        lines.append((written, found.origins[name]))
    widest = max(len(written) for written, _ in lines)
    return "[server]\n" + "".join(f"{written:<{widest}}  # {origin}\n" for written, origin in lines)


def _toml(name: str, settings: Settings) -> str:
    import json

    value = getattr(settings, name)
    if isinstance(value, (bool, int)) and kind_of(name).metavar != "BYTES":
        return json.dumps(value)
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    shown = kind_of(name).show(value)
    return shown if shown.isdecimal() else json.dumps(shown, ensure_ascii=False)
