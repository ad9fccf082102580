"""The life of a socket's file: who may take a path, with which mode, and who may remove it.

None of the kernel's rules protect a path: bind(2) refuses one that exists, dead or alive, and unlink(2) removes a living
server's socket without a word. So a path is probed before it is taken, and only a file whose device and inode are still ours is
removed. Why it is done in this order: docs/design/listener.md.
"""

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from logging import getLogger
from pathlib import Path

from lasthop.errors import ListenError
from lasthop.link.address import LONGEST_PATH, UnixAddress, byte_length
from lasthop.link.peer import command_of, peer_of

LOCK_SECONDS = 2.0
"""How long to wait for another start in the same directory. Everybody who can read the directory could hold the lock for ever,
so it is a courtesy between starting servers; the probe is what protects a living one."""

ORPHANS_SECONDS = 5.0
"""How long to wait for the workers of a supervisor that is gone: they are about to leave."""

log = getLogger("lasthop")


class SocketFile:
    """A socket's file that this process made."""

    def __init__(self, path: Path, made: os.stat_result) -> None:
        self.path = path
        self.mode = stat.S_IMODE(made.st_mode)
        self._identity = (made.st_dev, made.st_ino)
        self._pid = os.getpid()
        self._removed = False

    def is_ours(self) -> bool:
        """Whether the path still leads to the file that we made."""
        try:
            found = self.path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def remove(self) -> None:
        """Remove the file if it is still ours; a fork of the process that made it never does."""
        if self._removed or os.getpid() != self._pid:
            return
        self._removed = True
        with _alone_in(self.path.parent):
            if self.is_ours():
                with contextlib.suppress(OSError):
                    self.path.unlink()


def bind_file(
    address: UnixAddress, backlog: int, mode: int | None = None
) -> tuple[socket.socket, SocketFile]:
    """A socket that listens at a path, its file's mode in force before anyone can connect."""
    path = Path(address.path).absolute()
    length = byte_length(str(path))
    if length > LONGEST_PATH:
        raise ListenError(
            address,
            f"the path {path} has {length} bytes, the system takes at most {LONGEST_PATH}",
            "a short directory such as /run/NAME",
        )
    directory = path.parent
    try:
        _check_directory(address, directory)
        with _alone_in(directory):
            _make_way(address, path)
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                return _bind(listening, path, backlog, default_mode() if mode is None else mode)
            except BaseException:
                listening.close()
                raise
    except OSError as error:
        raise ListenError(
            address, f"{error.strerror} ({path})", f"ls -ld {directory}; ls -l {path}"
        ) from error


def _check_directory(address: UnixAddress, directory: Path) -> None:
    for each in reversed((directory, *directory.parents)):
        if not os.path.lexists(each):
            raise ListenError(
                address,
                f"the directory {each} does not exist",
                f"mkdir -p {directory}, or RuntimeDirectory= in a systemd unit",
            )
        if not each.is_dir():
            raise ListenError(
                address, f"{each} is not a directory", "a path whose every part but the last is one"
            )
        if not os.access(each, os.X_OK, effective_ids=True):
            raise ListenError(
                address,
                f"uid {os.geteuid()} may not enter {_described(each)}",
                f"chmod a+x {each}, or another directory",
            )
    if not os.access(directory, os.W_OK, effective_ids=True):
        raise ListenError(
            address,
            f"uid {os.geteuid()} may not make files in {_described(directory)}",
            "a directory that belongs to the server's user",
        )


def _described(directory: Path) -> str:
    found = directory.stat()
    return f"{directory} (mode {stat.S_IMODE(found.st_mode):04o}, uid {found.st_uid}, gid {found.st_gid})"


def _bind(listening: socket.socket, path: Path, backlog: int, mode: int) -> tuple[socket.socket, SocketFile]:
    # Linux makes the file with the mode of the socket's own inode, less the umask; what the umask took is put back through a
    # descriptor of the file itself, so that a name changed meanwhile leads nowhere else. Nobody connects before listen().
    os.fchmod(listening.fileno(), mode)
    listening.bind(str(path))
    try:
        node = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            made = os.fstat(node)
            if stat.S_ISSOCK(made.st_mode) and stat.S_IMODE(made.st_mode) != mode:
                Path(f"/proc/self/fd/{node}").chmod(mode)
                made = os.fstat(node)
        finally:
            os.close(node)
        listening.listen(backlog)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return listening, SocketFile(path, made)


def default_mode(status: Path = Path("/proc/self/status")) -> int:
    """Everyone may connect, as over TCP on this machine, unless the umask keeps a class from reading too.

    The usual umask of 022 is nobody's decision about sockets, and a file that others may not write to is one that the front
    cannot connect to. One that takes reading away, 027 or 077, is a decision.
    """
    umask = 0
    with contextlib.suppress(
        OSError
    ):  # reading it by os.umask() would change it for a moment, for all threads
        for line in status.read_text().splitlines():
            if line.startswith("Umask:"):
                umask = int(line.split()[1], 8)
    group = 0 if umask & 0o040 else 0o060
    others = 0 if umask & 0o004 else 0o006
    return 0o600 | group | others


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory if it can be had: of two servers that start at once the second sees the first's socket."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        give_up = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < give_up:
                    time.sleep(0.01)
                    continue
            except OSError:
                pass  # a file system without locks
            break
        yield
    finally:
        os.close(descriptor)


def _make_way(address: UnixAddress, path: Path) -> None:
    """Leave the path free, or say who or what stands there."""
    give_up = time.monotonic() + ORPHANS_SECONDS
    said = False
    while True:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise ListenError(
                address,
                f"{path} is {_kind(found.st_mode)}, not a socket",
                "another name; lasthop leaves the file as it is",
            )
        owner = _living_owner(address, path)
        if owner is None:
            break
        pid, command = owner
        if pid and command is None and time.monotonic() < give_up:
            if not said:
                log.info("waiting for what pid %s, which is gone, has left to finish at %s", pid, path)
                said = True
            time.sleep(0.05)
            continue
        who = (
            f"pid {pid} ({command or 'no longer there, but what it started still listens'})"
            if pid
            else "a process"
        )
        raise ListenError(
            address,
            f"{who} is listening there",
            f"stop it first{f' (kill {pid})' if pid else ''}, or another name",
        )
    path.unlink()
    log.info("replaced %s, which a server that is gone had left", path)


def _living_owner(address: UnixAddress, path: Path) -> tuple[int, str | None] | None:
    """The pid (0: not to be told) and command of whoever listens at a path, None when nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        except BlockingIOError:
            return 0, None  # its queue is full: very much alive
        except PermissionError as error:
            raise ListenError(
                address,
                f"{path} belongs to another user, who may be listening there",
                f"ls -l {path}; remove it if its server is gone, or another name",
            ) from error
        except OSError:
            return 0, None  # EPROTOTYPE: a datagram socket, in use
        pid = peer_of(probe).pid
        return pid, command_of(pid)


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a regular file" if stat.S_ISREG(mode) else "a special file"
