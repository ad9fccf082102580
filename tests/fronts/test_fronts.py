"""All four fronts before a real lasthop: what their configurations promise, they do."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from lasthop.errors import FrontRefused
from lasthop.fronts import FRONTS
from lasthop.fronts.front import Front
from lasthop.fronts.hop import Hop
from lasthop.link.address import AbstractAddress, TcpAddress, UnixAddress
from lasthop.settings import default_of
from tests.live.watching import counters, until

from .conftest import Run, ask, free_port, has_ipv6, installed, status

BODY = b"0123456789abcdef" * 200_000  # 3.2 MB

STRANGERS = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "6",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Scheme": "gopher",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;proto=gopher",
    "Proxy": "http://evil.example",
}
"""What a client says of itself so that the application believes it."""


def test_forwards_get_and_a_long_post(front: Front, link: str, run: Run) -> None:
    entrance = run(front, link).entrance
    got = ask(entrance, "/a%2Fb/c%20d?q=%C3%A4&r", {"Host": "shop.example.org"})
    assert ("/a%2Fb/c%20d?q=%C3%A4&r", "shop.example.org", "GET") == (
        got["RAW_URI"],
        got["HTTP_HOST"],
        got["REQUEST_METHOD"],
    )
    posted = ask(entrance, "/", body=BODY)
    assert (len(BODY), hashlib.sha256(BODY).hexdigest()) == (posted["length"], posted["digest"])


@pytest.mark.parametrize("length", ["", "200000"])
def test_a_reply_that_breaks_off_looks_whole_behind_caddy_alone_and_if_its_length_is_not_said(
    front: Front, run: Run, server: Serving, length: str
) -> None:
    connection = Connection(str(run(front, server.tcp).entrance))
    connection.request("GET", f"/breaks-off?{length}")
    reply = connection.getresponse()
    try:
        whole = reply.read() is not None
    except (http.client.IncompleteRead, ConnectionError):
        whole = False
    connection.close()
    assert (200, front.name == "caddy" and not length) == (reply.status, whole)


def accepted_for(server: Serving, entrance: TcpAddress, requests: int) -> int:
    """How many connections the application accepts for so many requests, each from another client."""
    before = counters(server.pid)
    for _ in range(requests):
        ask(entrance)
    after = counters(server.pid)
    assert requests == after["requests"] - before["requests"]
    return after["accepted"] - before["accepted"]


def test_keeps_connections_to_the_application(front: Front, link: str, run: Run, server: Serving) -> None:
    assert 1 == accepted_for(server, run(front, link).entrance, 20)


@pytest.mark.parametrize("websocket", [False, True])
def test_a_connection_a_request_if_none_are_kept(
    front: Front, link: str, run: Run, server: Serving, websocket: bool
) -> None:
    entrance = run(front, link, keep_alive=0, websocket=websocket).entrance
    assert 20 == accepted_for(server, entrance, 20)
    until(lambda: counters(server.pid)["connections"] == 0, "no connection stays")


def test_a_clients_connection_is_kept_though_none_to_the_application_is(
    front: Front, run: Run, server: Serving
) -> None:
    connection = Connection(str(run(front, server.unix, keep_alive=0).entrance))
    before = counters(server.pid)["accepted"]
    for _ in range(3000):
        connection.request("GET", "/")
        assert b"digest" in connection.getresponse().read()
    connection.close()
    assert 3000 == counters(server.pid)["accepted"] - before


def test_a_connection_that_was_idle_too_long_is_not_used_again(
    front: Front, run: Run, server: Serving
) -> None:
    entrance = run(front, server.unix, idle_seconds=1).entrance
    before = counters(server.pid)["accepted"]
    ask(entrance)
    if front.name == "apache":  # closes it when it needs one
        time.sleep(1.2)
    else:
        until(lambda: counters(server.pid)["connections"] == 0, "the front closes its idle connection")
    ask(entrance)
    assert 2 == counters(server.pid)["accepted"] - before


def test_the_fronts_time_outs_agree_with_ours() -> None:
    hop = Hop(application=UnixAddress("/run/app.sock"))
    keep_alive, timeout, body_timeout = (
        default_of(name) for name in ("keep_alive", "timeout", "body_timeout")
    )
    assert isinstance(keep_alive, float)
    assert isinstance(timeout, float)
    assert isinstance(body_timeout, float)
    assert hop.idle_seconds < keep_alive
    assert hop.reply_seconds > timeout
    assert hop.reply_seconds > body_timeout
    assert default_of("limit_request_body") == hop.upload_bytes


def test_says_who_asked_whatever_the_client_says(front: Front, run: Run, server: Serving) -> None:
    entrance = run(front, server.unix).entrance
    seen = ask(entrance, "/", STRANGERS | {"Host": "shop.example.org"})
    told = {
        name: value
        for name, value in seen.items()
        if name.startswith(("HTTP_X_", "HTTP_FORWARDED", "HTTP_PROXY"))
    }
    assert {
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "HTTP_X_FORWARDED_PROTO": "http",
        "HTTP_X_FORWARDED_HOST": "shop.example.org",
        "HTTP_X_REAL_IP": "127.0.0.1",
    } == told


def test_says_nothing_of_who_asked_if_told_so(front: Front, run: Run, server: Serving) -> None:
    entrance = run(front, server.unix, forwarded=False).entrance
    seen = ask(entrance, "/", STRANGERS)
    assert [] == [name for name in seen if name.startswith(("HTTP_X_", "HTTP_FORWARDED", "HTTP_PROXY"))]


def test_a_strangers_underscores_do_not_reach_the_application(
    front: Front, run: Run, upgrading: UnixAddress
) -> None:
    """Behind nginx, Caddy and HAProxy nothing has them; Apache cannot drop them all, and leaves that to lasthop."""
    connection = Connection(str(run(front, upgrading).entrance))
    connection.request("GET", "/", headers={"X_Forwarded_For": "6.6.6.6", "X-Other": "1"})
    said = connection.getresponse().read()
    connection.close()
    assert b"x-other: 1" in said.lower()
    assert (front.name == "apache") == (b"6.6.6.6" in said)


def test_lasthop_does_not_take_a_strangers_underscores_from_apache(run: Run, server: Serving) -> None:
    entrance = run(installed("apache"), server.unix).entrance
    assert 400 == status(entrance, headers={"X_Forwarded_For": "6.6.6.6"})
    assert "HTTP_X_OTHER" not in ask(entrance, "/", {"X_Other": "1"})


@pytest.mark.parametrize("front", ["nginx", "apache", "caddy"], indirect=True)
def test_serves_files_itself(front: Front, run: Run, server: Serving, directory: Path) -> None:
    files = directory / "the files"
    (files / "deep").mkdir(parents=True)
    (files / "deep/shop.css").write_text("body {}")
    (directory / "secret").write_text("secret")
    entrance = run(front, server.unix, static={"/static": str(files), "/more/": str(files)}).entrance
    before = counters(server.pid)["requests"]
    for path in ("/static/deep/shop.css", "/more/deep/shop.css"):
        connection = Connection(str(entrance))
        connection.request("GET", path)
        reply = connection.getresponse()
        assert (200, "text/css", b"body {}") == (
            reply.status,
            reply.getheader("Content-Type", "").partition(";")[0],
            reply.read(),
        )
        connection.close()
    for path in ("/static/missing", "/static/../secret", "/static/%2e%2e/secret", "/static..%2fsecret"):
        connection = Connection(str(entrance))
        connection.request("GET", path)
        assert b"secret" != connection.getresponse().read()
        connection.close()
    assert 404 == status(entrance, "/static/missing")
    assert counters(server.pid)["requests"] - before <= 3
    assert "/elsewhere/shop.css" == ask(entrance, "/elsewhere/shop.css")["PATH_INFO"]


def test_refuses_a_body_that_is_too_long(front: Front, run: Run, server: Serving) -> None:
    entrance = run(front, server.unix, upload_bytes=100_000).entrance
    assert 100_000 == ask(entrance, body=b"x" * 100_000)["length"]
    connection = Connection(str(entrance))
    connection.request("POST", "/", headers={"Content-Length": "100001", "Connection": "close"})
    connection.send(b"x" * 100_001)
    reply = connection.getresponse()
    connection.close()
    assert 413 == reply.status


def test_no_upload_limit_is_none(front: Front, run: Run, server: Serving) -> None:
    assert len(BODY) == ask(run(front, server.unix, upload_bytes=0).entrance, body=BODY)["length"]


@pytest.fixture
def upgrading(directory: Path) -> Iterator[UnixAddress]:
    """A server that says yes to whoever wants WebSocket, and then says everything back; to others it says the request."""
    path = str(directory / "upgrading.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(client,), daemon=True).start()

        def talk(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):  # the front is ended while they still talk
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = client.recv(65536)
                    if not piece:
                        return
                    head += piece
                if b"\r\nupgrade: websocket\r\n" not in head.lower():
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(head), head))
                    return
                client.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"  # RFC 6455, section 1.3
                )
                while piece := client.recv(65536):
                    client.sendall(piece)

        threading.Thread(target=serve, daemon=True).start()
        yield UnixAddress(path)
        listener.shutdown(socket.SHUT_RDWR)


def upgrade(entrance: TcpAddress, protocol: str = "websocket") -> tuple[bytes, socket.socket]:
    client = socket.create_connection((entrance.host, entrance.port), 10)
    client.sendall(
        b"GET /chat HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        % protocol.encode()
    )
    reply = b""
    while b"\r\n\r\n" not in reply:
        piece = client.recv(65536)
        assert piece, reply
        reply += piece
    return reply, client


@pytest.mark.parametrize("keep_alive", [0, 32])
def test_a_client_changes_to_websocket(
    front: Front, run: Run, upgrading: UnixAddress, keep_alive: int
) -> None:
    reply, client = upgrade(run(front, upgrading, websocket=True, keep_alive=keep_alive).entrance)
    with client:
        assert b"101" == reply[9:12]
        for message in (b"hello", b"x" * 70_000):
            client.sendall(message)
            back = b""
            while len(back) < len(message):
                back += client.recv(65536)
            assert message == back


def test_nobody_changes_to_websocket_unless_told_so(front: Front, run: Run, upgrading: UnixAddress) -> None:
    reply, client = upgrade(run(front, upgrading).entrance)
    client.close()
    assert b"200" == reply[9:12]


@pytest.mark.parametrize("front", ["nginx", "apache"], indirect=True)
def test_nobody_changes_to_anything_else(front: Front, run: Run, upgrading: UnixAddress) -> None:
    reply, client = upgrade(run(front, upgrading, websocket=True).entrance, "h2c")
    client.close()
    assert b"200" == reply[9:12]
    assert b"upgrade:" not in reply.lower()


def test_other_names_reach_haproxys_site_no_more_than_its_own_do(run: Run, server: Serving) -> None:
    entrance = run(installed("haproxy"), server.unix, server_name="*.example.org").entrance
    named = {
        name: status(entrance, headers={"Host": name})
        for name in ("shop.example.org", "shop.example.org:8080", "example.org", "evil.example")
    }
    assert {
        "shop.example.org": 200,
        "shop.example.org:8080": 200,
        "example.org": 421,
        "evil.example": 421,
    } == named


def test_a_named_site_answers_to_its_name(front: Front, run: Run, server: Serving) -> None:
    entrance = run(front, server.unix, server_name="shop.example.org").entrance
    assert "shop.example.org" == ask(entrance, headers={"Host": "shop.example.org"})["HTTP_HOST"]


@pytest.mark.parametrize("front", ["nginx", "apache"], indirect=True)
def test_two_sites_on_one_machine_do_not_get_in_each_others_way(
    front: Front, directory: Path, run: Run, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apache finds a pool of connections by the name after the bar: were it the same, one application would get all requests."""
    entrance = free_port()
    names = ["one.example", "two.example"]
    with ExitStack() as running:
        for name in names:
            path = directory / f"{name}.sock"
            log = directory / f"{name}.log"
            environment = os.environ | {"WHICH": name}
            running.enter_context(
                Serving(
                    "applications:which",
                    bind=[f"unix:{path}"],
                    log=log,
                    cwd=Path(__file__).parent,
                    env=environment,
                )
            )
            hop = Hop(application=UnixAddress(str(path)), entrance=entrance, server_name=name, websocket=True)
            text = front.site(hop)
            if name != names[0]:
                text = text.replace(f"Listen {entrance}\n", "")
            (directory / f"{name}.conf").write_text(text)
        place = directory / "frame"
        place.mkdir()
        front.check_site(directory / "*.conf", place)
        frame = (place / "frame.conf").read_text()
        monkeypatch.setattr(front, "alone", lambda *_: frame)
        run(front, server.unix, entrance=entrance)
        for name in names * 3:
            connection = Connection(str(entrance))
            connection.request("GET", "/", headers={"Host": name})
            assert name.encode() == connection.getresponse().read()
            connection.close()


def test_asks_again_at_once_when_the_application_is_back(front: Front, run: Run, directory: Path) -> None:
    path = directory / "late.sock"
    entrance = run(front, UnixAddress(str(path)), connect_seconds=1).entrance
    assert status(entrance) in {502, 503}
    environment_log = directory / "log"
    with Serving(
        "applications:application", bind=[f"unix:{path}"], log=environment_log, cwd=Path(__file__).parent
    ):
        assert "/" == ask(entrance)["PATH_INFO"]


def test_connects_to_an_abstract_name_where_the_front_can(run: Run, directory: Path) -> None:
    name = f"lasthop-{directory.name}"
    log = directory / "log"
    with Serving("applications:application", bind=[f"unix:@{name}"], log=log, cwd=Path(__file__).parent):
        assert "/" == ask(run(installed("caddy"), AbstractAddress(name)).entrance)["PATH_INFO"]


def test_has_room_for_thousands_of_clients(front: Front, run: Run, server: Serving) -> None:
    entrance = run(front, server.unix).entrance
    clients = []
    try:
        for _ in range(4096):
            client = socket.create_connection((entrance.host, entrance.port), 10)
            clients.append(client)
        for _ in range(2):
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert {b"200"} == {client.recv(65536)[9:12] for client in clients}
    finally:
        for client in clients:
            client.close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_listens_on_ipv6(front: Front, run: Run, server: Serving) -> None:
    running = run(front, server.unix, entrance=free_port("::1"))
    assert "/here" == ask(running.entrance, "/here")["PATH_INFO"]


# What is printed


OPTIONS: list[dict[str, object]] = [
    {},
    {"server_name": "shop.example.org", "websocket": True},
    {"server_name": "*.example.org", "keep_alive": 0, "forwarded": False, "upload_bytes": 0},
    {"entrance": TcpAddress("::1", 8080), "keep_alive": 0, "websocket": True},
    {"entrance": TcpAddress("127.0.0.1", 8080), "static": {"/static/": "/srv/a b/", "/m": "/srv/m"}},
]
APPLICATIONS = [UnixAddress("/run/shop/shop.sock"), TcpAddress("127.0.0.1", 8000), TcpAddress("::1", 8000)]


@pytest.mark.parametrize("options", OPTIONS)
def test_takes_what_is_printed(front: Front, directory: Path, options: dict[str, object]) -> None:
    if front.name == "haproxy" and "static" in options:
        pytest.skip("HAProxy serves no files")
    options = {"entrance": free_port(), **options}
    for application in APPLICATIONS:
        file = directory / "site"
        file.write_text(front.site(Hop(application=application, **options)), "utf-8")  # type: ignore[arg-type]
        front.check_site(file, directory)


@pytest.mark.parametrize("options", OPTIONS)
def test_what_is_printed_is_what_runs(
    name_of_front: str, directory: Path, options: dict[str, object]
) -> None:
    """Each directive of the printed text is in the private one, but for what the machine has and a private one has not."""
    front = FRONTS[name_of_front]
    if front.name == "haproxy" and "static" in options:
        pytest.skip("HAProxy serves no files")
    for application in APPLICATIONS:
        hop = Hop(application=application, **options)  # type: ignore[arg-type]
        missing = directives(front.site(hop)) - directives(front.alone(hop, directory))
        listening = {line for line in missing if line.startswith(("listen", "bind"))}
        machine = {"user haproxy", "group haproxy", "chroot /var/lib/haproxy", "log /dev/log local0", "log global", "option httplog"}  # fmt: skip
        assert set() == missing - listening - machine
        assert {line.rstrip(";") for line in listening} <= {
            line.partition(" backlog")[0] for line in directives(front.alone(hop, directory))
        }


@pytest.fixture(params=list(FRONTS))
def name_of_front(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def directives(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")}


def test_every_line_is_explained(name_of_front: str) -> None:
    """An administrator reads it: there is about as much said as done."""
    text = FRONTS[name_of_front].site(Hop(application=UnixAddress("/run/shop.sock")))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("#")]
    assert len(said) > len(lines) / 4
    assert 150 > max(len(line) for line in text.splitlines())


def test_what_is_printed_has_no_gaps(name_of_front: str) -> None:
    for options in OPTIONS:
        if name_of_front == "haproxy" and "static" in options:
            continue
        text = FRONTS[name_of_front].site(Hop(application=UnixAddress("/run/shop.sock"), **options))  # type: ignore[arg-type]
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert "\n\n\n" not in text
        assert [] == [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("front", ["caddy"], indirect=True)
def test_a_caddyfile_is_formatted_as_caddy_has_it(front: Front, directory: Path) -> None:
    for options in OPTIONS:
        file = directory / "Caddyfile"
        text = front.site(Hop(application=UnixAddress("/run/shop.sock"), **options))  # type: ignore[arg-type]
        file.write_text(text)
        done = subprocess.run([str(front.executable()), "fmt", str(file)], capture_output=True, text=True)
        assert text == done.stdout


BROKEN = {
    "nginx": "server { no_such_directive on; }",
    "apache": "NoSuchDirective on",
    "caddy": "http://:8080 {\n\tno_such_directive\n}\n",
    "haproxy": "global\n    no_such_keyword\n",
}


def test_refuses_a_broken_file_in_its_own_words(front: Front, directory: Path) -> None:
    file = directory / "broken"
    file.write_text(BROKEN[front.name])
    with pytest.raises(FrontRefused) as refused:
        front.check_site(file, directory)
    assert any(
        word in refused.value.said for word in ("no_such_directive", "NoSuchDirective", "no_such_keyword")
    )
    with pytest.raises(FrontRefused):
        front.check(file, directory)
