"""Measuring, with the floor as the server and with servers that do not behave."""

import sys

import pytest

from bench import front
from bench.errors import ServerError
from bench.measure import Stand, Work, at_start, behind_front, under_load, with_idle_websockets, with_messages
from bench.peers import SERVERS
from bench.server import Server, Task

FLOOR = SERVERS["floor"]
HELLO = b"Hello, World!"


def python(code: str, *, keeps: bool = True) -> Server:
    """A server in a few lines, which find their listening socket as ``listener``."""

    def command(task: Task) -> list[str]:
        listen = f"import os, socket, time; listener = socket.socket(socket.AF_UNIX); listener.bind({str(task.link.path)!r})"
        return [sys.executable, "-c", f"{listen}; listener.listen(100)\n{code}"]

    return Server("odd", "", command, keeps=keeps)


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("closes", [False, True])
def test_the_floor_is_measured_on_both_links(stand: Stand, link: str, closes: bool) -> None:
    figures = under_load(stand, FLOOR, Work("", link, expect=HELLO, closes=closes))
    assert figures["errors"] == 0
    assert figures["requests"] > 0
    assert figures["cpu_us"] > 0
    assert figures["p50_us"] <= figures["p99_us"] <= figures["worst_us"]


def test_a_large_body_is_read_whole(stand: Stand) -> None:
    figures = under_load(stand, FLOOR, Work("", expect=b"x" * 1_048_576, body_bytes=1_048_576))
    assert figures["errors"] == 0
    assert figures["gib_per_second"] > 0


def test_time_to_the_first_reply_and_memory_are_told(stand: Stand) -> None:
    figures = at_start(stand, FLOOR, Work("", expect=HELLO))
    assert {"first_reply_ms", "memory_mib"} == set(figures)


def test_a_wrong_first_reply_is_a_failure_that_shows_it(stand: Stand) -> None:
    with pytest.raises(ServerError, match=r"the first reply is 200 with 13 bytes: b'Hello, World!'"):
        under_load(stand, FLOOR, Work("", expect=b"Something else"))


def test_a_server_that_does_not_start_is_a_failure_with_its_last_words(stand: Stand) -> None:
    with pytest.raises(ServerError, match=r"ended before its first reply(.|\n)*no such setting"):
        under_load(stand, python("raise SystemExit('no such setting')"), Work(""))


def test_a_server_that_replies_wrongly_under_load_is_a_failure_with_its_count(stand: Stand) -> None:
    wrong = """
number = 0
while True:
    connection, _ = listener.accept()
    connection.recv(1000)
    number += 1
    body = b'x' * (13 if number == 1 else 12)
    connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s' % (len(body), body))
    connection.close()
"""
    with pytest.raises(ServerError, match=r"0 good replies; failed: .*\d+ length"):
        under_load(stand, python(wrong, keeps=False), Work(""))


def test_a_server_that_says_close_is_connected_to_again(stand: Stand) -> None:
    closing = """
while True:
    connection, _ = listener.accept()
    connection.recv(1000)
    connection.sendall(b'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 2\\r\\n\\r\\nok')
    connection.close()
"""
    figures = under_load(stand, python(closing), Work("", expect=b"ok"))
    assert figures["errors"] == 0


def test_latencies_of_the_second_kind_are_kept_apart(stand: Stand) -> None:
    slow = """
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        if self.path == '/slow': time.sleep(0.02)
        self.wfile.write(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')
    def log_message(self, *_): pass
    def address_string(self): return ''
class Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    def server_bind(self): pass
server = Server(('', 0), Handler, bind_and_activate=False)
server.socket = listener
server.serve_forever()
"""
    figures = under_load(stand, python(slow), Work("", expect=b"ok", second="/slow"))
    assert figures["second_p99_us"] >= 20_000


CHUNKED = """
import threading
PIECES = {pieces!r}
def serve(connection):
    while connection.recv(1000):
        for piece in PIECES:
            connection.sendall(piece)
            time.sleep(0)
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_BODY = b"5\r\nhello\r\n00A;name=value\r\n and more..\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_chunked_reply_is_read_however_it_comes(stand: Stand, size: int) -> None:
    whole = CHUNKED_HEAD + CHUNKED_BODY.replace(b" and more..", b" and more.")
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    figures = under_load(stand, python(CHUNKED.format(pieces=pieces)), Work("", expect=b"hello and more."))
    assert figures["errors"] == 0
    assert figures["requests"] > 0


def test_a_body_is_sent_and_read_again(stand: Stand) -> None:
    echo = """
import threading
def serve(connection):
    file = connection.makefile("rb")
    while line := file.readline():
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
        if line == b"\\r\\n":
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (length, file.read(length)))
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""
    body = b"x" * 1_000_000  # more than a socket's buffer holds, so that sending and reading take turns
    figures = under_load(stand, python(echo), Work("", expect=body, post=body))
    assert figures["errors"] == 0
    assert figures["requests"] > 0


WEBSOCKET = """
import threading
GREETING = {greeting!r}
CHANGED = {changed!r}
def serve(connection):
    file = connection.makefile("rb")
    while (line := file.readline()) != b"\\r\\n":
        upgrade = line.startswith(b"Upgrade:") if line.startswith((b"GET", b"Upgrade")) else upgrade
    if not upgrade:
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        return
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n\\r\\n")
    connection.sendall(GREETING)
    while head := file.read(6):
        mask, body = head[2:], file.read(head[1] & 127)
        body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))
        if head[0] == 0x8A:
            assert body == b"you?"
        else:
            connection.sendall(bytes([head[0], len(body)]) + (body.upper() if CHANGED else body))
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""


def test_messages_on_websockets_are_counted_and_pings_answered(stand: Stand) -> None:
    server = python(WEBSOCKET.format(greeting=b"\x89\x04you?", changed=False))
    figures = with_messages(stand, server, Work("", expect=b"ok", message_bytes=100, connections=50))
    assert figures["errors"] == 0
    assert figures["requests"] > 0
    assert figures["cpu_us"] == figures["message_cpu_us"]


def test_a_message_that_is_not_the_one_that_was_sent_is_a_failure(stand: Stand) -> None:
    server = python(WEBSOCKET.format(greeting=b"", changed=True))
    with pytest.raises(ServerError, match=r"0 good replies; failed: .*\d+ malformed"):
        with_messages(stand, server, Work("", expect=b"ok", message_bytes=100, connections=5))


def test_the_bytes_of_an_idle_websocket_are_told(stand: Stand) -> None:
    server = python(WEBSOCKET.format(greeting=b"", changed=False))
    figures = with_idle_websockets(stand, server, Work("", expect=b"ok", message_bytes=100, connections=5))
    assert figures["websocket_bytes"] > 0


def test_cpu_time_of_nginx_and_of_the_server_are_told_apart(stand: Stand) -> None:
    if front.version() is None:
        pytest.skip(f"nginx is not installed: {front.INSTALL}")
    for keeps in (True, False):
        figures = behind_front(stand, FLOOR, Work("", expect=HELLO, closes=not keeps, front_keeps=keeps))
        assert figures["errors"] == 0
        assert figures["front_cpu_us"] > 0
        assert figures["cpu_us"] > 0
