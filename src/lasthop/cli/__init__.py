"""The command line: finds the command, runs it, and turns an error of ours into its text and exit code.

One module a command, imported when it is called: a server's start must not pay for what measures or repairs.
Data goes to standard output, everything else to standard error.
"""

import errno
import importlib
import os
import signal
import sys

from lasthop.cli.words import Parser, did_you_mean, say
from lasthop.errors import LasthopError, Stopped, UsageError

COMMANDS = {
    "serve": "serve a WSGI or ASGI application over TCP and UNIX sockets",
    "compare": "measure which link is better here, by how much, and whether that is sure",
    "front": "print the configuration of nginx, Apache, Caddy or HAProxy before the application",
    "trace": "show what a request passes through on each link: frames, system calls, layers, cost",
    "status": "tell how running servers are: workers, requests, and how full their queues are",
    "version": "say which lasthop this is",
}
"""Each command, a module of this package with `main(arguments)`, and what it does."""

__all__ = ["COMMANDS", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the arguments name; the exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except LasthopError as error:
        say(error)
        return error.exit_code
    except BrokenPipeError:  # whoever read it has read enough
        _write_no_more()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        _write_no_more()
        say(
            LasthopError(
                f"what there is to say cannot be written: {error.strerror}", "see where the output goes"
            )
        )
        return LasthopError.exit_code
    except KeyboardInterrupt as interrupt:
        # As a shell says it of a command that a signal ended.
        return 128 + (interrupt.number if isinstance(interrupt, Stopped) else signal.SIGINT)


def _write_no_more() -> None:
    """Python would try once more at the end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
