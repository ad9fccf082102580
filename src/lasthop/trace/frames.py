"""Frames, decoded: Ethernet, IPv4 or IPv6, TCP with relative numbers and a scaled window. `decode` takes what a capture kept.

Knows dpkt and the headers; what the frames mean for a request is for `events`. A frame is hostile: what cannot be decoded is no frame of the
hop. Numbers are relative as Wireshark has them: each end's first sequence number, which its SYN carries, is 0.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import dpkt

from lasthop.trace.capture import FRAME_BYTES, SECOND_NS, Captured
from lasthop.trace.results import TO_CLIENT, TO_SERVER, Envelope, Frame

FIN, SYN, RST, PUSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
FLAGS = {
    0x01: "FIN",
    0x02: "SYN",
    0x04: "RST",
    0x08: "PSH",
    0x10: "ACK",
    0x20: "URG",
    0x40: "ECE",
    0x80: "CWR",
}
WRAP = 1 << 32

Endpoint = tuple[str, int]


@dataclass(frozen=True)
class Segment:
    """A TCP segment with the headers around it, as it is on the wire: nothing relative, nothing scaled."""

    captured: Captured
    source_hardware: str
    target_hardware: str
    ip: int
    source: Endpoint
    target: Endpoint
    hops: int
    sequence: int
    acknowledgement: int
    flags: int
    window: int
    options: tuple[tuple[int, bytes], ...]
    envelope: Envelope
    payload: bytes


def segment(captured: Captured) -> Segment | None:
    """The TCP segment in a frame; None where there is none."""
    try:
        ethernet = dpkt.ethernet.Ethernet(captured.raw)
        packet = ethernet.data
        if isinstance(packet, dpkt.ip.IP):
            version, hops = 4, packet.ttl
            network = packet.hl * 4
        elif isinstance(packet, dpkt.ip6.IP6):
            version, hops = 6, packet.hlim
            network = len(packet) - len(packet.data)
        else:
            return None
        tcp = packet.data
        if not isinstance(tcp, dpkt.tcp.TCP):
            return None
        options = tuple((int(kind), bytes(data)) for kind, data in dpkt.tcp.parse_opts(tcp.opts))
    except (dpkt.Error, ValueError, IndexError, TypeError):  # dpkt has None for an option that is cut short
        return None
    link = len(ethernet.pack_hdr())
    payload = bytes(tcp.data)
    return Segment(
        captured, _hardware(ethernet.src), _hardware(ethernet.dst), version,
        (str(ipaddress.ip_address(packet.src)), tcp.sport), (str(ipaddress.ip_address(packet.dst)), tcp.dport),
        hops, tcp.seq, tcp.ack, tcp.flags, tcp.win, options,
        Envelope(link, network, tcp.off * 4, len(payload)), payload,
    )  # fmt: skip


def _hardware(address: bytes) -> str:
    return address.hex(":")


def resolution(captured: Captured) -> str | None:
    """What an ARP frame asks or answers; None: it is none."""
    try:
        asked = dpkt.ethernet.Ethernet(captured.raw).data
        if not isinstance(asked, dpkt.arp.ARP) or (asked.pln, asked.hln) != (4, 6):
            return None
        sender, target = (str(ipaddress.IPv4Address(address)) for address in (asked.spa, asked.tpa))
    except (dpkt.Error, ValueError, IndexError):
        return None
    if asked.op == dpkt.arp.ARP_OP_REQUEST:
        return f"{sender} asks who has {target}"
    return f"{sender} is at {_hardware(asked.sha)}"


class Conversation:
    """One connection: the two ends, and what their SYNs agreed on."""

    def __init__(self, number: int, client: Endpoint, server: Endpoint) -> None:
        self.number = number
        self.client = client
        self.server = server
        self._first: dict[Endpoint, int] = {}
        self._scale: dict[Endpoint, int] = {}

    def frame(self, number: int, seen: Segment) -> Frame:
        """The segment with relative numbers; segments must come in their order."""
        other = seen.target
        if seen.flags & SYN:
            self._first[seen.source] = seen.sequence
            scale = [data[0] for kind, data in seen.options if kind == dpkt.tcp.TCP_OPT_WSCALE and data]
            if scale:
                self._scale[seen.source] = min(scale[0], 14)  # RFC 7323, 2.3
        # A connection whose beginning was not seen: its first numbers are what it begins with.
        first = self._first.setdefault(seen.source, seen.sequence)
        acknowledged = 0
        if seen.flags & ACK:
            acknowledged = (seen.acknowledgement - self._first.setdefault(other, seen.acknowledgement)) % WRAP
        scaled = not seen.flags & SYN and len(self._scale) == 2
        envelope = seen.envelope
        return Frame(
            number=number, at_ns=seen.captured.at_ns, interface=seen.captured.interface,
            connection=self.number, direction=TO_SERVER if seen.source == self.client else TO_CLIENT,
            source_hardware=seen.source_hardware, target_hardware=seen.target_hardware, ip=seen.ip,
            source=seen.source[0], source_port=seen.source[1], target=seen.target[0], target_port=seen.target[1],
            hops=seen.hops, flags=" ".join(name for bit, name in FLAGS.items() if seen.flags & bit),
            sequence=(seen.sequence - first) % WRAP, acknowledgement=acknowledged,
            window=seen.window << (self._scale[seen.source] if scaled else 0),
            options=[_option(kind, data) for kind, data in seen.options], envelope=envelope,
        )  # fmt: skip


def _option(kind: int, data: bytes) -> tuple[str, str]:
    """An option's name and value. Its bytes are what a stranger wrote: numbers come out, or their hexadecimal digits."""
    numbers = [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)]
    match kind, len(data):
        case dpkt.tcp.TCP_OPT_NOP, _:
            return "no operation", ""
        case dpkt.tcp.TCP_OPT_EOL, _:
            return "end of options", ""
        case dpkt.tcp.TCP_OPT_MSS, 2:
            return "maximum segment size", str(int.from_bytes(data, "big"))
        case dpkt.tcp.TCP_OPT_WSCALE, 1:
            return "window scale", f"times {1 << min(data[0], 14)}"
        case dpkt.tcp.TCP_OPT_SACKOK, 0:
            return "selective acknowledgements", "permitted"
        case dpkt.tcp.TCP_OPT_SACK, _:
            return "selective acknowledgement", " ".join(map(str, numbers))
        case dpkt.tcp.TCP_OPT_TIMESTAMP, 8:
            return "timestamps", f"{numbers[0]} echoing {numbers[1]}"
    return f"option {kind}", data.hex()


@dataclass(frozen=True)
class Decoded:
    """The frames of a hop, and the captured bytes they were made of."""

    frames: list[Frame]
    segments: list[Segment]
    kept_out: int

    def stream(self, connection: int, direction: str) -> bytes:
        """What one end sent on a connection: each byte once, in its order."""
        pieces = bytearray()
        for frame, seen in zip(self.frames, self.segments, strict=True):
            if (frame.connection, frame.direction) != (connection, direction) or not seen.payload:
                continue
            at = frame.sequence - 1
            if at + len(seen.payload) > len(pieces) >= at >= 0:
                pieces[at:] = seen.payload
        return bytes(pieces)


def decode(captured: Sequence[Captured], connections: Iterable[tuple[Endpoint, Endpoint]]) -> Decoded:
    """The frames of these connections (client's end, server's end), in the order of the kernel's clock; all others are kept out."""
    known = list(dict.fromkeys(connections))
    conversations: dict[frozenset[Endpoint], Conversation] = {}
    for number, (client, server) in enumerate(known, 1):
        conversations[frozenset((client, server))] = Conversation(number, client, server)
    frames: list[Frame] = []
    segments: list[Segment] = []
    kept_out = 0
    for each in sorted(captured, key=lambda one: one.at_ns):
        seen = segment(each)
        conversation = conversations.get(frozenset((seen.source, seen.target))) if seen else None
        if seen is None or conversation is None:
            kept_out += 1
            continue
        frames.append(conversation.frame(len(frames) + 1, seen))
        segments.append(seen)
    return Decoded(frames, segments, kept_out)


def write_pcap(path: Path, captured: Iterable[Captured]) -> None:
    """The frames as Wireshark reads them, with nanoseconds."""
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, snaplen=FRAME_BYTES, nano=True)
        for each in captured:
            # A float has not enough digits for nanoseconds since 1970.
            writer.writepkt_time(each.raw, Fraction(each.at_ns, SECOND_NS))
