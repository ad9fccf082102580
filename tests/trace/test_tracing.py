"""A whole trace, with real hops: what was asked is what is shown, and the numbers follow when the request changes."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lasthop.compare.plan import Request
from lasthop.demo.serving import Serving
from lasthop.fronts import FRONTS
from lasthop.link.address import parse
from lasthop.trace import layers, show
from lasthop.trace.layers import Passed
from lasthop.trace.results import TO_CLIENT, TO_SERVER, LinkTrace, Trace
from lasthop.trace.tracing import DEFAULT_TARGET, TracePlan, trace
from tests.trace.test_frames import needs_capture

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
pytestmark = [needs_capture, needs_strace]

MIB = 1 << 20
PLAN = TracePlan(DEFAULT_TARGET, ["unix", "tcp"], with_cost=False)


def posting(size: int) -> Request:
    return Request("POST", "/", (), b"x" * size)


def shown(found: Trace) -> str:
    out = io.StringIO()
    show.show(found, out)
    return out.getvalue()


def sent(link: LinkTrace, direction: str) -> int:
    """How many bytes went there; those that were sent again count once."""
    ends: dict[int, int] = {}
    for frame in link.frames:
        if frame.direction == direction and frame.envelope.payload:
            end = frame.sequence + frame.envelope.payload - 1
            ends[frame.connection] = max(ends.get(frame.connection, 0), end)
    return sum(ends.values())


@pytest.fixture(scope="module")
def plain() -> Trace:
    return trace(PLAN)


def test_every_byte_of_the_requests_is_in_the_frames(plain: Trace) -> None:
    tcp = plain.links["tcp"]
    assert sum(each.sent_bytes for each in tcp.exchanges) == sent(tcp, TO_SERVER)
    assert sum(each.received_bytes for each in tcp.exchanges) == sent(tcp, TO_CLIENT)


def test_a_unix_socket_has_no_frame_and_no_layer_below(plain: Trace) -> None:
    unix = plain.links["unix"]
    assert ([], 0, 0) == (unix.frames, unix.frames_with_mark, unix.dropped)
    cells = {layer.number: layer.cells[0] for layer in layers.table([unix])}
    assert {Passed.NO} == {cells[number].passed for number in (1, 2, 3, 4)}
    assert all("0 frames" in cells[number].evidence for number in (1, 2, 3, 4))


def test_the_marked_requests_are_seen_once_each_over_tcp(plain: Trace) -> None:
    assert len(plain.links["tcp"].exchanges) == plain.links["tcp"].frames_with_mark


def test_both_ends_are_named_by_the_kernel(plain: Trace) -> None:
    for link in plain.links.values():
        assert link.client is not None
        assert link.server is not None
        assert "lasthop.trace.client" in link.client.command
        assert "lasthop serve" in link.server.command


def test_the_socket_file_is_as_ls_shows_it(plain: Trace) -> None:
    file = plain.links["unix"].file
    assert file is not None
    assert ("s", 0) == (file.mode[0], file.size)
    assert f"unix:{file.path}" == plain.links["unix"].address


@pytest.mark.parametrize("name", ["unix", "tcp"])
def test_the_calls_are_those_of_the_request_in_their_order(name: str, plain: Trace) -> None:
    link = plain.links[name]
    client = [call.name for call in link.calls if call.end == "client"]
    assert ["socket", "connect", "sendto", "recvfrom", "sendto", "recvfrom", "close"] == [
        call for call in client if call != "setsockopt"
    ]
    server = [call.name for call in link.calls if call.end == "server"]
    assert ("accept4", "close") == (server[0], server[-1])
    assert 2 == server.count("sendto")
    moved = [call.result for call in link.calls if call.end == "client" and call.name == "sendto"]
    assert [str(each.sent_bytes) for each in link.exchanges] == moved


def test_frames_of_a_call_come_after_it_began(plain: Trace) -> None:
    tcp = plain.links["tcp"]
    connect = next(call for call in tcp.calls if call.name == "connect")
    assert connect.at_ns < tcp.frames[0].at_ns
    assert "SYN" == tcp.frames[0].flags


def test_the_side_that_closes_first_waits(plain: Trace) -> None:
    assert ["client: TIME_WAIT"] == plain.links["tcp"].states


def test_a_longer_request_is_longer_in_every_place() -> None:
    found = trace(replace(PLAN, request=posting(1000), requests=3))
    for link in found.links.values():
        assert [each.sent_bytes for each in link.exchanges] == [link.exchanges[0].sent_bytes] * 3
        assert all(each.received_bytes > 1000 for each in link.exchanges)
        moved = [call.result for call in link.calls if call.end == "client" and call.name == "sendto"]
        assert [str(each.sent_bytes) for each in link.exchanges] == moved
    text = shown(found)
    tcp = found.links["tcp"]
    assert f"POST / HTTP/1.1: {tcp.exchanges[0].sent_bytes:,} bytes" in text.replace("\n", " ")
    assert f"reply 3: {tcp.exchanges[2].received_bytes:,} bytes" in text


def test_a_large_body_is_cut_into_segments_that_the_link_can_take() -> None:
    found = trace(replace(PLAN, links=["tcp"], request=posting(MIB), requests=1, with_calls=False))
    tcp = found.links["tcp"]
    segments = [
        frame.envelope.payload
        for frame in tcp.frames
        if frame.direction == TO_SERVER and frame.envelope.payload
    ]
    assert len(segments) > MIB // 65536
    assert tcp.exchanges[0].sent_bytes == sent(tcp, TO_SERVER) <= sum(segments)
    largest = int(dict(tcp.frames[0].options)["maximum segment size"])
    assert max(segments) <= largest
    assert "frames" in shown(found)


def test_a_slow_reader_closes_the_window_and_opens_it_again() -> None:
    found = trace(replace(PLAN, request=posting(4 * MIB), requests=1, slow=True, with_calls=False))
    tcp = found.links["tcp"]
    words = " ".join(frame.says for frame in tcp.frames if frame.direction == TO_SERVER)
    assert "its buffer is full: the window closes" in words
    assert "the window opens" in words
    waiting = [queue for queue in tcp.queues if queue.where == "come and not read"]
    assert [True] == [queue.held > 0 for queue in waiting]


def test_other_traffic_stays_out_of_the_picture() -> None:
    enough = threading.Event()

    def talk() -> None:
        while not enough.is_set():
            subprocess.run(["ip", "-s", "link"], capture_output=True, check=False)
            trace_noise()

    noise = threading.Thread(target=talk)
    noise.start()
    try:
        found = trace(replace(PLAN, links=["tcp", "unix"], with_calls=False))
    finally:
        enough.set()
        noise.join()
    tcp, unix = found.links["tcp"], found.links["unix"]
    server = int(tcp.address.rpartition(":")[2])
    assert {server} == {frame.target_port for frame in tcp.frames if frame.direction == TO_SERVER}
    assert 1 == len({frame.source_port for frame in tcp.frames if frame.direction == TO_SERVER})
    assert sum(each.sent_bytes for each in tcp.exchanges) == sent(tcp, TO_SERVER)
    assert ([], 0) == (unix.frames, unix.frames_with_mark)
    assert unix.frames_kept_out > 0
    assert "of others" in shown(found)


def trace_noise() -> None:
    import socket

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as one,
        listener.accept()[0] as two,
    ):
        one.sendall(b"GET / HTTP/1.1\r\nUser-Agent: lasthop-trace/none\r\n\r\n")
        two.recv(100)


@pytest.mark.parametrize("target", ["tests.trace.hostile:closes", "tests.trace.hostile:chunks"])
def test_replies_of_every_framing_are_read_to_their_end(target: str) -> None:
    found = trace(replace(PLAN, target=target))
    assert {} == found.failed
    for link in found.links.values():
        assert 2 == len(link.exchanges)
        assert ([1, 2] if target.endswith("closes") else [1, 1]) == [
            each.connection for each in link.exchanges
        ]
    tcp = found.links["tcp"]
    assert len({frame.connection for frame in tcp.frames}) == tcp.exchanges[-1].connection


def test_nothing_that_was_sent_reaches_the_terminal_as_a_command() -> None:
    text = shown(trace(replace(PLAN, target="tests.trace.hostile:evil")))
    assert [] == [letter for letter in text if not letter.isprintable() and letter != "\n"]


def test_an_error_is_a_reply_and_is_traced() -> None:
    found = trace(replace(PLAN, target="tests.trace.hostile:refuses"))
    assert ({}, {"unix", "tcp"}) == (found.failed, set(found.links))
    assert "HTTP/1.1 500 Internal Server Error" in json.dumps(found.plain())


def test_a_request_without_a_reply_says_so() -> None:
    found = trace(replace(PLAN, target="tests.trace.hostile:waits", reply_seconds=1.0))
    assert {"unix", "tcp"} == set(found.failed)
    assert "no reply" in shown(found)


def test_the_json_holds_all_and_can_be_read(plain: Trace) -> None:
    again = json.loads(json.dumps(plain.plain()))
    assert len(plain.links["tcp"].frames) == len(again["links"]["tcp"]["frames"])
    assert "trace" == again["lasthop"]


def test_the_pcap_holds_the_hop_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "hop.pcap"
    found = trace(replace(PLAN, pcap=file, with_calls=False))
    said = subprocess.run(
        ["tshark", "-r", str(file)], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert len(found.links["tcp"].frames) == len(said.splitlines())


def test_what_a_stage_costs_is_measured_with_the_sizes_of_the_request() -> None:
    found = trace(replace(PLAN, request=posting(300), with_cost=True, with_calls=False))
    for link in found.links.values():
        assert link.cost is not None
        assert (link.exchanges[-1].sent_bytes, link.exchanges[-1].received_bytes) == (
            link.cost.request_bytes, link.cost.reply_bytes,
        )  # fmt: skip
        assert ["connect", "one way there", "one way back", "close"] == [
            stage.name for stage in link.cost.stages
        ]
        assert all(0 < stage.low_ns <= stage.median_ns <= stage.high_ns for stage in link.cost.stages)


@pytest.mark.parametrize("name", list(FRONTS))
def test_behind_a_front_the_hop_to_the_application_is_traced(name: str) -> None:
    if FRONTS[name].executable() is None:
        pytest.skip(f"{name} is not installed")
    found = trace(replace(PLAN, front=name))
    assert {} == found.failed
    tcp, unix = found.links["tcp"], found.links["unix"]
    port = int(tcp.address.rpartition(":")[2])
    assert {port} == {frame.target_port for frame in tcp.frames if frame.direction == TO_SERVER}
    assert "SYN" == tcp.frames[0].flags
    assert 2 == tcp.frames_with_mark
    assert ([], 0) == (unix.frames, unix.frames_with_mark)
    for link in found.links.values():
        assert {"client", "server"} == {call.end for call in link.calls}
        assert link.server is not None


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_what_runs_already_is_traced_and_goes_on(link: str, tmp_path: Path) -> None:
    bind = f"unix:{tmp_path}/app.sock" if link == "unix" else "127.0.0.1:0"
    with Serving("lasthop.demo:app", bind=[bind], log=tmp_path / "log") as serving:
        address = parse(serving.addresses[0])
        found = trace(replace(PLAN, links=[link], attach=address))
        assert {} == found.failed
        seen = found.links[link]
        assert seen.server is not None
        assert "lasthop serve" in seen.server.command
        assert {"client", "server"} == {call.end for call in seen.calls}
        assert (13 if link == "tcp" else 0) >= len(seen.frames)
        again = trace(replace(PLAN, links=[link], attach=address, with_calls=False))
        assert 2 == len(again.links[link].exchanges)


def test_where_nothing_listens_is_named(tmp_path: Path) -> None:
    found = trace(replace(PLAN, links=["unix"], attach=parse(f"unix:{tmp_path}/none.sock")))
    assert "nothing listens at" in found.failed["unix"]


def namespaces() -> set[str]:
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    return {name for name in said.split() if name.startswith("lasthop-")}


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root")
def test_between_two_hosts_frames_are_as_small_as_the_wire_and_addresses_are_asked_for() -> None:
    before = namespaces()
    found = trace(replace(PLAN, links=["remote"], request=posting(10_000)))
    assert {} == found.failed
    link = found.links["remote"]
    assert sum(each.sent_bytes for each in link.exchanges) == sent(link, TO_SERVER)
    assert {"192.0.2.1", "192.0.2.2"} == {frame.source for frame in link.frames}
    assert "1500" == link.facts["card: MTU"]
    assert 1514 == max(frame.envelope.whole for frame in link.frames)
    assert 1 == len({frame.source_hardware for frame in link.frames if frame.direction == TO_SERVER})
    assert "192.0.2.1 asks who has 192.0.2.2" in link.facts["ARP"]
    assert ["client: TIME_WAIT"] == link.states
    assert {"client", "server"} == {call.end for call in link.calls}
    assert link.counters["Tcp.ActiveOpens"] == 1
    assert "Between two hosts only TCP serves" in shown(found)
    assert set() == namespaces() - before


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root")
def test_what_a_trace_left_that_was_killed_is_cleared_away() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = {f"lasthop-client-{gone.pid}", f"lasthop-server-{gone.pid}"}
    for name in left:
        subprocess.run(["ip", "netns", "add", name], check=True)
    assert left <= namespaces()
    trace(replace(PLAN, links=["remote"]))
    assert set() == left & namespaces()
