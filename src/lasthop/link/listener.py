"""Listening sockets: made from addresses, shared with the workers by fork, closed by the process that made them.

Every socket is non-blocking and closed on exec. Knows no HTTP and no worker.
"""

import errno
import os
import socket
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from lasthop.errors import ListenError
from lasthop.link import inherited
from lasthop.link.address import AbstractAddress, Address, FdAddress, SystemdAddress, TcpAddress, UnixAddress
from lasthop.link.permissions import NOTHING_ASKED, Asked, permissions
from lasthop.link.socketfile import SocketFile, bind_file, key_of

LOCAL_NAME = ("localhost", "80")
"""SERVER_NAME and SERVER_PORT over ``unix:``, where there is neither: they stand in for a Host header that HTTP/1.0 may leave out."""

PORT_TRIES = 16
"""How often to look for a port that is free on every address of a name."""


class Listener:
    """A bound, listening socket and, for ``unix:``, the life of its file."""

    def __init__(
        self, listening: socket.socket, server_name: str | None = None, file: SocketFile | None = None
    ) -> None:
        self.socket = listening
        self.file = file
        listening.setblocking(False)
        name = listening.getsockname()
        if listening.family == socket.AF_UNIX:
            path = name if isinstance(name, str) else "@" + os.fsdecode(name[1:])
            # A file that another process made may have another path for us than for whoever bound it.
            self.address = f"unix:{path if file is None else file.path}"
            self.server_name, self.server_port = LOCAL_NAME
        else:
            # Accepted connections inherit it: a reply must not wait for the acknowledgement of the one before.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            host, port = name[:2]
            self.address = str(TcpAddress(host, port))
            self.server_name = server_name or host
            self.server_port = str(port)

    @property
    def keeps_strangers_out(self) -> bool:
        """Whether only its owner and its group can connect, by the mode of its file. Where that is not known: no."""
        return self.file is not None and not self.file.mode & 0o002

    @property
    def key(self) -> str:
        """What tells this address from all others of this machine, in whatever words it was asked for."""
        return self.address if self.file is None else self.file.key

    def close(self, keep_file: bool = False) -> None:
        """Stop listening in this process and, unless told otherwise, remove the file if it is still ours."""
        if self.file is not None and not keep_file:
            self.file.remove()
        self.socket.close()


class Opener:
    """Makes listeners. One for the life of a process: what systemd passed can be read only once."""

    def __init__(self, environment: MutableMapping[str, str], backlog: int) -> None:
        self._passed = inherited.Passed(environment)
        self.backlog = backlog
        self._handed: dict[str, socket.socket] = {}
        self.adopted: list[Listener] = []
        """Those whose sockets another process made: it serves there too, and has the files, until it lets go of them."""

    def use(self, handed: dict[str, socket.socket]) -> None:
        """Take these sockets, by `Listener.key`, where an address asks for what they listen at.

        What is left of those before is closed: a queue that nobody takes from must not stay open.
        """
        for unused in self._handed.values():
            unused.close()
        self._handed = handed

    def open(self, address: Address, asked: Asked = NOTHING_ASKED) -> list[Listener]:
        """The listeners of one address: several for a name with several addresses, or for systemd."""
        match address:
            case TcpAddress():
                return self._open_tcp(address)
            case UnixAddress():
                if (adopted := self._adopt_file(address, asked)) is not None:
                    return [adopted]
                listening, file = bind_file(address, self.backlog, asked)
                return [Listener(listening, file=file)]
            case AbstractAddress():
                return [self._open_abstract(address)]
            case FdAddress():
                return [Listener(inherited.take(address, address.number))]
            case SystemdAddress():
                return [Listener(inherited.take(address, number)) for number in self._passed.numbers(address)]

    def reopen(self, address: UnixAddress, asked: Asked) -> Listener:
        """The listener of an address whose file was lost, or the error at once: whoever asks serves meanwhile."""
        listening, file = bind_file(address, self.backlog, asked, orphans_seconds=0.0)
        return Listener(listening, file=file)

    def _adopt_file(self, address: UnixAddress, asked: Asked) -> Listener | None:
        path = Path(address.path).absolute()
        try:
            found = path.lstat()
        except OSError:
            return None
        handed = self._handed.pop(key_of(found.st_dev, found.st_ino), None)
        if handed is None:
            return None
        file = SocketFile(path, found, ours=False)
        wanted = permissions(address, asked)
        if wanted.mode & 0o002:
            # Let nobody in whom the other one, which still serves, would take for one of those that it let in before.
            file.will_be(wanted.mode)
        else:
            file.change(address, wanted)
        return self._adopt(Listener(handed, file=file))

    def _adopt(self, listener: Listener) -> Listener:
        self.adopted.append(listener)
        return listener

    def _open_abstract(self, address: AbstractAddress) -> Listener:
        if (handed := self._handed.pop(str(address), None)) is not None:
            return self._adopt(Listener(handed))
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(b"\0" + os.fsencode(address.name))
            listening.listen(self.backlog)
        except OSError as error:
            listening.close()
            if error.errno == errno.EADDRINUSE:
                raise ListenError(
                    address, "another process has the name", f"ss -xlp | grep @{address.name} tells which"
                ) from error
            raise ListenError(address, error.strerror or str(error), "another name") from error
        return Listener(listening)

    def _open_tcp(self, address: TcpAddress) -> list[Listener]:
        try:
            found = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except (socket.gaierror, UnicodeError) as error:
            raise ListenError(
                address,
                f"the host {address.host!r} cannot be resolved ({error})",
                "an IP address, or a line in /etc/hosts",
            ) from error
        ends = list(dict.fromkeys((family, end) for family, _, _, _, end in found))
        tries = PORT_TRIES if address.port == 0 and len(ends) > 1 else 1
        for left in reversed(range(tries)):
            try:
                return self._bind_all(address, ends)
            except OSError as error:
                if left == 0 or error.errno != errno.EADDRINUSE:
                    raise _tcp_error(address, error) from error
        raise AssertionError("the last try returns or raises")

    def _bind_all(
        self, address: TcpAddress, ends: Sequence[tuple[socket.AddressFamily, tuple[object, ...]]]
    ) -> list[Listener]:
        """One listener for each end, all with the same port; an end whose family this machine lacks is left out."""
        made: list[Listener] = []
        port = address.port
        missing: OSError | None = None
        try:
            for family, end in ends:
                handed = self._handed.pop(str(TcpAddress(str(end[0]), port)), None)
                if handed is not None:
                    made.append(self._adopt(Listener(handed, _server_name(address.host))))
                    continue
                try:
                    listening = self._bind_tcp(family, (end[0], port, *end[2:]))
                except OSError as error:
                    if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                        raise
                    missing = error
                    continue
                port = listening.getsockname()[1]
                made.append(Listener(listening, _server_name(address.host)))
            if missing is not None and not made:
                raise missing
        except BaseException:
            for listener in made:
                listener.close()
            raise
        return made

    def _bind_tcp(self, family: socket.AddressFamily, end: tuple[object, ...]) -> socket.socket:
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            # Connections of the server before us that still are in TIME_WAIT do not keep the port from us.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # [::] means IPv6; whoever wants both names both, and what listens where is to be seen.
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(end)
            listening.listen(self.backlog)
        except BaseException:
            listening.close()
            raise
        return listening


def _server_name(host: str) -> str:
    """SERVER_NAME: a listener on every address has no name of its own, the machine has."""
    return socket.gethostname() if host in ("0.0.0.0", "::") else host


def _tcp_error(address: TcpAddress, error: OSError) -> ListenError:
    match error.errno:
        case errno.EADDRINUSE:
            return ListenError(
                address,
                f"port {address.port} is taken",
                f"ss -ltnp 'sport = :{address.port}' tells by whom; or another port",
            )
        case errno.EACCES:
            return ListenError(
                address,
                f"uid {os.geteuid()} may not use port {address.port}",
                "a port from 1024 on, a systemd .socket unit, or AmbientCapabilities=CAP_NET_BIND_SERVICE",
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return ListenError(
                address,
                f"this machine has no address {address.host}",
                "ip -brief address shows those that it has",
            )
    return ListenError(
        address, error.strerror or str(error), "ip -brief address shows this machine's addresses"
    )
