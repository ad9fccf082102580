"""Makes generations of settings, with all that has to be open for one (listeners, logs), or with nothing left of it.

It knows what settings open and what two generations have in common. Which of them serves, and since when, is the supervisor's to
say; of workers, signals and time it knows nothing.
"""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lasthop.link import inherited
from lasthop.server import logs, openfiles
from lasthop.server.generation import Generation
from lasthop.server.listening import Listening
from lasthop.server.preparing import (
    access_log,
    binds,
    check_loop,
    destinations,
    file_permissions,
    prepare_path,
)
from lasthop.server.target import Target
from lasthop.server.trust import Trust

if TYPE_CHECKING:
    from lasthop.settings import Settings

log = logging.getLogger("lasthop")


class Planner:
    """What is open for the generations of this server; a change of settings touches only what changed."""

    def __init__(
        self,
        target: Target,
        settings: "Settings",
        reread: "Callable[[], Settings] | None",
        error_log: logs.Sink,
    ) -> None:
        self._target = target
        self._reread = reread
        self._started_in = Path.cwd()
        prepare_path(settings, self._started_in)
        self._sockets_passed = inherited.are_passed()
        self.listening = Listening(settings.backlog)
        self._logs: tuple[logs.Sink, logs.Sink | None] = (error_log, None)

    def binds(self, settings: "Settings") -> tuple[str, ...]:
        """Where these settings listen."""
        return binds(settings, self._sockets_passed)

    def first(self, settings: "Settings") -> Generation:
        """The one that the server starts with. Raises LasthopError."""
        self._logs = (self._logs[0], access_log(settings))
        return self._plan(1, settings, self._logs)

    def following(self, current: Generation) -> Generation:
        """The next one, of the settings as they are now. When anything is wrong with them nothing of them stays.

        Raises whatever reading the settings says.
        """
        before = Path.cwd(), list(sys.path)
        opened: list[logs.Sink] = []
        try:
            settings = self._reread() if self._reread is not None else current.settings
            prepare_path(settings, self._started_in)
            chosen = destinations(settings, current.settings, self._logs, opened)
            return self._plan(current.number + 1, settings, chosen)
        except BaseException:
            # The next worker of the old settings would start with what stays of the new.
            os.chdir(before[0])
            sys.path[:] = before[1]
            for sink in opened:
                sink.close()
            logs.send_to(self._logs[0], current.settings.log_level)
            raise

    def _plan(
        self, number: int, settings: "Settings", sinks: tuple[logs.Sink, logs.Sink | None]
    ) -> Generation:
        check_loop(settings)
        most = openfiles.raise_limit()
        connections, warning = openfiles.connections_within(settings.max_connections, most, settings.threads)
        if warning:
            log.warning("%s", warning)
        trust = Trust(settings)
        listeners = self.listening.open(self.binds(settings), file_permissions(settings))
        trust.tell(listeners)
        target = self._target._replace(interface=settings.interface)
        return Generation(number, target, settings, listeners, connections, sinks, trust)

    def keep(self, generation: Generation) -> None:
        """Close what is not this one's: it is the one that serves from now on."""
        before, self._logs = self._logs, (generation.error_log, generation.access_log)
        _close_others(before, self._logs)
        self.listening.keep(generation.listeners)

    def abandon(self, planned: Generation, current: Generation) -> None:
        """Close what is this one's alone: the current one goes on."""
        logs.send_to(self._logs[0], current.settings.log_level)
        _close_others((planned.error_log, planned.access_log), self._logs)
        self.listening.keep(current.listeners)

    def reopen_logs(self) -> None:
        """After a rotation."""
        logs.reopen(self._logs)


def _close_others(
    sinks: tuple[logs.Sink, logs.Sink | None], kept: tuple[logs.Sink, logs.Sink | None]
) -> None:
    for sink in sinks:
        if sink is not None and sink not in kept:
            sink.close()
