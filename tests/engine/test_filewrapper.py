"""`wsgi.file_wrapper`: files leave as they are from where they stand, anything else is read."""

import bz2
import gzip
import io
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import h11
import pytest

from tests.engine.conftest import Run
from tests.engine.running import PATIENCE, Environ, Link, Start, get

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def sending(make: Any, *headers: tuple[str, str], closed: list[Any] | None = None) -> Any:
    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", list(headers))
        opened = make()
        if closed is not None:
            closed.append(opened)
        return environ["wsgi.file_wrapper"](opened)

    return application


def test_a_file_is_sent_with_its_length_and_closed(run: Run, threads: int, link: Link, file: Path) -> None:
    opened: list[Any] = []
    running = run(sending(lambda: file.open("rb"), closed=opened), threads)
    peer = running.send(get() + get(), link)
    for reply in peer.replies(2):
        assert (str(len(CONTENT)), True) == (reply["content-length"], reply.body == CONTENT)
    running.finish()
    assert [True, True] == [each.closed for each in opened]


@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_file_is_sent_from_where_it_stands(run: Run, file: Path, buffering: int) -> None:
    def opened() -> Any:
        stream = file.open("rb", buffering=buffering)
        stream.seek(1_000_000)
        stream.read(234)  # a buffered file's descriptor is farther by now
        return stream

    reply = run(sending(opened)).ask()
    assert (str(len(CONTENT) - 1_000_234), True) == (
        reply["content-length"],
        reply.body == CONTENT[1_000_234:],
    )


def test_a_file_at_its_end_is_an_empty_body(run: Run, file: Path) -> None:
    def opened() -> Any:
        stream = file.open("rb")
        stream.seek(len(CONTENT) + 5)
        return stream

    reply = run(sending(opened)).ask()
    assert ("0", b"") == (reply["content-length"], reply.body)


def test_a_file_is_cut_at_a_content_length(run: Run, threads: int, file: Path) -> None:
    running = run(sending(lambda: file.open("rb"), ("Content-Length", "1000")), threads)
    assert [CONTENT[:1000]] * 2 == [reply.body for reply in running.send(get() + get()).replies(2)]


def test_a_file_that_is_shorter_than_its_content_length_ends_the_connection(run: Run, file: Path) -> None:
    running = run(sending(lambda: file.open("rb"), ("Content-Length", str(len(CONTENT) + 1))))
    with pytest.raises(h11.RemoteProtocolError):
        running.ask()


def test_a_file_that_becomes_shorter_meanwhile_ends_the_connection(
    run: Run, threads: int, file: Path
) -> None:
    returned = threading.Event()
    opened: list[Any] = []
    running = run(
        sending(lambda: file.open("rb"), closed=opened), threads, access=lambda *facts: returned.set()
    )
    peer = running.send(get())
    assert returned.wait(PATIENCE)
    os.truncate(file, 10)
    assert len(CONTENT) > len(peer.rest())
    running.finish()
    assert [True] == [each.closed for each in opened]


def test_a_file_is_closed_when_the_peer_goes_away(run: Run, threads: int, file: Path) -> None:
    opened: list[Any] = []
    running = run(sending(lambda: file.open("rb"), closed=opened), threads)
    peer = running.send(get())
    peer.socket.recv(1)
    running.finish()
    assert [True] == [each.closed for each in opened]


def test_a_head_request_opens_and_closes_a_file_and_sends_none_of_it(run: Run, file: Path) -> None:
    opened: list[Any] = []
    running = run(sending(lambda: file.open("rb"), closed=opened))
    peer = running.connect()
    for _ in range(2):
        reply = peer.send(get(method="HEAD")).reply("HEAD")
        assert (str(len(CONTENT)), b"") == (reply["content-length"], reply.body)
    running.finish()
    assert [True, True] == [each.closed for each in opened]


def test_a_file_after_write_has_what_was_written_before_it(run: Run, threads: int, file: Path) -> None:
    def application(environ: Environ, start_response: Start) -> Any:
        fields = [("Content-Length", str(len(CONTENT) + 6))] if environ["PATH_INFO"] == "/length" else []
        write = start_response("200 OK", fields)
        write(b"before")
        return environ["wsgi.file_wrapper"](file.open("rb"))

    peer = run(application, threads).send(get("/length") + get("/chunks"))
    assert [True, True] == [b"before" + CONTENT == reply.body for reply in peer.replies(2)]


def test_what_is_no_file_is_read(run: Run, threads: int) -> None:
    class Bare:
        def __init__(self) -> None:
            self.left = 5

        def read(self, size: int) -> bytes:
            self.left -= 1
            return b"x" * size if self.left >= 0 else b""

    makers: dict[str, Any] = {
        "/bytes": (lambda: io.BytesIO(CONTENT), CONTENT),
        "/bare": (Bare, b"x" * 65536 * 5),
        "/empty": (io.BytesIO, b""),
    }

    def application(environ: Environ, start_response: Start) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](makers[environ["PATH_INFO"]][0]())

    peer = run(application, threads).connect()
    for path, (_, body) in makers.items():
        assert body == peer.send(get(path)).reply().body


def test_a_pipe_is_read(run: Run) -> None:
    def opened() -> Any:
        reading, writing = os.pipe()
        os.write(writing, b"through a pipe")
        os.close(writing)
        return os.fdopen(reading, "rb")

    assert b"through a pipe" == run(sending(opened)).ask().body


@pytest.mark.parametrize("compression", [gzip, bz2])
def test_a_compressed_file_is_sent_as_it_reads(run: Run, tmp_path: Path, compression: Any) -> None:
    """Its fileno() is that of the compressed file: sent as it is, the reply would be something else than what was returned."""
    with compression.open(tmp_path / "z", "wb") as stream:
        stream.write(b"plain " * 1000)
    assert b"plain " * 1000 == run(sending(lambda: compression.open(tmp_path / "z"))).ask().body


def test_a_temporary_file_is_sent(run: Run) -> None:
    def opened() -> Any:
        stream = tempfile.NamedTemporaryFile()  # noqa: SIM115
        stream.write(CONTENT)
        stream.seek(10)
        return stream

    assert CONTENT[10:] == run(sending(opened)).ask().body


def test_a_file_to_a_slow_reader_holds_no_thread(run: Run, link: Link, file: Path) -> None:
    running = run(sending(lambda: file.open("rb")))
    slow = running.send(get(), link)
    assert [len(CONTENT)] * 3 == [len(running.ask(link=link).body) for _ in range(3)]
    assert slow.reply().body == CONTENT


def test_a_closed_file_is_an_error(run: Run, file: Path) -> None:
    def opened() -> Any:
        stream = file.open("rb")
        stream.close()
        return stream

    assert 500 == run(sending(opened)).ask().status
