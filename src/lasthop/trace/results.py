"""What a trace found: plain data, from which everything that is shown is made, and which goes into JSON as it is.

Holds no bytes and no open things. Times are nanoseconds: of the kernel's clock (`at_ns`, since 1970) or how long something took (`_ns`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

TO_SERVER, TO_CLIENT = "to server", "to client"


@dataclass(frozen=True)
class Envelope:
    """How many bytes of a frame each layer has for itself."""

    link: int
    network: int
    transport: int
    payload: int

    @property
    def whole(self) -> int:
        """The frame."""
        return self.link + self.network + self.transport + self.payload


@dataclass(frozen=True)
class Frame:
    """A frame of the hop."""

    number: int
    """From 1, in the order they passed."""
    at_ns: int
    interface: str
    connection: int
    """From 1, in the order they were opened."""
    direction: str
    source_hardware: str
    target_hardware: str
    ip: int
    """4 or 6."""
    source: str
    source_port: int
    target: str
    target_port: int
    hops: int
    """Time to live, or hop limit."""
    flags: str
    """Such as `SYN ACK`, in the order of their bits."""
    sequence: int
    """Relative: the first byte of the request is 1."""
    acknowledgement: int
    """Relative; 0 where nothing is acknowledged."""
    window: int
    """Bytes the sender of this frame would take, scaled as was agreed."""
    options: list[tuple[str, str]]
    envelope: Envelope
    says: str = ""
    """What happens here, in words."""


@dataclass(frozen=True)
class Call:
    """A system call of one end on the hop."""

    end: str
    """`client` or `server`."""
    pid: int
    at_ns: int
    took_ns: int
    name: str
    text: str
    """As strace writes it."""
    result: str


@dataclass(frozen=True)
class Process:
    """Who holds an end."""

    pid: int
    uid: int
    gid: int
    command: str


@dataclass(frozen=True)
class SocketFile:
    """The file that a UNIX socket has."""

    path: str
    mode: str
    """As `ls -l` writes it, the type first."""
    size: int
    owner: str
    group: str
    inode: int


@dataclass(frozen=True)
class Queue:
    """What waited at a moment."""

    moment: str
    where: str
    held: int
    room: int
    """0: what bounds it was not seen. (Over `unix:` it is the sender's buffer that does.)"""
    unit: str

    @property
    def amount(self) -> str:
        """Such as `3 of 4,096 connections`."""
        return f"{self.held:,}" + (f" of {self.room:,}" if self.room else "") + f" {self.unit}"


@dataclass(frozen=True)
class Exchange:
    """One request and its reply, as the client saw them."""

    connection: int
    sent_bytes: int
    received_bytes: int
    request_line: str
    status_line: str
    sent_at_ns: int
    """Before the first byte was given to the kernel."""
    received_at_ns: int
    """After the last byte was there."""


@dataclass(frozen=True)
class Stage:
    """One stage, repeated on this machine by two programs that do nothing else."""

    name: str
    repetitions: int
    median_ns: int
    low_ns: int
    """A tenth of them took less."""
    high_ns: int
    """A tenth of them took longer."""


@dataclass(frozen=True)
class Cost:
    """What a connection and an exchange cost on a link, the application left out."""

    request_bytes: int
    reply_bytes: int
    stages: list[Stage]
    client_kernel_ns: int
    """CPU time of the kernel on behalf of the client, an exchange."""
    server_kernel_ns: int
    client_switches: float
    """How often the client left its processor, an exchange."""
    server_switches: float


@dataclass
class LinkTrace:
    """What was seen on one link."""

    link: str
    address: str
    front: str
    exchanges: list[Exchange] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    frames_kept_out: int = 0
    """Frames that were captured at the time and belong to nothing of this hop."""
    frames_with_mark: int = 0
    """Of all that was captured: frames that hold the request's own mark."""
    dropped: int = 0
    interfaces: list[str] = field(default_factory=list)
    captured: bool = False
    calls: list[Call] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    """By how much the kernel's counters of this network namespace went up, those that did."""
    counted: bool = False
    """Whether the counters could be read."""
    client: Process | None = None
    server: Process | None = None
    file: SocketFile | None = None
    queues: list[Queue] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    """What the kernel said of the connection when it was over."""
    facts: dict[str, str] = field(default_factory=dict)
    cost: Cost | None = None
    missing: list[str] = field(default_factory=list)
    """What could not be seen, and what would show it."""


@dataclass
class Trace:
    """All links, and what they have in common."""

    target: str
    begun: str
    kernel: str
    links: dict[str, LinkTrace] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Links that could not be traced, and why."""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"lasthop": "trace", "format": 1, **dataclasses.asdict(self)}
