"""1 GiB comes in, by Content-Length and by chunks, over both links: never in memory, not on disk, and whole."""

from __future__ import annotations

import hashlib
import socket

import pytest

from tests.conftest import Serve

from .applications.pages import BLOCK, MIB
from .raw import connect, to_the_end
from .watching import at_rest, forget_peak, grew, memory, only_worker, until

GIB = 1024
"""In blocks of 1 MiB: exactly what `--limit-request-body` allows when nobody says otherwise."""


def begin(client: socket.socket, framing: str) -> None:
    client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n\r\n" % framing.encode())


@pytest.mark.parametrize(
    ("link", "framing", "threads"),
    [("unix", "length", "1"), ("tcp", "chunks", "16"), ("unix", "chunks", "16")],
)
def test_an_upload_of_1_gib_is_never_in_memory(serve: Serve, link: str, framing: str, threads: str) -> None:
    server = serve("applications.pages:application", "--threads", threads)
    worker = only_worker(server.pid)
    with connect(server.unix) as client:
        client.sendall(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
        )
        assert to_the_end(client).startswith(b"HTTP/1.1 200")
    memory_before = memory(worker)
    forget_peak(worker)
    digest = hashlib.sha256()
    with connect(server.unix if link == "unix" else server.tcp) as client:
        chunked = framing == "chunks"
        begin(client, "Transfer-Encoding: chunked" if chunked else f"Content-Length: {GIB * MIB}")
        piece = b"%x\r\n%s\r\n" % (MIB, BLOCK) if chunked else BLOCK
        for _ in range(GIB):
            client.sendall(piece)
            digest.update(BLOCK)
        if chunked:
            client.sendall(b"0\r\n\r\n")
        reply = to_the_end(client)
    assert reply.partition(b"\r\n\r\n")[2].decode().startswith(f"{GIB * MIB} {digest.hexdigest()}")
    assert grew(worker, memory_before) < 50 * MIB
    until(lambda: at_rest(server.pid), "the worker is at rest")


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_one_byte_more_than_the_limit_is_refused_before_it_is_sent(serve: Serve, link: str) -> None:
    server = serve("applications.pages:application")
    with connect(server.unix if link == "unix" else server.tcp) as client:
        begin(client, f"Content-Length: {GIB * MIB + 1}")
        assert b"413" == client.recv(65536)[9:12]
