"""Ways to give bytes to a reader, and its events in a form that does not depend on the way."""

import os
import random
from itertools import pairwise

from lasthop.http1 import REFUSALS, Limits, RequestReader
from tests.http1.corpus import Events

AFTER = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
"""A request that is within the limits of every file of the corpus whose own requests are."""
AFTER_EVENTS: Events = [("head", b"GET", b"/", (1, 1), [(b"Host", b"a")], None, True, False), ("end",)]

SMALL = Limits(line=24, fields=3, field_size=26, head=70, body=9)
"""Limits that short inputs reach."""

Result = tuple[Events, bool]
"""The events, and whether the reader is closed."""


def fed(pieces: list[bytes], limits: Limits | None = None) -> Result:
    """What a reader says to these pieces, pieces of content joined: where they were cut is no part of what a request says."""
    reader = RequestReader(limits or Limits())
    events: Events = []
    for piece in pieces:
        for event in reader.feed(piece):
            if event[0] == "data" and events and events[-1][0] == "data":
                events[-1][1].append(event[1])
            else:
                events.append(("data", [event[1]]) if event[0] == "data" else event)
    return [("data", b"".join(event[1])) if event[0] == "data" else event for event in events], reader.closed


def whole(data: bytes, limits: Limits | None = None) -> Result:
    return fed([data], limits)


def byte_by_byte(data: bytes, limits: Limits | None = None) -> Result:
    return fed([data[i : i + 1] for i in range(len(data))], limits)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces that end at `places`; two equal places make an empty piece."""
    edges = [0, *sorted(place for place in places if place <= len(data)), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def at_random(data: bytes, limits: Limits | None, seed: int) -> Result:
    """Fed in pieces as `seed` has them: few or many, empty ones among them."""
    chance = random.Random(seed)
    places = [chance.randint(0, len(data)) for _ in range(chance.choice((1, 2, 3, 10, 50)))]
    return fed(cut(data, places), limits)


def fresh_seed() -> int:
    """Another one each time, so that many runs try many cuts; SPLIT_SEED in the environment repeats one."""
    return int(os.environ.get("SPLIT_SEED") or random.SystemRandom().randrange(1 << 32))


def check_shape(result: Result) -> None:
    """Events come in the order of a request's parts; a refusal is one of the table, the last, and closes."""
    events, closed = result
    expected = {"head"}
    for event in events:
        assert event[0] in expected or event[0] == "refused", events
        expected = {"head": {"data", "end"}, "data": {"end"}, "end": {"head"}, "refused": set()}[event[0]]
        if event[0] == "head":
            content, length = 0, event[5]
        elif event[0] == "data":
            content = len(event[1])
            assert content > 0
            assert not isinstance(length, int) or content <= length
        elif event[0] == "end":
            assert (length is None and content == 0) or length in ("chunked", content)
        else:
            assert (event[1], closed) == (REFUSALS[event[2]][0], True)
    assert closed is (bool(events) and events[-1][0] == "refused")
