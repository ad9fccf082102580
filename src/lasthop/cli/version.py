"""`lasthop version`: which lasthop, Python and system this is, for reports of what went wrong."""

import platform
import sys

from lasthop import __version__
from lasthop.cli.words import Parser


def main(arguments: list[str]) -> int:
    """Say it on one line."""
    Parser("lasthop version", "lasthop version").read(arguments)
    print(
        f"lasthop {__version__}, {sys.implementation.name} {platform.python_version()}, {platform.system()} {platform.release()}"
    )
    return 0
