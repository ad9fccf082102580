"""The cases for ASGI: each is asked in Python 3.11 and in the newest that is found, and its name ends with which."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.applications import THING_PATH
from bench.applications.asgi import CHUNK, CHUNKS
from bench.applications.plain import HELLO, KIB
from bench.case import HERE, LINKS, LOAD_COLUMNS, Case
from bench.interpreters import INSTALL, NEWEST, OLDEST, ROLES, Missing, chosen
from bench.measure import Work, under_load, with_idle, with_idle_websockets, with_messages

PEERS = ("uvicorn", "granian-asgi", "gunicorn-asgi", "hypercorn", "fastpysgi-asgi")
OURS = ("lasthop-asyncio", "lasthop-uvloop")
SERVERS = (*PEERS, *OURS)
OVER_UNIX = ("uvicorn", "granian-asgi", "gunicorn-asgi", "hypercorn", *OURS)
WORDS = {OLDEST: "Python 3.11", NEWEST: "the newest Python"}

CLOSES_EARLY = (
    "gunicorn 27.0.1's asgi worker closes some of the connections on which it has read a body, without having said so: "
    "what is asked next gets no reply"
)
STREAMS_NOT = (
    "fastpysgi 0.6 sends nothing of a reply whose length is not given (stream_write: client state cannot equ)"
)
NO_WEBSOCKETS = "it has no WebSockets"

BODY = b"x" * (64 * KIB)
MESSAGE_BYTES = 64
WEBSOCKETS = 1_000


def asgi_cases() -> Iterator[Case]:
    """All of them."""
    for python in ROLES:
        yield from (_hello(link, python) for link in LINKS)
        yield _starlette(python)
        yield from (_echo(link, python) for link in LINKS)
        yield from (_stream(link, python) for link in LINKS)
        yield _websocket(python)
        yield _idle(python)
        yield _idle_websocket(python)


def _missing(python: str) -> str | None:
    it = chosen(python)
    return it.why if isinstance(it, Missing) else None


def _hello(link: str, python: str) -> Case:
    return Case(
        f"asgi-hello-{link}-{python}",
        f"ASGI in {WORDS[python]}: a 13-byte reply on kept-alive connections over {link}",
        ("floor", *SERVERS),
        Work(f"{HERE}.asgi:hello", link, expect=HELLO, python=python),
        under_load,
        LOAD_COLUMNS,
        partial(_missing, python),
        quick=link == "unix" and python == NEWEST,
    )


def _starlette(python: str) -> Case:
    def missing() -> str | None:
        it = chosen(python)
        if isinstance(it, Missing):
            return it.why
        return (
            None if it.installed("starlette") else f"starlette is not installed for Python {it} ({INSTALL})"
        )

    return Case(
        f"asgi-starlette-{python}",
        f"ASGI in {WORDS[python]}: Starlette with a path parameter and a small JSON reply, over unix",
        SERVERS,
        Work(f"{HERE}.starlette_json:app", path=THING_PATH, python=python),
        under_load,
        LOAD_COLUMNS,
        missing,
        quick=python == NEWEST,
    )


def _echo(link: str, python: str) -> Case:
    return Case(
        f"asgi-echo-{link}-{python}",
        f"ASGI in {WORDS[python]}: a body of 64 KiB sent back over {link}",
        tuple(name for name in SERVERS if name != "gunicorn-asgi"),
        Work(f"{HERE}.asgi:echo", link, expect=BODY, python=python, post=BODY),
        under_load,
        ("cpu_us", "requests_per_second", "gib_per_second", "p99_us", "worst_us"),
        partial(_missing, python),
        without={"gunicorn-asgi": CLOSES_EARLY},
        quick=False,
    )


def _stream(link: str, python: str) -> Case:
    return Case(
        f"asgi-stream-{link}-{python}",
        f"ASGI in {WORDS[python]}: a reply in {CHUNKS} chunks of {len(CHUNK)} bytes over {link}",
        tuple(name for name in SERVERS if name != "fastpysgi-asgi"),
        Work(f"{HERE}.asgi:stream", link, expect=CHUNK * CHUNKS, python=python),
        under_load,
        LOAD_COLUMNS,
        partial(_missing, python),
        without={"fastpysgi-asgi": STREAMS_NOT} if link == "tcp" else {},
        quick=False,
    )


def _websocket(python: str) -> Case:
    return Case(
        f"asgi-websocket-{python}",
        f"ASGI in {WORDS[python]}: messages of {MESSAGE_BYTES} bytes echoed on {WEBSOCKETS:,} WebSockets, over unix",
        OVER_UNIX,
        _messages(python, WEBSOCKETS),
        with_messages,
        ("message_cpu_us", "messages_per_second", "p50_us", "p99_us", "worst_us"),
        partial(_missing, python),
        without={"fastpysgi-asgi": NO_WEBSOCKETS},
        quick=python == NEWEST,
    )


def _messages(python: str, connections: int) -> Work:
    return Work(
        f"{HERE}.asgi:websocket",
        expect=HELLO,
        python=python,
        message_bytes=MESSAGE_BYTES,
        connections=connections,
    )


def _idle(python: str) -> Case:
    return Case(
        f"asgi-idle-{python}",
        f"ASGI in {WORDS[python]}: a 13-byte reply beside 5,000 idle kept-alive connections, over unix",
        OVER_UNIX,
        Work(f"{HERE}.asgi:hello", expect=HELLO, python=python),
        with_idle,
        ("idle_bytes", "cpu_us_without", "cpu_us", "worst_us"),
        partial(_missing, python),
        quick=False,
    )


def _idle_websocket(python: str) -> Case:
    return Case(
        f"asgi-idle-websocket-{python}",
        f"ASGI in {WORDS[python]}: memory of an idle WebSocket, over unix",
        OVER_UNIX,
        _messages(python, 32),
        with_idle_websockets,
        ("websocket_bytes",),
        partial(_missing, python),
        without={"fastpysgi-asgi": NO_WEBSOCKETS},
        quick=False,
    )
