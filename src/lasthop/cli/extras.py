"""What an extra brings, looked for before a command begins, so that a minute of work does not end in what could be known before."""

import importlib
from collections.abc import Iterable

from lasthop.errors import MissingExtra


def see_installed(wanted_by: str, extra: str, packages: Iterable[str]) -> None:
    """Raise MissingExtra for the first of them that cannot be imported."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtra(wanted_by, package, extra) from error
