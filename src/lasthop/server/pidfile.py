"""The pid file, locked while its server lives: a number alone says nothing once another process has got it."""

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from lasthop.errors import PidFileError


class PidFile:
    """A file with our pid, ours while we hold its lock."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()
        self._owner = os.getpid()
        try:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise PidFileError(
                str(self.path), error.strerror or str(error), "a directory that the server may write to"
            ) from error
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            os.close(self.descriptor)
            raise PidFileError(str(self.path), "it is there and is no file", "another --pid")
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(self.descriptor, 32).decode("ascii", "replace").strip()
            os.close(self.descriptor)
            raise PidFileError(
                str(self.path),
                f"its server is running, pid {pid}",
                f"stop it first (kill {pid}), or another --pid",
            ) from error
        self._ours = True
        try:
            self._write()
        except OSError as error:
            self.remove()
            raise PidFileError(
                str(self.path),
                f"it cannot be written: {error.strerror}",
                "room on its disk, or another --pid",
            ) from error

    @classmethod
    def handed(cls, path: str, descriptor: int) -> "PidFile":
        """The file that another server has locked and is to let go of. The lock is that of the open file, which both have now."""
        made = cls.__new__(cls)
        made.path = Path(path).absolute()
        made._owner = os.getpid()
        made.descriptor = descriptor
        made._ours = False
        return made

    def is_at(self, place: object) -> bool:
        """Whether it is the file of this device and inode."""
        found = os.fstat(self.descriptor)
        return place == [found.st_dev, found.st_ino]

    def take(self) -> None:
        """It is ours alone from now on, with our pid in it."""
        if not self._ours:
            self._ours = True
            self._write()

    def give_up(self) -> None:
        """Whoever has its lock with us keeps the file."""
        self._ours = False
        self.let_go()

    def let_go(self) -> None:
        """Close our end only: in a fork, or when others have it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _write(self) -> None:
        # In one piece over what is there: who reads it finds a number at each moment.
        text = f"{self._owner}\n".encode()
        os.pwrite(self.descriptor, text, 0)
        os.ftruncate(self.descriptor, len(text))

    def remove(self) -> None:
        """Remove the file if the name still leads to the one that we lock, then let go of it."""
        if self._ours and os.getpid() == self._owner:
            with contextlib.suppress(OSError):
                if os.path.samestat(self.path.stat(), os.fstat(self.descriptor)):
                    self.path.unlink()
        self.let_go()
