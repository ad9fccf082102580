"""`wsgi.input` as a file: the same bytes whichever way they are asked for, across blocks and chunks."""

import io
import random
from typing import Any

import pytest

from tests.engine.conftest import Run
from tests.engine.running import Environ, Start, chunked, get, post

WAYS: list[tuple[str, tuple[Any, ...]]] = [
    ("read", ()), ("read", (-1,)), ("read", (None,)), ("read", (0,)), ("read", (1,)), ("read", (4095,)), ("read", (4096,)), ("read", (65536,)),
    ("read", (65537,)), ("read", (1 << 20,)), ("read", (3 << 20,)), ("readline", ()), ("readline", (-1,)), ("readline", (None,)),
    ("readline", (0,)), ("readline", (1,)), ("readline", (7,)), ("readline", (1 << 20,)), ("readlines", ()), ("readlines", (10,)),
    ("readlines", (None,)), ("readlines", (0,)), ("__next__", ()),
]  # fmt: skip


def asked(stream: Any, ways: list[tuple[str, tuple[Any, ...]]]) -> list[Any]:
    """What the stream gives when it is read in these ways."""
    given = []
    for name, arguments in ways:
        try:
            given.append(getattr(stream, name)(*arguments))
        except StopIteration:
            given.append("end")
    return given


def body_of(lines: list[int]) -> bytes:
    return b"".join(b"%d" % (n % 10) * n + b"\n" for n in lines) + b"the last without an end"


BODIES = {
    "empty": b"",
    "one line": b"a line\n",
    "short lines": body_of([0, 1, 2, 3, 10, 0, 0, 5, 100]),
    "lines across blocks": body_of([65_530, 10, 65_536, 65_535, 0, 131_072, 1, 3]),
    "no line": b"x" * 300_000,
    "large": body_of([1_500_000, 1_500_000, 2_000_000]),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("kind", ["length", "chunks"])
def test_it_reads_as_a_file_does(run: Run, kind: str, name: str) -> None:
    body = BODIES[name]
    chance = random.Random(name)
    ways: list[tuple[str, tuple[Any, ...]]] = []
    given: list[Any] = []

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        given[:] = asked(environ["wsgi.input"], ways)
        start_response("200 OK", [])
        return [b"done"]

    running = run(application)
    at = 0
    chunks = []
    while at < len(body):
        size = chance.choice([1, 10, 1000, 65_536, 100_000])
        chunks.append(body[at : at + size])
        at += size
    data = post(body) if kind == "length" else chunked(*chunks)
    for _ in range(15):
        ways[:] = [chance.choice(WAYS) for _ in range(30)] + [("read", ()), ("read", ()), ("readline", ()), ("read", (5,))]  # fmt: skip
        assert b"done" == running.ask(data).body
        assert asked(io.BytesIO(body), ways) == given


def test_it_iterates_over_lines(run: Run) -> None:
    lines: list[bytes] = []

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        lines[:] = list(environ["wsgi.input"])
        start_response("200 OK", [])
        return []

    running = run(application)
    body = BODIES["lines across blocks"]
    for data in (post(body), chunked(body)):
        running.ask(data)
        assert body.splitlines(keepends=True) == lines


def test_a_request_without_a_body_has_an_empty_one(run: Run, threads: int) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        stream = environ["wsgi.input"]
        start_response("200 OK", [])
        given = [stream.read(), stream.read(5), stream.readline(), *stream.readlines(), *stream]
        return [repr(given).encode(), repr(stream.close()).encode()]

    running = run(application, threads)
    for data in (get(), post(b""), chunked()):
        assert b"[b'', b'', b'']None" == running.ask(data).body


@pytest.mark.parametrize("argument", ["5", 1.5, b""])
def test_a_size_that_is_no_number_is_an_error(run: Run, argument: Any) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        start_response("200 OK", [])
        try:
            environ["wsgi.input"].read(argument)
        except TypeError:
            return [b"TypeError"]
        return []

    assert b"TypeError" == run(application).ask(post(b"hello")).body
