"""Several engines on one queue, which know of each other by a board."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from lasthop import engine as compiled

Engine: Callable[..., Any] = compiled.Engine
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def answering(text: bytes) -> Application:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(len(text)))])
        return [text]

    return application


def ask(connected: socket.socket) -> bytes:
    connected.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    reply = HTTPResponse(connected)
    reply.begin()
    return reply.read()


def test_a_board_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a board has 16384 bytes, not 64"):
        Engine(answering(b"a"), [], board=bytearray(64), place=0)


@pytest.mark.parametrize("places", [(0, 1), (253, 254)])
def test_engines_on_one_board_take_connections_in_turn(
    short_directory: Path, places: tuple[int, int]
) -> None:
    board = bytearray(compiled.BOARD_SIZE)
    with socket.socket(socket.AF_UNIX) as listening:
        path = str(short_directory / "s")
        listening.bind(path)
        listening.listen()
        engines = [
            Engine(answering(b"%d" % place), [(listening.fileno(), "a", "80")], board=board, place=place)
            for place in places
        ]
        threads = [threading.Thread(target=each.serve) for each in engines]
        for thread in threads:
            thread.start()
        connected = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        had: Counter[bytes] = Counter()
        for each in connected:
            each.settimeout(20)
            each.connect(path)
            had[ask(each)] += 1
        for each in connected:
            each.close()
        for engine in engines:
            engine.stop()
        for thread in threads:
            thread.join()
        for engine in engines:
            engine.close()
    assert (2, True) == (len(had), max(had.values()) <= 30), had


def test_an_engine_beyond_the_board_serves_without_it(short_directory: Path) -> None:
    board = bytearray(compiled.BOARD_SIZE)
    engine = Engine(answering(b"a"), [], board=board, place=255)
    engine.close()
    assert bytes(compiled.BOARD_SIZE) == board
