"""WebSockets and streamed replies through real fronts, with the configuration that `lasthop front` writes for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from lasthop.fronts import FRONTS
from lasthop.fronts.hop import Hop
from lasthop.fronts.running import RunningFront
from lasthop.link.address import parse
from tests.asgi.conftest import Start, opened, quiet, said_by
from tests.fronts.conftest import free_port


@pytest.fixture(params=list(FRONTS))
def kind(request: pytest.FixtureRequest) -> str:
    front = FRONTS[request.param]
    if front.executable() is None:
        pytest.skip(f"{front.title} is not installed: apt-get install {front.package}")
    return str(request.param)


@pytest.fixture
def server(start: Start) -> Serving:
    return start("applications:socket", "--trust-proxy", "unix,127.0.0.1")


@pytest.fixture(params=["unix", "tcp"])
def entrance(
    request: pytest.FixtureRequest, kind: str, server: Serving, short_directory: Path
) -> Iterator[str]:
    """Where a front listens that has the server behind it, on either link."""
    application = parse(server.unix if request.param == "unix" else server.tcp)
    place = short_directory / "front"
    place.mkdir()
    hop = Hop(application=application, entrance=free_port(), websocket=True)
    with RunningFront(FRONTS[kind], hop, place) as running:
        yield str(running.entrance)
        while opened:  # before the front is ended
            opened.pop().close()


def talk(entrance: str, path: str = "/") -> ClientConnection:
    """Open until the test has ended, or closes it."""
    manager = connect(f"ws://{entrance}{path}", open_timeout=20, close_timeout=20, max_size=None)
    connection = manager.__enter__()
    opened.append(connection)
    return connection


def test_websockets_go_through(entrance: str, server: Serving) -> None:
    peer = talk(entrance)
    for message in ("hello", "ü" * 70_000, bytes(range(256)) * 8000):
        peer.send(message)
        assert message == peer.recv(timeout=20)
    assert peer.ping().wait(20)
    peer.close(4002, "mine")
    said_by(server, "websocket ended: 4002")
    quiet(server)


def test_a_client_that_vanishes_is_known_to_have_gone(entrance: str, server: Serving) -> None:
    peer = talk(entrance)
    peer.send("hello")
    assert "hello" == peer.recv(timeout=20)
    peer.socket.close()
    said_by(server, "websocket ended: 1006")
    quiet(server)


def test_a_stop_reaches_clients_behind_the_front(entrance: str, server: Serving) -> None:
    peer = talk(entrance)
    peer.send("hello")
    assert "hello" == peer.recv(timeout=20)
    server.process.terminate()
    with pytest.raises(Exception, match="1012"):
        peer.recv(timeout=20)
    peer.close()
    assert 0 == server.process.wait(20)
    quiet(server)


def test_the_application_hears_of_the_client_and_not_of_the_front(entrance: str, server: Serving) -> None:
    connection = Connection(entrance)
    opened.append(connection)
    connection.request("GET", "/client", headers={"X-Forwarded-For": "6.6.6.6"})
    assert b"127.0.0.1 http" == connection.getresponse().read()
    assert "127.0.0.1 ws" == talk(entrance, "/client").recv(timeout=20)
