"""Connections that begin with the PROXY protocol, over real sockets."""

import json
import socket

import pytest

from tests.engine.conftest import Run
from tests.engine.running import Environ, Link, Peer, Running, Start, get
from tests.engine.test_connection import wait_until

LINE = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n"
FOUR = bytes([203, 0, 113, 9, 192, 0, 2, 1]) + (4711).to_bytes(2, "big") + (80).to_bytes(2, "big")
HEADER = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + FOUR
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
SIX = b"PROXY TCP6 2001:db8::9 ::1 4711 80\r\n"

KEYS = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_X_FORWARDED_FOR")


def telling(environ: Environ, start_response: Start) -> list[bytes]:
    start_response("200 OK", [])
    return [json.dumps([environ.get(key) for key in KEYS] + ["lasthop.peer" in environ]).encode()]


def proxied(run: Run, version: str = "on", threads: int = 1, **options: object) -> Running:
    return run(
        telling,
        threads,
        **{"believed": True, "trust_proxy": ["127.0.0.1"], "proxy_protocol": version, **options},
    )


def told(peer: Peer) -> list[object]:
    reply = peer.reply()
    assert 200 == reply.status
    facts: list[object] = json.loads(reply.body)
    return facts


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize(
    ("begin", "address"), [(LINE, "203.0.113.9"), (HEADER, "203.0.113.9"), (SIX, "2001:db8::9")]
)
def test_the_client_is_who_the_front_says(
    run: Run, threads: int, link: Link, begin: bytes, address: str
) -> None:
    peer = proxied(run, threads=threads).connect(link)
    expected = [address, "4711", None, link == "unix"]
    assert [expected] * 2 == [told(peer.send(data)) for data in (begin + get(), get())]


@pytest.mark.parametrize("begin", [LINE, HEADER])
def test_it_may_come_a_byte_at_a_time(run: Run, begin: bytes) -> None:
    peer = proxied(run).connect("tcp")
    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in begin + get():
        peer.send(bytes([byte]))
    assert "203.0.113.9" == told(peer)[0]


@pytest.mark.parametrize("begin", [LINE, HEADER, LOCAL])
def test_it_may_come_alone_and_a_pipeline_after_it(run: Run, begin: bytes) -> None:
    peer = proxied(run).connect().send(begin)
    assert peer.is_silent()
    peer.send(get() * 3)
    assert ["" if begin == LOCAL else "203.0.113.9"] * 3 == [told(peer)[0] for _ in range(3)]


@pytest.mark.parametrize(("begin", "link", "address"), [
    (b"PROXY UNKNOWN\r\n", "tcp", "127.0.0.1"),
    (LOCAL, "tcp", "127.0.0.1"),
    (LOCAL, "unix", ""),
])  # fmt: skip
def test_a_connection_of_the_fronts_own_speaks_for_itself(
    run: Run, begin: bytes, link: Link, address: str
) -> None:
    assert address == told(proxied(run).send(begin + get(), link))[0]


@pytest.mark.parametrize("begin", [b"", b"PROXY TCP4 nonsense\r\n", HEADER[:12] + b"\x31"])
def test_a_connection_that_begins_otherwise_is_closed_unanswered(run: Run, begin: bytes) -> None:
    seen: list[str] = []
    running = proxied(run, on_notice=lambda kind, environ, more: seen.append(kind))
    assert b"" == running.send(begin + get()).rest()
    assert (["unproxied"], 1, 0) == (seen, running.counters["refused"], running.counters["requests"])


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_who_is_not_trusted_may_not_say_it(run: Run, link: Link) -> None:
    running = proxied(run, believed=False, trust_proxy=["10.0.0.0/8"])
    assert b"" == running.send(LINE + get(), link).rest()
    assert 0 == running.counters["requests"]


def test_unless_it_is_asked_for_it_is_no_request(run: Run) -> None:
    assert run(telling).send(LINE + get()).rest().startswith(b"HTTP/1.1 400 ")


def test_one_that_never_comes_is_given_up_when_a_head_would_be(run: Run) -> None:
    running = proxied(run, head_timeout=0.3)
    peer = running.send(LINE[:20])
    peer.rest()
    wait_until(lambda: running.counters["connections"] == 0)
    assert 1 == running.counters["timed_out"]


@pytest.mark.parametrize(
    ("trust", "address"), [("127.0.0.1", "203.0.113.9"), ("203.0.113.0/24", "198.51.100.1")]
)
def test_headers_count_only_if_the_hop_that_it_names_is_trusted_too(
    run: Run, trust: str, address: str
) -> None:
    running = proxied(run, trust_proxy=[trust])
    request = LINE + get("/", "X-Forwarded-For: 198.51.100.1")
    forwarded = "198.51.100.1" if address == "198.51.100.1" else None
    assert [address, forwarded] == told(running.send(request))[::2]
