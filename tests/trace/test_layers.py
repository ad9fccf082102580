"""What a cell says rests on what was seen: without evidence it is not seen, never not passed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lasthop.trace import counters, ladder
from lasthop.trace.events import named
from lasthop.trace.frames import Decoded
from lasthop.trace.layers import Layer, Passed, table
from lasthop.trace.results import Call, LinkTrace

UNIX = LinkTrace("unix", "unix:/a.sock", "direct", captured=True, counted=True, interfaces=["lo"])
BELOW = (1, 2, 3, 4)


def below(link: LinkTrace) -> list[Layer]:
    return [layer for layer in table([link]) if layer.number in BELOW]


def passed(link: LinkTrace) -> set[Passed]:
    return {layer.cells[0].passed for layer in below(link)}


def test_no_frame_and_counters_that_stand_still_are_evidence() -> None:
    assert {Passed.NO} == passed(UNIX)
    assert all("0 frames on 1 interface" in layer.cells[0].evidence for layer in below(UNIX))
    assert all("stood still" in layer.cells[0].evidence for layer in below(UNIX))


def test_counters_alone_are_enough_when_they_stand_still() -> None:
    assert {Passed.NO} == passed(replace(UNIX, captured=False))


@pytest.mark.parametrize(
    "link",
    [
        replace(UNIX, captured=False, counted=False),
        replace(UNIX, captured=False, counters={"Tcp.InSegs": 1, "Ip.InReceives": 1, "lo.rx_packets": 1}),
        replace(UNIX, frames_with_mark=1),
        replace(UNIX, dropped=1, counters={"Tcp.InSegs": 1, "Ip.InReceives": 1, "lo.rx_packets": 1}),
    ],
)
def test_without_evidence_nothing_is_claimed(link: LinkTrace) -> None:
    assert {Passed.UNSEEN} == passed(link)


def test_tcp_that_was_not_captured_is_not_seen() -> None:
    assert {Passed.UNSEEN} == passed(LinkTrace("tcp", "127.0.0.1:1", "direct"))


def test_that_there_was_no_frame_is_said_only_where_frames_were_looked_for() -> None:
    call = Call("client", 1, 1, 1, "sendto", 'sendto(3, "x", 1)', "1")
    assert ["1 bytes, and no frame"] == [rung.middle for rung in ladder.rungs(replace(UNIX, calls=[call]))]
    unseen = replace(UNIX, calls=[call], captured=False)
    assert ["1 bytes"] == [rung.middle for rung in ladder.rungs(unseen)]


def test_nothing_seen_is_drawn_as_nothing() -> None:
    assert ["    nothing of it could be seen"] == ladder.drawn(UNIX)
    assert [] == named(Decoded([], [], 0))


def test_counters_are_read_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "snmp").write_text("Tcp: RtoMin InSegs\nTcp: 200 7\nUdp: InDatagrams\nUdp: 3\n")
    (tmp_path / "dev").write_text("a\nb\n    lo: 10 1 0 0 0 0 0 0 20 2 0 0 0 0 0 0\n")
    before = counters.read(tmp_path)
    assert {
        "Tcp.InSegs": 7,
        "lo.rx_bytes": 10,
        "lo.rx_packets": 1,
        "lo.tx_bytes": 20,
        "lo.tx_packets": 2,
    } == before
    assert {"Tcp.InSegs": 2} == counters.difference(before, before | {"Tcp.InSegs": 9})


def test_what_cannot_be_read_is_no_counter(tmp_path: Path) -> None:
    assert {} == counters.read(tmp_path)
