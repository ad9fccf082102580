# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Whom the load asks: an address in the kernel's form, a connection that begins there, and why there is none.

An address is the path of a socket file, `@name` (abstract), or a pair of an IPv4 or IPv6 literal and a port. Names are not looked up: which address is
measured must not depend on a resolver.
"""

import os
import resource
import socket as sockets
from pathlib import Path

import cython
from cython.cimports.lasthop.engine.linux import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    IPPROTO_TCP,
    SO_ERROR,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    connect,
    getsockopt,
    htons,
    setsockopt,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_un,
    socket,
    socklen_t,
)
from cython.cimports.libc.errno import (
    EACCES,
    EADDRNOTAVAIL,
    EAGAIN,
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EHOSTUNREACH,
    EMFILE,
    ENETUNREACH,
    ENFILE,
    ENOENT,
    EPERM,
    EPIPE,
    ETIMEDOUT,
    errno,
)
from cython.cimports.libc.string import memcpy, memset

FAILURES = (
    "refused", "denied", "no_port", "no_descriptor", "unreachable", "connect_timed_out",
    "reset", "early_end", "malformed", "body", "timed_out", "other",
)  # fmt: skip
"""The names of failures. refused: nobody listens, or a socket file's queue is full; no_port: all local ports for that address are in use."""

assert len(FAILURES) == NO_FAILURE

_MOST_PATH = cython.declare(cython.Py_ssize_t, 107)


def read_address(remote, address):
    """Bring `address` into the kernel's form. Raises TypeError or ValueError when it is none."""
    memset(remote, 0, cython.sizeof(Remote))
    if isinstance(address, tuple):
        return _read_tcp(remote, address)
    if not isinstance(address, (str, os.PathLike)):
        raise TypeError(
            f"an address is a path, @name or (IP address, port), not {type(address).__name__}: {address!r}"
        )
    unix: cython.pointer(sockaddr_un) = cython.cast(
        cython.pointer(sockaddr_un), cython.address(remote.address)
    )
    path: bytes = os.fsencode(address)
    text: cython.p_const_char = path
    size: cython.Py_ssize_t = len(path)
    if b"\0" in path:
        raise ValueError(f"the path of a socket has no NUL: {address!r}")
    if size == 0 or path == b"@":
        raise ValueError("the address of the server is empty")
    if size > _MOST_PATH:
        raise ValueError(
            f"the path of a socket has at most {_MOST_PATH} bytes, this one has {size}: {address!r}"
        )
    remote.address.ss_family = AF_UNIX
    memcpy(unix.sun_path, text, cython.cast(cython.size_t, size))
    remote.size = cython.cast(socklen_t, unix.sun_path - cython.cast(cython.p_char, unix) + size)
    if path[:1] == b"@":
        unix.sun_path[0] = 0
    else:
        remote.size += 1
    return 0


@cython.cfunc
@cython.exceptval(-1)
def _read_tcp(remote: cython.pointer(Remote), address: tuple) -> cython.int:
    if len(address) != 2 or not isinstance(address[0], str) or type(address[1]) is not int:
        raise TypeError(f"a TCP address is (IP address, port), as ('127.0.0.1', 8000), not {address!r}")
    host, port = address
    if not 0 < port < 65536:
        raise ValueError(f"a port is 1 to 65535, not {port}")
    try:
        family, _, _, _, found = sockets.getaddrinfo(
            host,
            port,
            type=sockets.SOCK_STREAM,
            flags=sockets.AI_NUMERICHOST | sockets.AI_NUMERICSERV,
        )[0]
    except (OSError, UnicodeError):
        raise ValueError(f"{host!r} is no IP address, and names are not looked up") from None
    packed: bytes = sockets.inet_pton(family, found[0].partition("%")[0])
    text: cython.p_const_char = packed
    v4: cython.pointer(sockaddr_in) = cython.cast(cython.pointer(sockaddr_in), cython.address(remote.address))
    v6: cython.pointer(sockaddr_in6) = cython.cast(
        cython.pointer(sockaddr_in6), cython.address(remote.address)
    )
    remote.is_tcp = True
    if family == sockets.AF_INET:
        remote.address.ss_family = AF_INET
        v4.sin_port = htons(port)
        memcpy(cython.address(v4.sin_addr), text, 4)
        remote.size = cython.sizeof(sockaddr_in)
    else:
        remote.address.ss_family = AF_INET6
        v6.sin6_port = htons(port)
        memcpy(cython.address(v6.sin6_addr), text, 16)
        v6.sin6_scope_id = found[3]
        remote.size = cython.sizeof(sockaddr_in6)
    return 0


def need_descriptors(connections: int) -> None:
    """Say beforehand what would else fail in the middle. Raises OSError when this process may not have so many connections."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if (
        most != resource.RLIM_INFINITY
        and connections + sum(1 for _ in Path("/proc/self/fd").iterdir()) + 8 > most
    ):
        raise OSError(
            EMFILE,
            f"{connections} connections need as many descriptors, and this process may have {most} in all (ulimit -n)",
        )


def open_socket(remote):
    """A socket for a connection: its descriptor, or -1 with errno."""
    one: cython.int = 1
    fd: cython.int = socket(remote.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd >= 0 and remote.is_tcp:
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, cython.address(one), cython.sizeof(cython.int))
    return fd


def connect_socket(remote, fd):
    """Begin to connect, without waiting: 0, EINPROGRESS, or why not."""
    to: cython.pointer(cython.const[sockaddr]) = cython.cast(
        cython.pointer(cython.const[sockaddr]), cython.address(remote.address)
    )
    return 0 if connect(fd, to, remote.size) == 0 else errno


def socket_error(fd):
    """What went wrong on a socket, as errno; 0: nothing."""
    error: cython.int = 0
    size: socklen_t = cython.sizeof(cython.int)
    if getsockopt(fd, SOL_SOCKET, SO_ERROR, cython.address(error), cython.address(size)) < 0:
        return errno
    return error


def failure_of(number):
    """The kind of failure that an errno means."""
    # Over a socket file EAGAIN says that the listener's queue is full, and ENOENT that there is none.
    if number == ECONNREFUSED or number == EAGAIN or number == ENOENT:
        return REFUSED
    if number == ECONNRESET or number == EPIPE or number == ECONNABORTED:
        return RESET
    if number == EACCES or number == EPERM:
        return DENIED
    if number == EADDRNOTAVAIL:
        return NO_PORT
    if number == EMFILE or number == ENFILE:
        return NO_DESCRIPTOR
    if number == ENETUNREACH or number == EHOSTUNREACH:
        return UNREACHABLE
    if number == ETIMEDOUT:
        return CONNECT_TIMED_OUT
    return OTHER
