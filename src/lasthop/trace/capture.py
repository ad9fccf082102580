"""Every frame that passes any interface of this network namespace while a block runs, with the kernel's time of each.

Knows AF_PACKET and nothing of what is in a frame. A packet on a loopback interface comes by twice, going out and coming in: the first is left
out. What the kernel had to drop because nobody read in time is counted, never hidden.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import struct
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from lasthop.errors import CaptureRefused

ETH_P_ALL = 3
PACKET_OUTGOING = 4
PACKET_STATISTICS = 6
SOL_PACKET = 263
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SO_ATTACH_FILTER = 26
TIMESPEC = struct.Struct("=qq")
STATISTICS = struct.Struct("=II")
ARPHRD_LOOPBACK = 772
SIOCGIFHWADDR = 0x8927
CLONE_NEWNET = 0x40000000

BUFFER_BYTES = 64 << 20
"""What may wait to be read: some hundred frames of the largest size."""
FRAME_BYTES = 1 << 20
"""Larger than any frame: with BIG TCP, half of this may pass the loopback interface in one."""
SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Captured:
    """A frame as it passed, and what the kernel says about it."""

    raw: bytes
    at_ns: int
    """The kernel's clock when it passed, nanoseconds since 1970."""
    interface: str
    outgoing: bool


class Capture:
    """A context manager: within it, frames are kept. `port` lets only TCP from or to it through, 0 everything.

    `beside`: the network namespace of this process is the one that is watched; 0: our own.
    """

    def __init__(self, port: int = 0, beside: int = 0) -> None:
        self._beside = beside
        self.frames: list[Captured] = []
        self.dropped = 0
        self.interfaces: list[str] = []
        self._port = port
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)
        self._end, self._told = -1, -1

    def __enter__(self) -> Self:
        try:
            with ThreadPoolExecutor(1) as apart:  # a thread of its own, which ends in the other namespace
                self._socket, self.interfaces = apart.submit(_opened, self._beside).result()
        except PermissionError as error:
            raise CaptureRefused() from error
        try:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            except PermissionError:  # without CAP_NET_ADMIN: as much as anybody may have
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            if self._port:
                _attach(self._socket, tcp_port_filter(self._port))
            self._loopback = {
                name for name in self.interfaces if _kind(self._socket, name) == ARPHRD_LOOPBACK
            }
            self._end, self._told = os.pipe()
            _listen_everywhere(self._socket)
        except BaseException:
            self._socket.close()
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._told, b".")
        self._thread.join()
        self.dropped = STATISTICS.unpack(
            self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size)
        )[1]
        self._socket.close()
        os.close(self._end)
        os.close(self._told)

    def _read(self) -> None:
        """Until told to end; then what is there already, and no more."""
        self._socket.setblocking(False)
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        waiting.register(self._end, select.POLLIN)
        room = bytearray(FRAME_BYTES)
        while True:
            ready = {number for number, _ in waiting.poll()}
            while self._take(room):
                pass
            if self._end in ready:
                return

    def _take(self, room: bytearray) -> bool:
        try:
            size, ancillary, _, address = self._socket.recvmsg_into([room], 64)
        except BlockingIOError:
            return False
        except OSError:  # an interface went down: told once, the capture goes on
            return True
        name, _, kind, *_ = address
        outgoing = kind == PACKET_OUTGOING
        if not (outgoing and name in self._loopback):
            self.frames.append(Captured(bytes(room[:size]), _time(ancillary), name, outgoing))
        return True


def _time(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = TIMESPEC.unpack(data[: TIMESPEC.size])
            return int(seconds) * SECOND_NS + int(nanoseconds)
    raise AssertionError("the kernel was asked for the time of each frame")


def _listen_everywhere(packets: socket.socket) -> None:
    """Bind to all protocols on all interfaces. Python's own bind wants the name of one."""
    # struct sockaddr_ll; interface 0 is all of them.
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0, 0, 0, 0, b"")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(packets.fileno(), address, len(address)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _opened(beside: int) -> tuple[socket.socket, list[str]]:
    """A socket for packets, and the interfaces, in the network namespace of a process."""
    if beside:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/proc/{beside}/ns/net").open("rb") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
    # Protocol 0: nothing comes in before the filter and the clock are in place.
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    return packets, [name for _, name in socket.if_nameindex()]


def _kind(packets: socket.socket, interface: str) -> int | None:
    """The kernel's kind of an interface (ARPHRD_*), in the namespace of the socket."""
    try:
        answer = fcntl.ioctl(packets, SIOCGIFHWADDR, interface.encode().ljust(40, b"\0"))
    except OSError:  # gone since
        return None
    return int(struct.unpack_from("=H", answer, 16)[0])


Instruction = tuple[int, ...]
"""Code, jump if true, jump if false, operand."""

LOAD_HALF, LOAD_BYTE, LOAD_HALF_AT_X, LENGTH_TO_X = 0x28, 0x30, 0x48, 0xB1
EQUAL, ANY_BIT, RETURN = 0x15, 0x45, 0x06


def tcp_port_filter(port: int) -> list[Instruction]:
    """A program for the kernel's packet filter: Ethernet, IPv4 (no later fragment) or IPv6 without extension headers, TCP from or to a port."""
    take, leave = -1, -2  # where to jump; as distances below
    program = [
        (LOAD_HALF, 0, 0, 12),  # what Ethernet carries
        (EQUAL, 0, 6, 0x86DD),
        (LOAD_BYTE, 0, 0, 20),
        (EQUAL, 0, leave, socket.IPPROTO_TCP),
        (LOAD_HALF, 0, 0, 54),
        (EQUAL, take, 0, port),
        (LOAD_HALF, 0, 0, 56),
        (EQUAL, take, leave, port),
        (EQUAL, 0, leave, 0x0800),
        (LOAD_BYTE, 0, 0, 23),
        (EQUAL, 0, leave, socket.IPPROTO_TCP),
        (LOAD_HALF, 0, 0, 20),
        (ANY_BIT, leave, 0, 0x1FFF),
        (LENGTH_TO_X, 0, 0, 14),
        (LOAD_HALF_AT_X, 0, 0, 14),
        (EQUAL, take, 0, port),
        (LOAD_HALF_AT_X, 0, 0, 16),
        (EQUAL, take, leave, port),
    ]
    ends = {take: len(program), leave: len(program) + 1}
    made = [
        (code, *(ends[to] - at - 1 if to in ends else to for to in (yes, no)), value)
        for at, (code, yes, no, value) in enumerate(program)
    ]
    return [*made, (RETURN, 0, 0, FRAME_BYTES), (RETURN, 0, 0, 0)]


def _attach(packets: socket.socket, program: list[Instruction]) -> None:
    instructions = b"".join(struct.pack("=HBBI", *each) for each in program)
    held = ctypes.create_string_buffer(instructions)
    header = struct.pack("@HP", len(program), ctypes.addressof(held))
    packets.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)
