"""wsgiref.validate around an application that uses everything that PEP 3333 offers: it has nothing to complain of."""

from __future__ import annotations

import pytest

from lasthop.demo.asking import Connection
from tests.conftest import Serve

from .raw import connect, to_the_end


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("threads", ["1", "16"])
def test_the_validator_has_nothing_to_complain_of(serve: Serve, link: str, threads: str) -> None:
    # As behind a front that is trusted: what it says goes into the environ, and there is nothing to warn of.
    server = serve(
        "applications.validated:application", "--threads", threads, "--trust-proxy", "unix,127.0.0.1"
    )
    connection = Connection(server.unix if link == "unix" else server.tcp)
    asked = [
        ("GET", "/list", None, {}, 200, b"one two"),
        ("HEAD", "/list", None, {}, 200, b""),
        ("GET", "/generator", None, {}, 200, b"0 1 2 "),
        ("HEAD", "/generator", None, {}, 200, b""),
        ("GET", "/empty", None, {}, 200, b""),
        ("GET", "/written", None, {}, 200, b"written and returned"),
        ("GET", "/changed-mind", None, {}, 503, b"sorry"),
        ("GET", "/nothing", None, {}, 204, b""),
        ("GET", "/unchanged", None, {}, 304, b""),
        ("GET", "/file", None, {}, 200, b"from a file"),
        ("POST", "/read", b"x" * 200_000, {}, 200, b"200000"),
        ("POST", "/read-in-pieces", b"x" * 200_000, {}, 200, b"200000"),
        ("POST", "/readline", b"a\nb\nc", {}, 200, b"['a\\n', 'b\\n', 'c', '']"),
        ("POST", "/readlines", b"a\nb\nc", {}, 200, b"['a\\n', 'b\\n', 'c']"),
        ("POST", "/iterate", b"a\nb\nc", {}, 200, b"['a\\n', 'b\\n', 'c']"),
        ("POST", "/read", iter([b"chunked ", b"body"]), {}, 200, b"12"),
        ("PUT", "/read", b"", {}, 200, b"0"),
        ("DELETE", "/list", None, {}, 200, b"one two"),
        ("OPTIONS", "/list", None, {}, 200, b"one two"),
        ("GET", "/list?a=%20b&c", None, {"X-Odd": "\xe4\xf6"}, 200, b"one two"),
        ("GET", "/%C3%A4/%2F", None, {"Cookie": "a=b; c=d"}, 200, b"list"),
    ]
    for method, path, body, headers, status, content in asked:
        connection.request(method, path, body, {"X-Forwarded-For": "203.0.113.9"} | headers)
        reply = connection.getresponse()
        assert (path, status, content) == (path, reply.status, reply.read())
    connection.close()
    with connect(server.unix if link == "unix" else server.tcp) as client:
        client.sendall(
            b"GET /generator HTTP/1.0\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n"
        )
        assert to_the_end(client).endswith(b"\r\n\r\n0 1 2 ")
    code = server.stop()
    # What the server says of fronts that happen to run on this machine has nothing to do with the application.
    said = "\n".join(line for line in server.said().splitlines() if "cannot connect to unix:" not in line)
    assert 0 == code
    for complaint in ("AssertionError", "Traceback", "Warning", "WARNING", "ERROR", "without being closed"):
        assert complaint not in said, said
