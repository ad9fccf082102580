"""Frames against a second opinion: tshark reads the same capture, and every field is the same."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from lasthop.errors import CaptureRefused
from lasthop.trace.capture import Capture, Captured
from lasthop.trace.frames import Decoded, decode, segment, write_pcap
from lasthop.trace.results import TO_CLIENT, TO_SERVER

HOSTS = {"tcp": "127.0.0.1", "tcp6": "::1"}
SECONDS = 20.0


def may_capture() -> bool:
    try:
        with Capture():
            return True
    except CaptureRefused:
        return False


needs_capture = pytest.mark.skipif(not may_capture(), reason="needs CAP_NET_RAW")
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
pytestmark = needs_capture


@dataclass(frozen=True)
class Kind:
    """A conversation: what is sent there and back, how often, how it is read and how it ends."""

    link: str
    there: int
    back: int
    rounds: int = 1
    connections: int = 1
    slow: bool = False
    reset: bool = False
    noise: bool = False

    def __str__(self) -> str:
        words = [word for word in ("slow", "reset", "noise") if getattr(self, word)]
        return "-".join([self.link, f"{self.there}-{self.back}", f"{self.connections}x{self.rounds}", *words])


MIB = 1 << 20
KINDS = [
    Kind("tcp", 1, 1),
    Kind("tcp6", 1, 1),
    Kind("tcp", 78, 132, rounds=2),
    Kind("tcp6", 78, 132, rounds=2),
    Kind("tcp", 78, 132, connections=3),
    Kind("tcp6", 78, 132, connections=3),
    Kind("tcp", 1460, 1461),
    Kind("tcp6", 65_476, 65_477),
    Kind("tcp", 65_483, 65_484),
    Kind("tcp", 1, MIB),
    Kind("tcp6", 1, MIB),
    Kind("tcp", MIB, 1),
    Kind("tcp6", MIB, 1),
    Kind("tcp", MIB, MIB, rounds=2),
    Kind("tcp", 1, MIB, slow=True),
    Kind("tcp6", 1, MIB, slow=True),
    Kind("tcp", 100, 100, reset=True),
    Kind("tcp6", 100, 100_000, reset=True),
    Kind("tcp", 1, MIB, connections=2, slow=True, reset=True),
    Kind("tcp", 1000, 1000, rounds=20, connections=2, noise=True),
    Kind("tcp6", 1000, 1000, rounds=20, connections=2, noise=True),
]


@dataclass(frozen=True)
class Seen:
    kind: Kind
    port: int
    captured: list[Captured]
    decoded: Decoded
    dropped: int


def exactly(connection: socket.socket, size: int) -> None:
    while size:
        size -= len(connection.recv(min(size, 65536)))


def serve(listener: socket.socket, kind: Kind) -> None:
    for _ in range(kind.connections):
        connection = listener.accept()[0]
        with connection:
            connection.settimeout(SECONDS)
            for _ in range(kind.rounds):
                exactly(connection, kind.there)
                connection.sendall(b"b" * kind.back)
            if kind.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.recv(1)  # the client says when it has read
            else:
                assert b"" == connection.recv(1)


def standing_still(connection: socket.socket) -> None:
    """Until the other end has filled our buffer: it says so by filling it no further."""
    before = -1
    while (now := len(connection.recv(8 * MIB, socket.MSG_PEEK))) != before:
        before = now
        threading.Event().wait(0.05)


def ask(address: tuple[str, int], kind: Kind) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    found = []
    for _ in range(kind.connections):
        with socket.create_connection(address, SECONDS) as connection:
            found.append((connection.getsockname()[:2], connection.getpeername()[:2]))
            for _ in range(kind.rounds):
                connection.sendall(b"t" * kind.there)
                if kind.slow:
                    standing_still(connection)
                exactly(connection, kind.back)
            if kind.reset:
                connection.sendall(b".")
                with pytest.raises(ConnectionResetError):
                    connection.recv(1)
    return found


def beside(host: str, port: int, begun: threading.Event, enough: threading.Event) -> None:
    """Other traffic on the same machine, some of it from and to the same port of another address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server(("127.0.0.2", port)) as same_port,
        socket.socket(family, socket.SOCK_DGRAM) as udp,
    ):
        while not enough.is_set():
            with socket.create_connection(("127.0.0.2", port)) as one, same_port.accept()[0] as two:
                one.sendall(b"not of the hop")
                two.recv(100)
            udp.sendto(b"not of the hop either", (host, port))
            begun.set()


def converse(kind: Kind) -> Seen:
    host = HOSTS[kind.link]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        server = threading.Thread(target=serve, args=(listener, kind))
        begun, enough = threading.Event(), threading.Event()
        other = threading.Thread(target=beside, args=(host, port, begun, enough))
        with Capture(port) as capture:
            server.start()
            if kind.noise:
                other.start()
                assert begun.wait(SECONDS)
            connections = ask((host, port), kind)
            server.join()
            enough.set()
            if kind.noise:
                other.join()
    return Seen(kind, port, capture.frames, decode(capture.frames, connections), capture.dropped)


@pytest.fixture(scope="module", params=KINDS, ids=str)
def seen(request: pytest.FixtureRequest) -> Seen:
    kind: Kind = request.param
    if kind.link == "tcp6" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    return converse(kind)


FIELDS = (
    "frame.number", "frame.len", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport",
    "tcp.flags", "tcp.seq", "tcp.ack", "tcp.window_size", "tcp.len", "tcp.hdr_len", "ip.ttl", "ipv6.hlim",
    "tcp.options.mss_val", "tcp.options.wscale.multiplier", "tcp.options.timestamp.tsval", "frame.time_epoch",
)  # fmt: skip
BITS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}


def tshark(file: Path) -> list[dict[str, str]]:
    fields = [word for name in FIELDS for word in ("-e", name)]
    said = subprocess.run(
        ["tshark", "-r", str(file), "-T", "fields", *fields],
        capture_output=True, text=True, timeout=60, check=True, env={**os.environ, "HOME": str(file.parent)},
    ).stdout  # fmt: skip
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in said.splitlines()]


@needs_tshark
def test_tshark_sees_the_same(seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "hop.pcap"
    write_pcap(file, [each.captured for each in seen.decoded.segments])
    theirs = tshark(file)
    assert len(theirs) == len(seen.decoded.frames) > 0
    for their, ours in zip(theirs, seen.decoded.frames, strict=True):
        options = dict(ours.options)
        assert {
            "frame.number": str(ours.number),
            "frame.len": str(ours.envelope.whole),
            "ip.src": ours.source if ours.ip == 4 else "",
            "ipv6.src": ours.source if ours.ip == 6 else "",
            "ip.dst": ours.target if ours.ip == 4 else "",
            "ipv6.dst": ours.target if ours.ip == 6 else "",
            "tcp.srcport": str(ours.source_port),
            "tcp.dstport": str(ours.target_port),
            "tcp.flags": f"0x{sum(BITS[flag] for flag in ours.flags.split()):04x}",
            "tcp.seq": str(ours.sequence),
            "tcp.ack": str(ours.acknowledgement),
            "tcp.window_size": str(ours.window),
            "tcp.len": str(ours.envelope.payload),
            "tcp.hdr_len": str(ours.envelope.transport),
            "ip.ttl": str(ours.hops) if ours.ip == 4 else "",
            "ipv6.hlim": str(ours.hops) if ours.ip == 6 else "",
            "tcp.options.mss_val": options.get("maximum segment size", ""),
            "tcp.options.wscale.multiplier": options.get("window scale", "").removeprefix("times "),
            "tcp.options.timestamp.tsval": options.get("timestamps", "").partition(" ")[0],
            "frame.time_epoch": f"{ours.at_ns // 10**9}.{ours.at_ns % 10**9:09}",
        } == their


def test_the_streams_are_what_was_sent(seen: Seen) -> None:
    kind = seen.kind
    assert 0 == seen.dropped
    for connection in range(1, kind.connections + 1):
        there = seen.decoded.stream(connection, TO_SERVER)
        back = seen.decoded.stream(connection, TO_CLIENT)
        assert b"t" * kind.there * kind.rounds + b"." * kind.reset == there
        assert b"b" * kind.back * kind.rounds == back


def test_each_connection_begins_with_a_handshake_and_ends_as_it_was_ended(seen: Seen) -> None:
    for connection in range(1, seen.kind.connections + 1):
        frames = [frame for frame in seen.decoded.frames if frame.connection == connection]
        assert ["SYN", "SYN ACK", "ACK"] == [frame.flags for frame in frames[:3]]
        flags = [flag for frame in frames for flag in frame.flags.split()]
        assert seen.kind.reset == ("RST" in flags)
        assert (0 if seen.kind.reset else 2) == flags.count("FIN")


def test_a_slow_reader_closes_the_window(seen: Seen) -> None:
    if seen.kind.slow:
        assert 0 in [frame.window for frame in seen.decoded.frames if "RST" not in frame.flags]


def test_other_traffic_is_kept_out(seen: Seen) -> None:
    ends = {frame.source for frame in seen.decoded.frames} | {frame.target for frame in seen.decoded.frames}
    assert {HOSTS[seen.kind.link]} == ends
    assert seen.kind.noise == (seen.decoded.kept_out > 0)
    assert all(
        (found := segment(each)) and seen.port in (found.source[1], found.target[1]) for each in seen.captured
    )


def test_nonsense_is_no_frame_of_the_hop() -> None:
    samples = [
        b"",
        b"\0" * 14,
        b"\0" * 12 + b"\x08\0" + b"E" * 20,
        b"\0" * 12 + b"\x86\xdd" + b"\x60" * 60,
        os.urandom(80),
    ]
    found = [segment(Captured(sample, 0, "lo", False)) for sample in samples]
    assert [None] * len(samples) == found


def test_a_frame_cut_anywhere_is_decoded_or_left_out() -> None:
    whole = converse(Kind("tcp", 20, 20)).captured[0].raw
    for size in range(len(whole)):
        segment(Captured(whole[:size], 0, "lo", False))
    for at in range(14, len(whole)):
        for value in (0, 255):
            segment(Captured(whole[:at] + bytes([value]) + whole[at + 1 :], 0, "lo", False))
