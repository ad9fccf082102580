"""How commands take words from the command line: argparse with our errors and our layout of help."""

import argparse
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from lasthop.errors import LasthopError, UsageError

WIDEST = 110


def say(error: LasthopError) -> None:
    """Tell what was wrong. It may have words of an application or a file in it, which a terminal must not obey."""
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in str(error))
    print(f"lasthop: {text}", file=sys.stderr)


class Layout(argparse.HelpFormatter):
    """Help in two columns, as wide as the terminal up to where lines become hard to read."""

    def __init__(self, prog: str) -> None:
        super().__init__(
            prog, max_help_position=34, width=min(WIDEST, shutil.get_terminal_size().columns) - 2
        )

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """`-b, --bind ADDRESS`: the metavar once, and a switch's negation after it."""
        if not action.option_strings:
            return super()._format_action_invocation(action)
        names = ", ".join(action.option_strings)
        if all(len(name) > 2 for name in action.option_strings):
            names = "    " + names  # below those that have a letter
        return names if action.nargs == 0 else f"{names} {action.metavar or action.dest.upper()}"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are UsageError, and which takes no shortened options: they change meaning when one is added."""

    def __init__(self, prog: str, usage: str, add_help: bool = True) -> None:
        super().__init__(prog=prog, usage=usage, add_help=False, allow_abbrev=False, formatter_class=Layout)
        self._positionals.title = "arguments"
        if add_help:
            self.add_argument("-h", "--help", action="help", help="show this and exit")

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} --help")

    def read(
        self, arguments: list[str], told: Callable[[str], str] = lambda _option: ""
    ) -> argparse.Namespace:
        """The arguments read; what is unknown is refused with what is told of it, or what may have been meant."""
        namespace, unknown = self.parse_known_args(arguments)
        if not unknown:
            return namespace
        first = unknown[0]
        if first.startswith("-"):
            name = first.partition("=")[0]
            if not name.startswith("--") and told(name[:2]):
                name = name[:2]  # its value stands behind it
            known = [name for action in self._actions for name in action.option_strings]
            hint = told(name) or did_you_mean(name, known) or f"{self.prog} --help lists all options"
            raise UsageError(f"there is no option {name}", hint)
        raise UsageError(f"{first!r} is one argument too many", f"usage: {self.usage}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that names what is nearest, or nothing."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else ""
