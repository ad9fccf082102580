"""Peers that are slow, greedy or gone, directly at lasthop: others are served meanwhile, memory is bounded, and nothing is left in the end.

With one thread too, wherever the application itself does not wait: what a peer does may then not hold the thread at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from tests.conftest import Serve

from .applications.pages import BLOCK, MIB
from .raw import connect, reset, to_the_end
from .watching import at_rest, counters, descriptors, forget_peak, grew, memory, only_worker, until

pytestmark = pytest.mark.parametrize("threads", ["1", "16"])

APPLICATION = "applications.pages:application"
LARGE = hashlib.sha256(BLOCK * 64).hexdigest()
ZEROS = hashlib.sha256(bytes(64 * MIB)).hexdigest()


def others_go_on(server: Serving) -> None:
    """Requests of peers that behave are answered, on both links, on new connections and on kept ones."""
    for address in (server.unix, server.tcp):
        for _ in range(5):
            connection = Connection(address)
            for _ in range(4):
                connection.request("GET", "/hello")
                assert b"hello" == connection.getresponse().read()
            connection.request("POST", "/echo", b"body")
            assert connection.getresponse().read().startswith(b"4 ")
            connection.close()


@contextlib.contextmanager
def unharmed(server: Serving, growth: int = 50 * MIB) -> Iterator[int]:
    """Whatever happens inside: afterwards the same worker serves, has not grown by more, and has nothing open."""
    worker = only_worker(server.pid)
    others_go_on(server)
    until(lambda: at_rest(server.pid), "the worker is at rest")
    descriptors_before, memory_before = descriptors(worker), memory(worker)
    forget_peak(worker)
    yield worker
    others_go_on(server)
    until(lambda: at_rest(server.pid), f"the worker is at rest again: {counters(server.pid)}")
    assert worker == only_worker(server.pid)
    assert descriptors_before == descriptors(worker)
    assert grew(worker, memory_before) < growth


def both(server: Serving, each: int) -> list[socket.socket]:
    """So many connections on each link."""
    return [connect(address) for address in (server.unix, server.tcp) for _ in range(each)]


def closed_by_the_server(client: socket.socket) -> bytes:
    """What came before the server's end; a reset is an end too."""
    said = bytearray()
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while piece := client.recv(65536):
            said += piece
    client.close()
    return bytes(said)


def test_one_byte_a_second(serve: Serve, threads: str) -> None:
    """A head that takes too long is given up; a body may come so slowly as long as it comes."""
    server = serve(APPLICATION, "--threads", threads, "--head-timeout", "3", "--body-timeout", "3")
    with unharmed(server):
        heads, lengths, chunks = (both(server, 10) for _ in range(3))
        for client in lengths:
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        for client in chunks:
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n")
        for at in range(5):
            for client in lengths + chunks:
                client.sendall(b"hello"[at : at + 1])
            for client in heads:
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                    client.sendall(b"GET /hello HTTP/1.1"[at : at + 1])
            others_go_on(server)
            time.sleep(1)  # the slowness itself
        for client in chunks:
            client.sendall(b"\r\n0\r\n\r\n")
        expected = hashlib.sha256(b"hello").hexdigest().encode()
        for client in lengths + chunks:
            assert expected in client.recv(65536)
            client.close()
        for client in heads:
            assert b"200" not in closed_by_the_server(client)
    assert counters(server.pid)["timed_out"] >= 20


def test_peers_that_say_nothing(serve: Serve, threads: str) -> None:
    """They are served no more than 2 s of waiting: neither before a first request, nor in a head, nor in a body."""
    server = serve(
        APPLICATION, "--threads", threads,
        "--head-timeout", "2", "--body-timeout", "2", "--keep-alive", "2",
    )  # fmt: skip
    with unharmed(server):
        silent = both(server, 100)
        kept, heads, bodies, chunks = (both(server, 20) for _ in range(4))
        for client in kept:
            client.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(65536).endswith(b"hello")
        for client in heads:
            client.sendall(b"GET /hello HTTP/1.1\r\nHo")
        for client in bodies:
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nabc")
        for client in chunks:
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        others_go_on(server)
        for client in silent + kept + heads + bodies + chunks:
            assert b"200" not in closed_by_the_server(client)
    assert counters(server.pid)["timed_out"] >= 360


def test_large_bodies_that_stall_hold_their_threads_no_longer_than_they_may(
    serve: Serve, threads: str
) -> None:
    """A body of more than 64 KiB is read by the application, so its thread waits: with one thread, so do the others, until it is given up."""
    server = serve(APPLICATION, "--threads", threads, "--body-timeout", "2")
    with unharmed(server):
        stalled = both(server, 1 if threads == "1" else 7)
        for number, client in enumerate(stalled):
            framing = b"Content-Length: 1000000" if number % 2 else b"Transfer-Encoding: chunked"
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % framing)
            client.sendall(b"" if number % 2 else b"f4240\r\n")
            client.sendall(bytes(100_000))
        others_go_on(server)
        for client in stalled:
            assert b"200" not in closed_by_the_server(client)


@pytest.mark.parametrize("how", ["list", "file", "stream"])
def test_replies_that_are_never_read(serve: Serve, threads: str, how: str) -> None:
    """An iterator of the application's holds its thread while the peer does not read; a list and a file hold none."""
    server = serve(APPLICATION, "--threads", threads, "--reply-timeout", "2")
    with unharmed(server):
        clients = both(server, 20 if how != "stream" else 1 if threads == "1" else 7)
        for client in clients:
            client.sendall(b"GET /large?mib=64&how=%s HTTP/1.1\r\nHost: a\r\n\r\n" % how.encode())
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 200"
        others_go_on(server)
        # The server gives them up: what remains can be read, and then it ends, short of what was promised.
        until(lambda: at_rest(server.pid), "the worker has given up who does not read")
        for client in clients:
            assert len(closed_by_the_server(client)) < 64 * MIB
    if how == "stream":
        connection = Connection(server.unix)
        connection.request("GET", "/closed")
        assert str(len(clients)) == connection.getresponse().read().decode()
        connection.close()


@pytest.mark.parametrize("how", ["list", "file", "stream"])
def test_a_slow_reader_gets_all_of_it(serve: Serve, threads: str, how: str) -> None:
    """Slower than the time-out for a reply as a whole, but never without reading for so long."""
    server = serve(APPLICATION, "--threads", threads, "--reply-timeout", "1")

    def read_slowly(address: str) -> tuple[int, str]:
        with connect(address) as client:
            client.sendall(b"GET /large?mib=64&how=%s HTTP/1.0\r\n\r\n" % how.encode())
            digest, length, head = hashlib.sha256(), 0, b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            while piece := client.recv(1 << 22):
                digest.update(piece)
                length += len(piece)
                if length // (16 * MIB) != (length - len(piece)) // (16 * MIB):
                    time.sleep(0.4)  # the slowness itself
            return length, digest.hexdigest()

    with unharmed(server), ThreadPoolExecutor(2) as pool:
        expected = (64 * MIB, ZEROS if how == "file" else LARGE)
        # A stream has the one thread for itself as long as it lasts.
        addresses = (server.unix, server.tcp)
        assert [expected, expected] == (
            [read_slowly(address) for address in addresses]
            if how == "stream" and threads == "1"
            else list(pool.map(read_slowly, addresses))
        )


@pytest.mark.parametrize("how", ["list", "file", "stream"])
def test_peers_that_half_close_get_their_replies(serve: Serve, threads: str, how: str) -> None:
    server = serve(APPLICATION, "--threads", threads)
    asked = {
        b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n": 5,
        b"GET /slow?ms=200 HTTP/1.1\r\nHost: a\r\n\r\n": 5,
        b"GET /large?mib=64&how=%s HTTP/1.0\r\n\r\n" % how.encode(): 64 * MIB,
        b"POST /ignores HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello": 8,
        b"POST /ignores HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + bytes(500_000): 8,
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n": None,
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + bytes(500_000): None,
    }
    with unharmed(server):
        for address in (server.unix, server.tcp):
            for request, length in asked.items():
                with connect(address) as client:
                    client.sendall(request)
                    client.shutdown(socket.SHUT_WR)
                    head, _, body = to_the_end(client).partition(b"\r\n\r\n")
                    assert (request[:40], b"200") == (request[:40], head[9:12])
                    if length is not None:
                        assert length == len(body)


def test_peers_that_half_close_in_the_middle_get_no_reply_of_success(serve: Serve, threads: str) -> None:
    server = serve(APPLICATION, "--threads", threads)
    cut = [
        b"GET /hello HTTP/1.1\r\nHost:",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + bytes(400_000),
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7a120\r\n" + bytes(400_000),
    ]
    with unharmed(server):
        for address in (server.unix, server.tcp):
            for request in cut:
                with connect(address) as client:
                    client.sendall(request)
                    client.shutdown(socket.SHUT_WR)
                    assert b"200" not in closed_by_the_server(client)[:12]


def test_resets_in_the_middle(serve: Serve, threads: str) -> None:
    """In the head, in a body, before and while the reply is sent."""
    server = serve(APPLICATION, "--threads", threads)
    begun = [
        b"GET /hel",
        b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /slow?ms=20 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large?mib=64 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large?mib=64&how=file HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large?mib=64&how=stream HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nabc",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + bytes(100_000),
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n" + bytes(100_000),
        b"POST /ignores HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + bytes(100_000),
        b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" * 50,
    ]
    with unharmed(server):
        for _ in range(5):
            for address in (server.unix, server.tcp):
                for request in begun:
                    client = connect(address)
                    client.sendall(request)
                    reset(client)
                    late = connect(address)
                    late.sendall(request)
                    late.settimeout(0.01)
                    with contextlib.suppress(TimeoutError):
                        late.recv(10)
                    reset(late)


@pytest.fixture
def many_descriptors() -> Iterator[int]:
    """As many descriptors as we may have, for us and the server; so many connections can be tried."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(10_000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("said", ["nothing", "half a head"])
def test_ten_thousand_connections(serve: Serve, threads: str, many_descriptors: int, said: str) -> None:
    server = serve(APPLICATION, "--threads", threads, "--head-timeout", "60")
    with unharmed(server, growth=25 * MIB):
        clients = [connect(server.unix if number % 2 else server.tcp) for number in range(many_descriptors)]
        if said == "half a head":
            for client in clients:
                client.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n")
        until(lambda: counters(server.pid)["connections"] >= many_descriptors, "all are accepted")
        others_go_on(server)
        for client in clients[:: many_descriptors // 100]:  # none was forgotten
            client.sendall(b"\r\n" if said == "half a head" else b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(65536).endswith(b"hello")
        for client in clients:
            client.close()


def test_more_connections_than_there_may_be_wait_for_a_place(serve: Serve, threads: str) -> None:
    server = serve(APPLICATION, "--threads", threads, "--max-connections", "50", "--head-timeout", "60")
    with unharmed(server):
        clients = both(server, 50)
        for client in clients:
            client.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: counters(server.pid)["connections"] >= 50, "the places are taken")
        answered = 0
        for client in clients:  # each leaves its place to another
            assert client.recv(65536).endswith(b"hello")
            answered += 1
            client.close()
        assert 100 == answered


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX-Long: " + b"v" * MIB + b"\r\n\r\n", b"431"),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\n" + b"X-Many: v\r\n" * (MIB // 11) + b"\r\n", b"431"),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\n" + b"n" * MIB + b": v\r\n\r\n", b"431"),
        (b"GET /" + b"t" * MIB + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"M" * MIB + b" / HTTP/1.1\r\nHost: a\r\n\r\n", None),
    ],
    ids=["one field", "many fields", "a name", "a target", "a method"],
)
def test_a_head_of_1_mib(serve: Serve, threads: str, request_head: bytes, status: bytes | None) -> None:
    server = serve(APPLICATION, "--threads", threads)
    with unharmed(server, growth=10 * MIB):
        for _ in range(3):
            clients = both(server, 10)
            for client in clients:
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                    client.sendall(request_head)
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_WR)
            others_go_on(server)
            for client in clients:
                said = closed_by_the_server(client)
                if status is None:
                    assert said[9:12] in {b"400", b"414"}
                else:
                    assert status == said[9:12]


def endless(address: str, head: bytes, piece: bytes, enough: int) -> bytes:
    """Send a piece again and again, more than `enough` bytes, then stop and listen; then go on until the other side has had it. What it said."""
    said = b""
    with connect(address) as client, contextlib.suppress(ConnectionResetError, BrokenPipeError):
        client.sendall(head)
        for _ in range(enough // len(piece) + 2):
            client.sendall(piece)
        said = client.recv(65536)
        while True:
            client.sendall(piece)
            time.sleep(0.01)  # it goes on without end as well, and leaves the processor to others
    return said


def all_at_once(server: Serving, asked: list[tuple[bytes, bytes, int]]) -> list[bytes]:
    """The endless ones, on both links; others go on meanwhile."""
    with ThreadPoolExecutor(2 * len(asked)) as pool:
        told = [
            pool.submit(endless, address, *each) for each in asked for address in (server.unix, server.tcp)
        ]
        others_go_on(server)
        return [each.result()[9:12] for each in told]


CHUNKED = b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_chunked_body_without_end(serve: Serve, threads: str) -> None:
    """Over the limit sometime, it is refused; who goes on sending regardless is cut off. So is a body that nobody reads."""
    server = serve(APPLICATION, "--threads", threads, "--limit-request-body", str(MIB))
    pieces = [(b"%x\r\n%s\r\n" % (size, bytes(size))) * max(1, 65536 // size) for size in (1, 1000, 65536)]
    with unharmed(server, growth=20 * MIB):
        told = all_at_once(server, [(CHUNKED % b"/echo", piece, 7 * MIB) for piece in pieces])
        assert {b"413"} == set(told) - {b""}  # a reset may overtake a reply, but nothing else may come
        told = all_at_once(server, [(CHUNKED % b"/ignores", piece, 200_000) for piece in pieces])
        assert b"200" in told
        assert {b"200", b"413"} >= set(told) - {b""}


def test_trailers_and_extensions_without_end(serve: Serve, threads: str) -> None:
    server = serve(APPLICATION, "--threads", threads)
    head = CHUNKED % b"/echo"
    with unharmed(server, growth=20 * MIB):
        told = all_at_once(
            server,
            [
                (head + b"1;", b"x" * 65536, 200_000),
                (head, b"1;x\r\na\r\n" * 8000, 200_000),
                (head + b"0\r\n", b"X-Trailer: value\r\n" * 4000, 200_000),
                (head, b"0" * 65536, 200_000),
            ],
        )
        assert {b"400", b"431"} >= set(told) - {b""}


def test_a_thousand_requests_in_one_write(serve: Serve, threads: str) -> None:
    server = serve(APPLICATION, "--threads", threads)
    with unharmed(server):
        for address in (server.unix, server.tcp):
            for method, body in ((b"GET", b""), (b"POST", b"hello")):
                with connect(address) as client:
                    asked = b"".join(
                        b"%s /asked?%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n%s"
                        % (method, number, len(body), b"Connection: close\r\n" * (number == 999), body)
                        for number in range(1000)
                    )
                    sender = threading.Thread(target=client.sendall, args=(asked,))
                    sender.start()
                    replies = to_the_end(client)
                    sender.join()
                    numbers = [
                        int(part.partition(b'"')[0]) for part in replies.split(b'"QUERY_STRING": "')[1:]
                    ]
                    assert list(range(1000)) == numbers
                    assert 1000 == replies.count(b"HTTP/1.1 200 OK\r\n")


def test_a_thousand_requests_in_one_write_by_a_peer_that_does_not_read(serve: Serve, threads: str) -> None:
    server = serve(APPLICATION, "--threads", threads, "--reply-timeout", "2")
    with unharmed(server):
        clients = both(server, 5)
        for client in clients:
            client.sendall(b"GET /large?mib=1 HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        others_go_on(server)
        until(lambda: at_rest(server.pid), "the worker has given up who does not read")
        for client in clients:
            client.close()


def test_the_rest_of_a_pipeline_may_come_while_its_beginning_is_served(serve: Serve, threads: str) -> None:
    """Its event comes while the connection is busy with what was there before, and must not be forgotten over that."""
    server = serve(APPLICATION, "--threads", threads, "--head-timeout", "60")
    with unharmed(server):
        for address in (server.unix, server.tcp):
            for whole_before in (0, 1, 5):
                with connect(address, seconds=5) as client:
                    hello = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                    client.sendall(hello)  # so that the connection has waited in the set once
                    assert client.recv(65536).endswith(b"hello")
                    client.sendall(
                        b"GET /slow?ms=200 HTTP/1.1\r\nHost: a\r\n\r\n" + hello * whole_before + hello[:9]
                    )
                    until(lambda: counters(server.pid)["busy"] == 1, "the slow one is begun")
                    client.sendall(hello[9:])
                    said = b""
                    while said.count(b"hello") < whole_before + 1:
                        said += client.recv(65536)
