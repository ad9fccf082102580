"""What happens in each frame, in words: handshake, request and reply and their segments, acknowledgements, the window, the end.

A pure function of decoded frames: every word rests on a flag, a number or a size in the frame itself or in those before it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from lasthop.trace.frames import Decoded
from lasthop.trace.messages import sizes
from lasthop.trace.results import TO_CLIENT, TO_SERVER, Frame

OTHER = {TO_SERVER: TO_CLIENT, TO_CLIENT: TO_SERVER}
SENDER = {TO_SERVER: "client", TO_CLIENT: "server"}
MESSAGE = {TO_SERVER: "request", TO_CLIENT: "reply"}


@dataclass
class _Side:
    """What one end has sent and said so far."""

    messages: list[int]
    """Where each of its messages ends in its stream."""
    next: int = 0
    """The sequence number that comes next."""
    acknowledged: int = 0
    window: int | None = None
    ended: bool = False


@dataclass
class _Connection:
    sides: dict[str, _Side] = field(default_factory=dict)
    open: bool = False


def named(decoded: Decoded, *, to_head: bool = False) -> list[Frame]:
    """The frames, each with what happens in it. `to_head`: the requests were HEAD, whose replies have no body."""
    connections: dict[int, _Connection] = {}
    found = []
    for frame in decoded.frames:
        known = connections.get(frame.connection)
        if known is None:
            known = connections[frame.connection] = _Connection(
                {
                    direction: _Side(_ends(decoded.stream(frame.connection, direction), direction, to_head))
                    for direction in (TO_SERVER, TO_CLIENT)
                }
            )
        found.append(dataclasses.replace(frame, says="; ".join(_happens(frame, known))))
    return found


def _ends(stream: bytes, direction: str, to_head: bool) -> list[int]:
    ends, at = [], 0
    for size in sizes(stream, is_reply=direction == TO_CLIENT, to_head=to_head):
        at += size
        ends.append(at)
    return ends


def _happens(frame: Frame, connection: _Connection) -> list[str]:
    mine, other = connection.sides[frame.direction], connection.sides[OTHER[frame.direction]]
    sender = SENDER[frame.direction]
    flags = frame.flags.split()
    said: list[str] = []
    if "RST" in flags:
        return [f"the {sender} resets the connection: what was not read is lost"]
    if "SYN" in flags:
        mine.next = 1
        mine.window = frame.window
        return [_handshake(frame, flags)]
    if frame.envelope.payload:
        said += _payload(frame, mine)
    if "FIN" in flags:
        mine.ended = True
        mine.next = max(mine.next, frame.sequence + frame.envelope.payload + 1)
        said.append(
            f"the {sender} has no more to send" if not other.ended else f"the {sender} neither: the end"
        )
    if not said:
        said += _acknowledgement(frame, connection, mine, other)
    said += _window(frame, mine)
    if "ACK" in flags:
        mine.acknowledged = max(mine.acknowledged, frame.acknowledgement)
    return said


def _handshake(frame: Frame, flags: list[str]) -> str:
    options = dict(frame.options)
    offers = (
        [f"at most {options['maximum segment size']} bytes a segment"]
        if "maximum segment size" in options
        else []
    )
    if "window scale" in options:
        offers.append(f"window {options['window scale']}")
    what = "the server agrees" if "ACK" in flags else "the client asks for a connection"
    return ": ".join([what, *([", ".join(offers)] if offers else [])])


def _payload(frame: Frame, mine: _Side) -> list[str]:
    first, last = frame.sequence, frame.sequence + frame.envelope.payload
    if last <= mine.next:
        return [f"sent again: bytes {first} to {last - 1}"]
    begin, said = 1, []
    for number, end in enumerate(mine.messages, 1):
        if first < end + 1 and last > begin:
            name = f"{MESSAGE[frame.direction]} {number}"
            here = min(last, end + 1) - max(first, begin)
            whole = end + 1 - begin
            if here == whole:
                said.append(f"{name}: {_bytes(whole)}")
            else:
                said.append(
                    f"{name}: {here:,} of {_bytes(whole)}, from byte {max(first, begin) - begin + 1:,}"
                )
        begin = end + 1
    mine.next = max(mine.next, last)
    return said


def _bytes(number: int) -> str:
    return f"{number:,} byte" + "s" * (number != 1)


def _acknowledgement(frame: Frame, connection: _Connection, mine: _Side, other: _Side) -> list[str]:
    if not connection.open and frame.sequence == 1 and frame.acknowledgement == 1:
        connection.open = True
        return ["the connection is open"]
    if frame.sequence == mine.next - 1 and frame.acknowledgement == mine.acknowledged:
        return ["asks whether the other end is still there, or has room"]
    if frame.acknowledgement > mine.acknowledged:
        if other.ended and frame.acknowledgement >= other.next:
            return ["acknowledges the end"]
        return [f"acknowledges {_bytes(frame.acknowledgement - max(mine.acknowledged, 1))}"]
    if mine.window is not None and frame.window != mine.window:
        return []
    return ["acknowledges nothing new"]


def _window(frame: Frame, mine: _Side) -> list[str]:
    """How much the sender of this frame would take, where that is worth a word."""
    before, mine.window = mine.window, frame.window
    if frame.window == 0 and before != 0:
        return ["its buffer is full: the window closes"]
    if before == 0 and frame.window:
        return [f"there is room again: the window opens to {_bytes(frame.window)}"]
    if not frame.envelope.payload and before is not None and frame.acknowledgement == mine.acknowledged:
        return [f"window {_bytes(frame.window)}"] if before != frame.window else []
    return []
