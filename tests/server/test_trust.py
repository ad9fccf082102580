"""Who may connect and who is believed, from the settings of a real server to what it says and does."""

import contextlib
import os
import pwd
import signal
import socket
from pathlib import Path

import pytest

from lasthop.demo.serving import Serving
from lasthop.errors import PeerError
from lasthop.link.listener import Listener
from lasthop.server.trust import NOTICES, Trust, _sentence
from lasthop.settings import Settings
from tests.conftest import Serve, said_by
from tests.users import ask_as, needs_root, open_to_all

STRANGER = 41_001
FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


def asked(server: Serving, address: str, key: str, headers: dict[str, str] | None = None) -> str:
    connection = server.connect(address)
    connection.request("GET", f"/environ?{key}", headers=headers or {})
    body: str = connection.getresponse().read().decode()
    connection.close()
    return body


def test_nobody_but_who_is_named_gets_an_answer(serve: Serve) -> None:
    server = serve("applications:application", "--allow-peer", f"uid:{STRANGER}")
    connection = server.connect(server.unix)
    connection.connect()
    with contextlib.closing(connection):
        assert b"" == connection.sock.recv(1)
    said_by(server, f"from pid {os.getpid()} (uid {os.geteuid()}, ")


def test_who_is_named_gets_one_and_is_believed(serve: Serve) -> None:
    name = pwd.getpwuid(os.geteuid()).pw_name
    server = serve("applications:application", "--allow-peer", name, "--allow-peer", "group:nogroup")
    assert "203.0.113.9" == asked(server, server.unix, "REMOTE_ADDR", FORWARDED)
    assert f"Peer(pid={os.getpid()}, uid={os.geteuid()}, gid={os.getegid()})" == asked(
        server, server.unix, "lasthop.peer"
    )


def test_on_tcp_it_does_not_apply_and_the_log_says_so_once(serve: Serve) -> None:
    server = serve("applications:application", "--allow-peer", f"uid:{STRANGER}", "--workers", "2")
    assert "None" == asked(server, server.tcp, "lasthop.peer")
    assert 1 == server.said().count(f"--allow-peer does not apply to {server.tcp}")


@pytest.mark.parametrize("who", ["nobody-has-this-name", "group:nobody-has-this-name"])
def test_a_name_that_nobody_has_is_an_error_before_anything_is_opened(serve: Serve, who: str) -> None:
    server = serve("applications:application", "--allow-peer", who, ready=False)
    assert 2 == server.process.wait(20)
    assert "there is no " in server.said()
    assert "listening at" not in server.said()


@needs_root
def test_the_users_and_groups_that_are_named_come_in_and_no_others(serve: Serve) -> None:
    server = serve("applications:application", "--allow-peer", "uid:41002,gid:41003")
    path = server.unix.removeprefix("unix:")
    open_to_all(path)
    replies = [
        ask_as(path, uid=uid, gid=STRANGER, groups=groups)[:12]
        for uid, groups in ((41_002, ()), (STRANGER, (41_003,)), (STRANGER, ()))
    ]
    assert [b"HTTP/1.1 200", b"HTTP/1.1 200", b""] == replies


@pytest.mark.parametrize(
    ("mask", "options", "address"),
    [
        (0o022, [], ""),
        (0o022, ["--trust-proxy", "unix"], "203.0.113.9"),
        (0o022, ["--socket-mode", "0660"], "203.0.113.9"),
        (0o077, ["--socket-mode", "0666"], ""),
        (0o027, [], "203.0.113.9"),
        (0o077, [], "203.0.113.9"),
    ],
)
def test_over_a_socket_file_its_mode_decides_who_is_believed(
    serve: Serve, mask: int, options: list[str], address: str
) -> None:
    before = os.umask(mask)
    try:
        server = serve("applications:application", *options)
    finally:
        os.umask(before)
    assert address == asked(server, server.unix, "REMOTE_ADDR", FORWARDED)
    assert ("https" if address else "http") == asked(server, server.unix, "wsgi.url_scheme", FORWARDED)
    assert ("203.0.113.9" if address else "None") == asked(
        server, server.unix, "HTTP_X_FORWARDED_FOR", FORWARDED
    )


def test_over_an_abstract_name_nobody_is_believed_unless_asked(serve: Serve) -> None:
    name = f"unix:@lasthop-{os.getpid()}"
    server = serve("applications:application", bind=[name])
    assert "None" == asked(server, name, "HTTP_X_FORWARDED_FOR", FORWARDED)
    server = serve("applications:application", "--trust-proxy", "unix", bind=[f"{name}-2"])
    assert "203.0.113.9" == asked(server, f"{name}-2", "REMOTE_ADDR", FORWARDED)


def test_over_tcp_the_address_decides(serve: Serve) -> None:
    server = serve("applications:application", "--workers", "2")
    for _ in range(4):
        assert "127.0.0.1" == asked(server, server.tcp, "REMOTE_ADDR", FORWARDED)
    assert 1 == server.said().count("--trust-proxy 127.0.0.1")
    server = serve("applications:application", "--trust-proxy", "10.0.0.0/8,127.0.0.1")
    assert "203.0.113.9" == asked(server, server.tcp, "REMOTE_ADDR", FORWARDED)
    assert "203.0.113.9" == asked(
        server, server.tcp, "REMOTE_ADDR", {"X-Forwarded-For": "203.0.113.9, 10.1.1.1"}
    )


def test_the_access_log_shows_the_client(serve: Serve) -> None:
    server = serve("applications:application", "--trust-proxy", "unix", "--access-logfile", "-")
    asked(server, server.unix, "REMOTE_ADDR", FORWARDED)
    server.stop()
    assert "203.0.113.9 - - [" in server.said()


def test_a_front_that_says_nothing_is_told_of_once_with_the_line_that_it_lacks(serve: Serve) -> None:
    server = serve("applications:application", "--workers", "2")
    for _ in range(8):
        asked(server, server.unix, "REMOTE_ADDR")
    assert 1 == server.said().count("proxy_set_header X-Forwarded-For $remote_addr;")


def test_with_preload_too_it_is_told_once(serve: Serve) -> None:
    server = serve("applications:application", "--workers", "2", "--preload")
    for _ in range(8):
        asked(server, server.unix, "REMOTE_ADDR", FORWARDED)
    assert 1 == server.said().count("and was dropped")


def test_a_reload_with_a_name_that_nobody_has_changes_nothing(serve: Serve, tmp_path: Path) -> None:
    config = tmp_path / "lasthop.toml"
    config.write_text(f'[server]\nallow_peer = ["uid:{os.geteuid()}"]\n')
    server = serve("applications:application", "--config", str(config))
    config.write_text('[server]\nallow_peer = ["nobody-has-this-name"]\n')
    server.process.send_signal(signal.SIGHUP)
    said_by(server, "not reloaded")
    assert "there is no user 'nobody-has-this-name' here" in server.said()
    assert "203.0.113.9" == asked(server, server.unix, "REMOTE_ADDR", FORWARDED)


def test_a_name_that_nobody_has_is_refused() -> None:
    with pytest.raises(PeerError, match="there is no user"):
        Trust(Settings(allow_peer=("nobody-has-this-name",)))


def test_a_tcp_listener_believes_nobody_by_its_kind() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert False is Trust(Settings(allow_peer=("uid:0",), trust_proxy=("unix",))).believes(
            Listener(listening)
        )


@pytest.mark.parametrize("kind", NOTICES)
def test_each_notice_is_one_sentence(kind: str) -> None:
    said = _sentence(kind, {"REMOTE_ADDR": "203.0.113.9"}, "this")
    assert kind in ("unspoken", "outdated") or "203.0.113.9" in said
    assert "\n" not in said


def test_a_host_that_the_front_may_not_have_said_is_told_of_once(serve: Serve) -> None:
    server = serve("applications:application", "--allow-peer", f"uid:{os.geteuid()}")
    for host, counts in (("shop.example", "shop.example"), ("evil.example", "evil.example")) * 2:
        told = FORWARDED | {"Host": "shop.example", "X-Forwarded-Host": host}
        assert counts == asked(server, server.unix, "HTTP_HOST", told)
    said_by(server, "that its host is evil.example, and Host says shop.example: the former counts")
    assert 1 == server.said().count("evil.example")
