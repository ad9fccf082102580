"""The pid file, locked while its server lives: a number alone says nothing once another process has got it."""

import contextlib
import fcntl
import os
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
        os.ftruncate(self.descriptor, 0)
        os.write(self.descriptor, f"{self._owner}\n".encode())

    def remove(self) -> None:
        """Remove the file if the name still leads to the one that we lock, then let go of it."""
        if os.getpid() == self._owner:
            with contextlib.suppress(OSError):
                if os.path.samestat(self.path.stat(), os.fstat(self.descriptor)):
                    self.path.unlink()
        os.close(self.descriptor)
