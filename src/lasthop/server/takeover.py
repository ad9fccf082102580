"""The change from one server to the next (``--replace``), as the supervisor sees it: at its beginning, at its end, and between.

At the start it gets the sockets of the server before, if that is asked for; from then on it hands ours to the one after. In either case there is a time in
which two servers have the same sockets, and one rule: the files belong to exactly one of them. How: docs/design/takeover.md.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from lasthop.errors import LasthopError
from lasthop.server.claim import Claim, claim
from lasthop.server.handover import HandOver
from lasthop.server.pidfile import PidFile
from lasthop.server.planning import Planner
from lasthop.server.preparing import file_permissions

if TYPE_CHECKING:
    from lasthop.settings import Settings

log = logging.getLogger("lasthop")


class Takeover:
    """From whom we have what we listen on, and to whom we give it."""

    def __init__(self, planner: Planner, settings: "Settings") -> None:
        """Raises LasthopError when there is somebody whose place cannot be taken."""
        self._listening = planner.listening
        path = None if settings.pid is None else Path(settings.pid).absolute()
        self._claim: Claim | None = claim(planner.binds(settings), path) if settings.replace else None
        self.pid_file: PidFile | None = None
        """Locked, ours as soon as we have taken over."""
        if self._claim is not None:
            self._listening.use(self._claim.handed)
        if path is not None:
            handed = None if self._claim is None else self._claim.pid_file
            self.pid_file = PidFile(str(path)) if handed is None else PidFile.handed(str(path), handed)
        self._handover = HandOver(self._listening, self.pid_file)
        self.others_serve: int | None = None
        """When this server ends: the pid of another one that goes on serving at our addresses."""

    def fileno(self) -> int:
        return self._handover.fileno()

    @property
    def busy(self) -> bool:
        """Whether another server has our sockets and is not ready yet: nothing should change meanwhile."""
        return self._handover.busy

    @property
    def another_serves(self) -> bool:
        """Whether we have not taken over yet: a failure to start may take its time, and nobody is to notice it."""
        return self._claim is not None

    def turn(self, hindrance: str) -> bool:
        """Do what others ask for; whether one of them has just taken over."""
        return self._handover.turn(hindrance)

    def confirm(self, settings: "Settings") -> bool:
        """All workers are ready: what was handed over is ours. False when that cannot be, and the other one serves on."""
        if self._claim is None:
            return True
        try:
            self._listening.prepare(file_permissions(settings))
        except LasthopError as error:
            log.error("%s", error)
            return False
        confirmed, self._claim = self._claim, None
        self._own()
        confirmed.confirm()
        log.info("taken over from pid %d", confirmed.pid)
        return True

    def let_go(self) -> None:
        """In a fork."""
        self._handover.let_go()
        if self._claim is not None:
            self._claim.let_go()
        if self.pid_file is not None:
            self.pid_file.let_go()

    def close(self) -> None:
        """Our server ends, and its listeners are about to be closed: settle whose the files are."""
        given_back, self._claim = self._claim, None
        if given_back is not None:
            if given_back.abandon():
                self._own()
            else:
                self.others_serve = given_back.pid
        self._handover.close()
        if self._handover.taken_by is not None:
            self.others_serve = self._handover.taken_by

    def is_first_term(self) -> bool:
        """Whether a TERM is the first word to stop, since so far it was only the takeover that ended us."""
        was, self.others_serve = self.others_serve, None
        return was is not None

    def _own(self) -> None:
        self._listening.own_adopted()
        if self.pid_file is not None:
            self.pid_file.take()
