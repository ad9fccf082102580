"""When to say that no front of this machine can connect to a socket file of ours: once the server serves, and never at its cost.

What is looked at, and with which words, is in hindrance.py, which is loaded only when there is a socket file.
"""

from collections.abc import Iterable
from logging import getLogger
from pathlib import Path

from lasthop.link.listener import Listener

log = getLogger("lasthop")


def give(listeners: Iterable[Listener]) -> None:
    """Warn of each socket file that no running front can connect to. With no front, or one that can, nothing is said."""
    files = {
        Path(each.address.removeprefix("unix:")): each.file is not None
        for each in listeners
        if each.address.startswith("unix:/")
    }
    if not files:
        return
    try:
        from lasthop.server import hindrance, neighbours

        fronts = neighbours.running()
        for path, ours in files.items():
            said = hindrance.warning(path, ours, fronts)
            if said:
                log.warning("%s", said)
    except Exception as error:  # noqa: BLE001 - whatever /proc may bring: a server that serves is not to fail by its advice
        log.debug("no advice about fronts: %r", error)
