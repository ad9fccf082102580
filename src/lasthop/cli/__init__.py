"""The command line: finds the command, runs it, and turns an error of ours into its text and exit code.

One module a command, imported when it is called: a server's start must not pay for what measures or repairs.
Data goes to standard output, everything else to standard error.
"""

import importlib
import os
import signal
import sys

from lasthop.cli.words import Parser, did_you_mean
from lasthop.errors import LasthopError, UsageError

COMMANDS = {
    "serve": "serve a WSGI application over TCP and UNIX sockets",
    "compare": "measure which link is better here, by how much, and whether that is sure",
    "front": "print the configuration of nginx, Apache, Caddy or HAProxy before the application",
    "trace": "show what a request passes through on each link: frames, system calls, layers, cost",
    "version": "say which lasthop this is",
}
"""Each command, a module of this package with `main(arguments)`, and what it does."""

__all__ = ["COMMANDS", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the arguments name; the exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except LasthopError as error:
        print(f"lasthop: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read it has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 130  # as a shell says it of a command that Ctrl-C ended


def _run(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in ("-h", "--help", "help"):
        print(_overview(), end="", file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else UsageError.exit_code
    if name in ("-V", "--version"):
        name = "version"
    if name not in COMMANDS:
        raise UsageError(
            f"there is no command {name!r}",
            did_you_mean(name, COMMANDS) or "lasthop --help lists the commands",
        )
    command = importlib.import_module(f"lasthop.cli.{name}")
    code: int = command.main(rest)
    return code


def _overview() -> str:
    parser = Parser(prog="lasthop", usage="lasthop COMMAND ...", add_help=False)
    parser.description = "The last hop from a web server to a Python application."
    commands = parser.add_argument_group("commands")
    for name, words in COMMANDS.items():
        commands.add_argument(name, help=words, metavar=name)
    parser.epilog = "lasthop COMMAND --help tells more."
    return parser.format_help()
