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
from lasthop.link.directories import make_missing
from lasthop.link.peer import command_of, peer_of
from lasthop.link.permissions import NOTHING_ASKED, UNCHANGED, Asked, Permissions, permissions

LOCK_SECONDS = 2.0
"""How long to wait for another start in the same directory. Everybody who can read the directory could hold the lock for ever,
so it is a courtesy between starting servers; the probe is what protects a living one."""

ORPHANS_SECONDS = 5.0
"""How long to wait for the workers of a supervisor that is gone: they are about to leave."""

log = getLogger("lasthop")


class SocketFile:
    """A socket's file that this process made, or that it is to get from the one that did (`ours` False until then)."""

    def __init__(self, path: Path, made: os.stat_result, *, ours: bool = True) -> None:
        self.path = path
        self._note(made)
        self._identity = (made.st_dev, made.st_ino)
        self._pid = os.getpid()
        self._ours = ours

    def _note(self, found: os.stat_result) -> None:
        self.uid, self.gid, self.mode = found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)

    def change(self, address: UnixAddress, wanted: Permissions) -> None:
        """Give the file these permissions while it is in use. Raises ListenError; not for a file that is no longer ours."""
        try:
            node = os.open(self.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return
        try:
            found = os.fstat(node)
            if (found.st_dev, found.st_ino) == self._identity:
                _permit(address, node, wanted)
                self._note(os.fstat(node))
        finally:
            os.close(node)

    @property
    def key(self) -> str:
        """What tells this file from all others of this machine, whatever its path is called."""
        return key_of(*self._identity)

    def take(self) -> None:
        """It is for us to remove from now on."""
        self._ours = True

    def give_up(self) -> None:
        """It is another's to remove from now on."""
        self._ours = False

    def put_back(self, address: UnixAddress) -> None:
        """Give the file the permissions again that it had when we last looked. Raises ListenError."""
        self.change(address, Permissions(self.uid, self.gid, self.mode))

    def will_be(self, mode: int) -> None:
        """Count on this mode already: whoever decides by it whom to believe must not be more trusting than it will be."""
        self.mode = mode

    def is_ours(self) -> bool:
        """Whether the path still leads to the file that is ours."""
        try:
            found = self.path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def remove(self) -> None:
        """Remove the file if it is still ours; a fork of the process that made it never does."""
        if not self._ours or os.getpid() != self._pid:
            return
        self._ours = False
        with _alone_in(self.path.parent):
            if self.is_ours():
                with contextlib.suppress(OSError):
                    self.path.unlink()


def key_of(device: int, inode: int) -> str:
    """A file as those name it to each other that hand it on."""
    return f"file:{device}:{inode}"


def bind_file(
    address: UnixAddress,
    backlog: int,
    asked: Asked = NOTHING_ASKED,
    orphans_seconds: float = ORPHANS_SECONDS,
) -> tuple[socket.socket, SocketFile]:
    """A socket that listens at a path, its file's owner, group and mode in force before anyone can connect."""
    wanted = permissions(address, asked)
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
        if asked.mkdir:
            _make_directory(address, directory, wanted)
        _check_directory(address, directory)
        with _alone_in(directory):
            _make_way(address, path, orphans_seconds)
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                return _bind(address, listening, path, backlog, wanted)
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
                f"--socket-mkdir, mkdir -p {directory}, or RuntimeDirectory= in a systemd unit",
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


def _permit(address: UnixAddress, node: int, wanted: Permissions) -> None:
    """Owner and group first: whoever loses the file by the mode has it before. `node` is a descriptor of the file (`O_PATH`)."""
    file = f"/proc/self/fd/{node}"
    found = os.fstat(node)
    uid = found.st_uid if wanted.uid == UNCHANGED else wanted.uid
    gid = found.st_gid if wanted.gid == UNCHANGED else wanted.gid
    if (uid, gid) != (found.st_uid, found.st_gid):
        try:
            os.chown(file, uid, gid)
        except PermissionError as error:
            raise _may_not_give(address, uid, gid, found) from error
    if stat.S_IMODE(os.fstat(node).st_mode) != wanted.mode:
        Path(file).chmod(wanted.mode)


def _may_not_give(address: UnixAddress, uid: int, gid: int, found: os.stat_result) -> ListenError:
    me = os.geteuid()
    if uid != found.st_uid:
        return ListenError(
            address,
            f"uid {me} may not give the socket's file to uid {uid}; only root may (CAP_CHOWN)",
            "--socket-group with a group that both the server and the front are in",
        )
    own = " ".join(str(each) for each in sorted({os.getegid(), *os.getgroups()}))
    return ListenError(
        address,
        f"uid {me} may not give the socket's file to group {gid}, since it is in the groups {own} only",
        f"add the server's user to the group (usermod -aG {gid} USER; in a systemd unit SupplementaryGroups=), or start as root",
    )


def _make_directory(address: UnixAddress, directory: Path, wanted: Permissions) -> None:
    """Make what is missing of the path, for whoever may use the socket; what is there stays as it is."""
    for_directory = wanted._replace(mode=wanted.directory_mode)
    try:
        made = make_missing(directory, lambda node: _permit(address, node, for_directory))
    except OSError as error:
        raise ListenError(
            address,
            f"the directory {error.filename} cannot be made: {error.strerror}",
            f"a directory that uid {os.geteuid()} may write to, or RuntimeDirectory= in a systemd unit",
        ) from error
    for each in made:
        log.info("made the directory %s (mode %04o)", each, wanted.directory_mode)


def _described(directory: Path) -> str:
    found = directory.stat()
    return f"{directory} (mode {stat.S_IMODE(found.st_mode):04o}, uid {found.st_uid}, gid {found.st_gid})"


def _bind(
    address: UnixAddress, listening: socket.socket, path: Path, backlog: int, wanted: Permissions
) -> tuple[socket.socket, SocketFile]:
    # Linux makes the file with the mode of the socket's own inode, less the umask; what the umask took is put back through a
    # descriptor of the file itself, so that a name changed meanwhile leads nowhere else. Nobody connects before listen().
    os.fchmod(listening.fileno(), wanted.mode)
    listening.bind(str(path))
    ours = True
    try:
        node = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            made = os.fstat(node)
            # Whoever may write to the directory can have put another file there by now, which is not ours to give away.
            if not stat.S_ISSOCK(made.st_mode) or made.st_uid != os.geteuid() or made.st_nlink != 1:
                ours = False
                raise ListenError(
                    address,
                    f"somebody has just replaced {path}",
                    f"see who may write there: ls -ld {path.parent}",
                )
            _permit(address, node, wanted)
            made = os.fstat(node)
        finally:
            os.close(node)
        listening.listen(backlog)
    except BaseException:
        if ours:
            with contextlib.suppress(OSError):
                path.unlink()
        raise
    return listening, SocketFile(path, made)


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


def _make_way(address: UnixAddress, path: Path, orphans_seconds: float) -> None:
    """Leave the path free, or say who or what stands there."""
    give_up = time.monotonic() + orphans_seconds
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
        heir = "; to take over from it: --replace" if command and "lasthop" in command else ""
        raise ListenError(
            address,
            f"{who} is listening there",
            f"stop it first{f' (kill {pid})' if pid else ''}, or another name{heir}",
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
