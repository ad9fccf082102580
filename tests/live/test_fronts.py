"""nginx with its default and with kept connections, Apache, HAProxy and Caddy before lasthop, on both links."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from tests.conftest import Serve

from .applications.pages import BLOCK, MIB
from .conftest import Before, Run
from .curl import curl
from .fronts import Front, missing
from .watching import at_rest, counters, descriptors, only_worker, until

KINDS = ["nginx", "nginx-kept", "apache", "haproxy", "caddy"]

BODY = BLOCK + b"and a little more"
ECHOED = f"{len(BODY)} {hashlib.sha256(BODY).hexdigest()}"


@pytest.fixture(scope="module")
def server(run: Run) -> Serving:
    return run("applications.pages:application")


@pytest.fixture(scope="module", params=["unix", "tcp"])
def link(request: pytest.FixtureRequest, server: Serving) -> str:
    return server.unix if request.param == "unix" else server.tcp


@pytest.fixture(scope="module", params=KINDS)
def front(request: pytest.FixtureRequest, before: Before, link: str) -> str:
    """The address of a front before one of the links."""
    return before(request.param, link).address


def test_forwards_get(front: str) -> None:
    reply = curl(front, "/hello")
    assert (200, b"hello", ["5"]) == (reply.status, reply.body, reply.all("Content-Length"))


def test_forwards_head(front: str) -> None:
    reply = curl(front, "/hello", "--head")
    assert (200, b"", ["5"]) == (reply.status, reply.body, reply.all("Content-Length"))


def test_forwards_head_of_something_without_a_length(front: str) -> None:
    reply = curl(front, "/large?mib=1&how=stream", "--head")
    assert (200, b"") == (reply.status, reply.body)


def test_forwards_post(front: str) -> None:
    reply = curl(front, "/echo", "--data-binary", "@-", given=BODY)
    assert (200, ECHOED) == (reply.status, reply.body.decode().rpartition(" ")[0])


def test_forwards_a_chunked_upload(front: str) -> None:
    reply = curl(front, "/echo", "--header", "Transfer-Encoding: chunked", "--data-binary", "@-", given=BODY)
    assert (200, ECHOED) == (reply.status, reply.body.decode().rpartition(" ")[0])


def test_forwards_an_upload_that_waits_for_100_continue(front: str) -> None:
    reply = curl(front, "/echo", "--header", "Expect: 100-continue", "--data-binary", "@-", given=BODY)
    assert (200, ECHOED) == (reply.status, reply.body.decode().rpartition(" ")[0])


def test_forwards_a_post_without_a_body(front: str) -> None:
    reply = curl(front, "/echo", "--request", "POST")
    assert (200, f"0 {hashlib.sha256().hexdigest()}") == (
        reply.status,
        reply.body.decode().rpartition(" ")[0],
    )


def test_answers_though_the_body_was_not_read(front: str) -> None:
    reply = curl(front, "/ignores", "--data-binary", "@-", given=BODY[:40_000])
    assert (200, b"not read") == (reply.status, reply.body)


@pytest.mark.parametrize("how", ["list", "stream"])
def test_downloads_64_mib(front: str, how: str) -> None:
    connection = Connection(front)
    connection.request("GET", f"/large?mib=64&how={how}")
    reply = connection.getresponse()
    digest, length = hashlib.sha256(), 0
    while piece := reply.read(MIB):
        digest.update(piece)
        length += len(piece)
    expected = hashlib.sha256()
    for _ in range(64):
        expected.update(BLOCK)
    assert (64 * MIB, expected.hexdigest()) == (length, digest.hexdigest())
    connection.close()


@pytest.mark.parametrize(
    ("path", "status"), [("/nothing", 204), ("/unchanged", 304), ("/missing", 404), ("/fails", 500)]
)
def test_passes_on_a_status_and_the_connection_stays_in_step(front: str, path: str, status: int) -> None:
    connection = Connection(front)
    for asked, expected in [(path, status), ("/hello", 200)] * 3:
        connection.request("GET", asked)
        reply = connection.getresponse()
        body = reply.read()
        assert expected == reply.status
        assert b"secret" not in body
        if asked == "/hello":
            assert b"hello" == body
        elif status in {204, 304}:
            assert b"" == body
    connection.close()


def test_passes_on_a_long_request_head(front: str) -> None:
    reply = curl(front, "/asked?" + "q" * 2000, "--header", "X-Long: " + "v" * 5000)
    seen = json.loads(reply.body)
    assert (5000, 2000) == (len(seen["HTTP_X_LONG"]), len(seen["QUERY_STRING"]))


def test_passes_on_a_long_reply_head_and_both_cookies(front: str) -> None:
    reply = curl(front, "/marked")
    assert (3000, ["a=1", "b=2"], b"marked") == (
        len(reply.all("X-Long")[0]),
        reply.all("Set-Cookie"),
        reply.body,
    )


def test_waits_for_slow_replies_side_by_side(front: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: curl(front, "/slow?ms=300"), range(16)))
    assert {(200, b"slept")} == {(each.status, each.body) for each in replies}


def test_keeps_connections_where_it_is_told_to(
    request: pytest.FixtureRequest, front: str, server: Serving
) -> None:
    before = counters(server.pid)
    connection = Connection(front)
    for _ in range(20):
        connection.request("GET", "/hello")
        assert b"hello" == connection.getresponse().read()
    connection.close()
    after = counters(server.pid)
    assert 20 == after["requests"] - before["requests"]
    accepted = after["accepted"] - before["accepted"]
    if request.node.callspec.params["front"] == "nginx":
        assert 20 == accepted
    else:
        assert accepted <= 2


@pytest.mark.parametrize("how", ["list", "stream"])
def test_survives_clients_that_go_away_in_the_middle_of_a_reply(
    front: str, server: Serving, how: str
) -> None:
    closed = int(curl(server.unix, "/closed").body)
    for _ in range(5):
        connection = Connection(front)
        connection.request("GET", f"/large?mib=64&how={how}")
        assert MIB == len(connection.getresponse().read(MIB))
        reset(connection.sock)
        connection.close()
    until(lambda: counters(server.pid)["busy"] == 0, "no thread sends to a client that went away")
    assert closed + (5 if how == "stream" else 0) == int(curl(server.unix, "/closed").body)
    assert b"hello" == curl(front, "/hello").body


def test_survives_clients_that_go_away_in_the_middle_of_an_upload(front: str, server: Serving) -> None:
    for chunked in (False, True):
        host, _, port = front.rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 5000000"
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: here\r\n%s\r\n\r\n" % framing)
            client.sendall(b"100000\r\n" if chunked else b"")
            client.sendall(BLOCK[: MIB // 2])
            reset(client)
    until(lambda: counters(server.pid)["busy"] == 0, "no thread waits for a body that will not come")
    assert b"hello" == curl(front, "/hello").body


def reset(client: socket.socket) -> None:
    """Let the close be an RST."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_stays_when_a_front_has_ended(serve: Serve, tmp_path: Path, kind: str) -> None:
    if missing(kind):
        pytest.skip(f"{missing(kind)} is not installed")
    server = serve("applications.pages:application")
    worker = only_worker(server.pid)
    curl(server.unix, "/hello")
    until(lambda: at_rest(server.pid), "the worker is at rest")
    descriptors_before = descriptors(worker)
    with Front(kind, server.tcp, tmp_path) as front:
        for path in ("/hello", "/large?mib=4", "/fails", "/nothing"):
            curl(front.address, path)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: curl(front.address, "/slow?ms=50"), range(8)))
    until(lambda: at_rest(server.pid), "the worker is at rest")
    assert descriptors_before == descriptors(worker)
