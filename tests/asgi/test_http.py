"""HTTP through ASGI: what the application is told, what it may say, and what the peer gets."""

import ast
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.asgi.conftest import Start, ask, connect, quiet, said_by, until


def body_of(reply: bytes) -> bytes:
    return reply.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_the_scope_says_all_of_the_request(start: Start, link: str) -> None:
    server = start("applications:app", "--root-path", "/shop")
    address = getattr(server, link)
    raw = connect(server, address)
    raw.get("/show_scope/caf%C3%A9%2Fx?a=%20b&c", "X-Two: 1\r\nx-two: 2\r\nConnection: close\r\n")
    reply = raw.rest()
    raw.close()
    assert reply.endswith(b"hello")  # not the path of show_scope, which is /shop/show_scope now
    server = start()
    address = getattr(server, link)
    raw = connect(server, address)
    port = raw.socket.getsockname()[1] if link == "tcp" else None
    raw.get("/show_scope?a=%20b&c", "X-Two: 1\r\nx-two: 2\r\nConnection: close\r\n", method="REPORT")
    text = body_of(raw.rest()).decode()
    raw.close()
    text = text[: text.index("'extensions'")].rstrip(", ") + "}"
    scope: dict[str, Any] = ast.literal_eval(text)
    assert ("http", "1.1", "REPORT", "http") == tuple(
        scope[key] for key in ("type", "http_version", "method", "scheme")
    )
    assert ("/show_scope", b"/show_scope", b"a=%20b&c", "") == (
        scope["path"], scope["raw_path"], scope["query_string"], scope["root_path"],
    )  # fmt: skip
    assert [
        (b"host", b"example.org"),
        (b"x-two", b"1"),
        (b"x-two", b"2"),
        (b"connection", b"close"),
    ] == scope["headers"]
    assert {"version": "3.0", "spec_version": "2.3"} == scope["asgi"]
    if link == "tcp":
        host, _, number = address.rpartition(":")
        assert ((host, int(number)), ("127.0.0.1", port)) == (scope["server"], scope["client"])
    else:
        assert ((address.removeprefix("unix:"), None), None) == (scope["server"], scope["client"])


def test_a_path_is_unescaped_and_the_raw_one_is_kept(start: Start) -> None:
    server = start(
        "applications:show_scope", "--interface", "asgi", "--lifespan", "off", "--root-path", "/shop/"
    )
    raw = connect(server)
    raw.get("/caf%C3%A9%2Fx%zz?", "Connection: close\r\n", version="1.0")
    text = body_of(raw.rest()).decode()
    raw.close()
    assert "'path': '/shop/café/x%zz'" in text
    assert "'raw_path': b'/shop/caf%C3%A9%2Fx%zz'" in text
    assert "'http_version': '1.0'" in text


def test_the_root_path_stands_escaped_before_raw_paths_and_not_before_the_server_itself(start: Start) -> None:
    server = start(
        "applications:show_scope", "--interface", "asgi", "--lifespan", "off", "--root-path", "/mein café"
    )
    raw = connect(server)
    raw.get("/x", "Connection: close\r\n")
    text = body_of(raw.rest()).decode()
    assert "'path': '/mein café/x'" in text
    assert "'raw_path': b'/mein%20caf%C3%A9/x'" in text
    raw = connect(server)
    raw.get("*", "Connection: close\r\n", method="OPTIONS")
    text = body_of(raw.rest()).decode()
    assert "'path': '*'" in text
    assert "'raw_path': b'*'" in text


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 5_000_000])
def test_a_body_comes_back_whole(start: Start, link: str, size: int) -> None:
    server = start()
    connection = ask(server, getattr(server, link))
    body = bytes(range(256)) * (size // 256 + 1)
    for _ in range(3):
        connection.request("POST", "/echo", body[:size])
        reply = connection.getresponse()
        assert (200, body[:size]) == (reply.status, reply.read())
    connection.close()
    quiet(server)


def test_a_body_in_chunks_comes_back_whole_and_the_connection_goes_on(start: Start) -> None:
    server = start()
    connection = ask(server)
    pieces = [b"x" * size for size in (1, 70_000, 3, 200_000)]
    for _ in range(3):
        connection.request(
            "POST", "/echo", iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        reply = connection.getresponse()
        assert (200, b"".join(pieces)) == (reply.status, reply.read())
    connection.close()


def test_the_last_piece_of_a_chunked_body_is_known_as_the_last(start: Start) -> None:
    server = start()
    raw = connect(server)
    raw.get("/pieces", "Transfer-Encoding: chunked\r\nConnection: close\r\n", method="POST")
    raw.send(b"5\r\nhello\r\n0\r\n\r\n")
    assert [1, 5, 5] == json.loads(body_of(raw.rest()))


def test_a_large_body_comes_in_pieces_of_bounded_size(start: Start) -> None:
    server = start()
    connection = ask(server)
    connection.request("POST", "/pieces", bytes(30 << 20))
    count, total, largest = json.loads(connection.getresponse().read())
    assert 30 << 20 == total
    assert largest <= 65536
    assert count >= total // 65536


def test_a_bad_chunk_is_refused_and_the_application_is_told(start: Start) -> None:
    server = start()
    raw = connect(server)
    raw.get("/echo", "Transfer-Encoding: chunked\r\n", method="POST")
    raw.send(b"5\r\nhello\r\nzz\r\n")
    assert raw.rest().startswith(b"HTTP/1.1 400 ")
    said_by(server, "gone")


def test_the_peer_is_asked_for_its_body_only_when_the_application_wants_it(start: Start) -> None:
    server = start()
    raw = connect(server)
    raw.get("/echo", "Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n", method="POST")
    assert b"HTTP/1.1 100 Continue\r\n\r\n" == raw.until(b"\r\n\r\n")
    raw.send(b"hello")
    assert raw.rest().endswith(b"hello")
    raw = connect(server)
    raw.get("/hello", "Content-Length: 5\r\nExpect: 100-continue\r\n", method="POST")
    assert raw.rest().startswith(b"HTTP/1.1 200 OK\r\n")


def test_pipelined_requests_are_answered_in_order(start: Start) -> None:
    server = start()
    raw = connect(server)
    raw.send(
        b"GET /sleep?0.1 HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
        b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    text = raw.rest()
    assert 4 == text.count(b"HTTP/1.1 200 OK")
    assert text.index(b"abc") < text.index(b"9;") < text.index(b"hello")


def test_without_a_length_a_reply_is_chunked_for_1_1_and_ends_the_connection_for_1_0(start: Start) -> None:
    server = start()
    connection = ask(server)
    connection.request("GET", "/stream")
    reply = connection.getresponse()
    assert ("chunked", b"0;1;2;3;4;5;6;7;8;9;") == (reply.getheader("Transfer-Encoding"), reply.read())
    connection.request("HEAD", "/stream")
    assert b"" == connection.getresponse().read()
    connection.request("GET", "/hello")
    assert b"hello" == connection.getresponse().read()
    raw = connect(server)
    raw.get("/stream", version="1.0")
    assert body_of(raw.rest()) == b"0;1;2;3;4;5;6;7;8;9;"


@pytest.mark.parametrize("path", ["fails", "returns", "body_first", "unknown", "split"])
def test_what_goes_wrong_before_the_reply_is_a_500(start: Start, path: str) -> None:
    server = start()
    connection = ask(server)
    connection.request("GET", f"/{path}")
    reply = connection.getresponse()
    assert (500, b"Internal Server Error\n") == (reply.status, reply.read())
    said_by(server, f"GET '/{path}'")
    connection.request("GET", "/hello")
    assert b"hello" == connection.getresponse().read()


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("fails_in_the_body", b"begun"),
        ("too_short", b"hel"),
        ("too_long", b"hello"),
        ("text_body", b""),
        ("twice", b""),
    ],
)
def test_what_goes_wrong_within_the_reply_never_looks_whole(start: Start, path: str, sent: bytes) -> None:
    server = start()
    raw = connect(server)
    raw.get(f"/{path}", "Connection: close\r\n")
    reply = raw.rest()
    said_by(server, f"GET '/{path}'")
    if b" 500 " in reply[:20]:
        # Nothing of the other reply had left.
        assert reply.endswith(b"\r\n\r\nInternal Server Error\n")
        return
    head, _, body = reply.partition(b"\r\n\r\n")
    assert body.replace(b"5\r\n", b"").strip() in (sent, b"")
    assert not reply.endswith(b"0\r\n\r\n")
    assert b"Content-Length: 5" not in head or len(body) < 5


def test_what_is_said_after_the_end_is_an_error_and_reaches_nobody(start: Start) -> None:
    server = start()
    connection = ask(server)
    for _ in range(2):
        connection.request("GET", "/after_the_end")
        assert b"whole" == connection.getresponse().read()
    said_by(server, "after the last one")


def test_early_hints_come_first_and_not_to_http_1_0(start: Start) -> None:
    server = start()
    raw = connect(server)
    raw.get("/hints", "Connection: close\r\n")
    text = raw.rest()
    assert text.startswith(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n"
    )
    raw = connect(server)
    raw.get("/hints", version="1.0")
    assert raw.rest().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(("te", "end"), [("TE: trailers\r\n", b"0\r\nx-sum: 5\r\n\r\n"), ("", b"0\r\n\r\n")])
def test_trailers_reach_who_asks_for_them(start: Start, te: str, end: bytes) -> None:
    server = start()
    raw = connect(server)
    raw.get("/trailers", te + "Connection: close\r\n")
    assert body_of(raw.rest()) == b"5\r\nhello\r\n" + end


def test_files_are_sent_whole(start: Start, tmp_path: Path) -> None:
    server = start()
    content = bytes(range(256)) * 20_000
    (tmp_path / "file").write_bytes(content)
    connection = ask(server)
    for _ in range(2):
        connection.request("GET", f"/file?{tmp_path}/file")
        reply = connection.getresponse()
        assert (str(len(content)), content) == (reply.getheader("Content-Length"), reply.read())
        connection.request("GET", f"/parts_of_file?{tmp_path}/file")
        assert b"<" + content[1:1001] + content[5000:] + b">" == connection.getresponse().read()
    connection.request("HEAD", f"/file?{tmp_path}/file")
    assert b"" == connection.getresponse().read()
    connection.request("GET", f"/file?{tmp_path}/missing")
    assert 500 == connection.getresponse().status


def test_tasks_and_context_variables_are_a_requests_own(start: Start) -> None:
    server = start()
    connection = ask(server)
    for name in ("anna", "ben"):
        connection.request("GET", f"/context?{name}")
        assert f"nobody {name} True".encode() == connection.getresponse().read()
    connection.request("POST", "/as_tasks", b"abc")
    assert b"abc True" == connection.getresponse().read()
    quiet(server)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_timeouts_groups_and_threads_work(start: Start, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = start("applications:app", "--loop", loop)
    raw = connect(server)
    raw.get("/bounded", "Content-Length: 5\r\n", method="POST")
    said_by(server, "no body yet")
    raw.send(b"later")
    raw.until(b"\r\nanna True later")
    quiet(server)


def test_a_task_that_is_cancelled_is_a_500(start: Start) -> None:
    server = start()
    connection = ask(server)
    for _ in range(2):  # the second on the same connection
        connection.request("GET", "/cancels_itself")
        answer = connection.getresponse()
        assert (500, b"Internal Server Error\n") == (answer.status, answer.read())
    said_by(server, "CancelledError")


def test_whoever_waits_to_send_hears_that_another_has_ended_the_reply(start: Start) -> None:
    server = start()
    raw = connect(server)
    raw.get("/two_senders", "Connection: close\r\n")
    said_by(server, "both have sent")
    assert 8_000_000 < len(raw.rest())
    quiet(server)


def test_what_one_task_waits_to_send_may_leave_with_a_message_of_another(
    start: Start, tmp_path: Path
) -> None:
    server = start()
    os.mkfifo(tmp_path / "fifo")
    raw = connect(server)
    raw.get(f"/sends_for_both?{tmp_path}/fifo", "Connection: close\r\n")
    until(lambda: "read what is there" in server.said(), server.said)
    raw.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while raw.socket.recv(1 << 20):
            pass
    raw.socket.settimeout(20)
    (tmp_path / "fifo").write_bytes(b"go on")
    assert raw.rest().endswith(b"1\r\nx\r\n0\r\n\r\n")
    said_by(server, "both have sent")
    quiet(server)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_no_request_ends_the_worker(start: Start, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = start("applications:app", "--loop", loop)
    before = connect(server)
    before.get("/sleep?1")
    for path, status in (("/exits", 500), ("/exits_later", 500), ("/stops_the_loop", 200)):
        connection = ask(server)
        connection.request("GET", path)
        assert status == connection.getresponse().status
    before.until(b"\r\n\r\n")
    assert "starting another" not in server.said()


def test_a_child_that_comes_back_has_nothing_to_say(start: Start) -> None:
    server = start()
    raw = connect(server)
    raw.get("/forks", "Connection: close\r\n")
    assert raw.rest().endswith(b"\r\n\r\nparent")


def test_headers_cannot_put_a_second_reply_into_the_first(start: Start) -> None:
    server = start()
    raw = connect(server)
    raw.get("/headers_that_send", "Connection: close\r\n")
    text = raw.rest()
    assert (1, True) == (text.count(b"HTTP/1.1"), text.endswith(b"once"))
    said_by(server, "a message was sent while the one before it was still looked at")


def test_a_receive_that_never_ran_takes_nothing(start: Start) -> None:
    server = start()
    connection = ask(server)
    connection.request("POST", "/receives_too_late", b"all of it")
    assert b"all of it" == connection.getresponse().read()
    quiet(server)


def test_who_looks_again_and_again_leaves_nothing_behind(start: Start) -> None:
    server = start()
    connection = ask(server)
    connection.request("GET", "/polls")
    assert int(connection.getresponse().read()) < 20
    quiet(server)


def test_a_fifo_is_no_file_to_send(start: Start, tmp_path: Path) -> None:
    server = start()
    os.mkfifo(tmp_path / "fifo")
    connection = ask(server)
    connection.request("GET", f"/file?{tmp_path}/fifo")
    assert 500 == connection.getresponse().status
    said_by(server, "only a regular file")


def test_a_body_that_does_not_come_is_not_waited_for(start: Start) -> None:
    server = start("applications:app", "--body-timeout", "0.5")
    raw = connect(server)
    raw.get("/echo", "Content-Length: 5\r\n", method="POST")
    raw.send(b"he")
    assert b"200" not in raw.rest()
    said_by(server, "gone")
    quiet(server)


def test_many_requests_wait_at_once_in_one_worker(start: Start) -> None:
    server = start()
    connections = [ask(server) for _ in range(200)]
    for each in connections:
        each.request("GET", "/sleep?0.5")
    assert 1 == len({each.getresponse().read() for each in connections})
    for each in connections:
        each.close()


def test_what_a_trusted_front_says_of_the_client_is_in_the_scope(start: Start) -> None:
    server = start("applications:app", "--trust-proxy", "unix")
    said = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
    raw = connect(server)
    raw.get("/show_scope", said + "Connection: close\r\n")
    text = raw.rest().decode()
    assert "'scheme': 'https'" in text
    assert "'client': ('203.0.113.9', 0)" in text
    assert "(b'host', b'shop.example')" in text
    raw = connect(server, server.tcp)
    raw.get("/show_scope", said + "Connection: close\r\n")
    text = raw.rest().decode().lower()
    assert "forwarded" not in text
    assert "'scheme': 'http'" in text


def test_the_access_log_has_each_reply(start: Start) -> None:
    server = start("applications:app", "--access-logfile", "-")
    connection = ask(server, server.tcp)
    connection.request("GET", "/hello?a=b", headers={"User-Agent": "me"})
    connection.getresponse().read()
    said_by(server, '"GET /hello?a=b HTTP/1.1" 200 5 "-" "me"')


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_either_loop(start: Start, loop: str) -> None:
    pytest.importorskip("uvloop")
    server = start("applications:app", "--loop", loop)
    connection = ask(server)
    for path, expected in (
        ("/hello", b"hello"),
        ("/stream", b"0;1;2;3;4;5;6;7;8;9;"),
        ("/context?x", b"nobody x True"),
    ):
        connection.request("GET", path)
        assert expected == connection.getresponse().read()
    quiet(server)
