"""The cases: what is asked of which servers, for WSGI; those for ASGI are in :mod:`bench.asgicases`.

A case is data; how it is measured is in :mod:`bench.measure`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec

from bench import front
from bench.applications import THING_PATH
from bench.applications.plain import HELLO, KIB
from bench.asgicases import asgi_cases
from bench.case import HERE, LINKS, LOAD_COLUMNS, Case
from bench.measure import Work, at_start, behind_front, under_load, with_idle

ALL = (
    "floor",
    "bjoern",
    "fastpysgi",
    "granian-1",
    "granian-16",
    "gunicorn-sync",
    "gunicorn-gthread-16",
    "uwsgi",
    "waitress-16",
    "lasthop-1",
    "lasthop-4",
    "lasthop-16",
)
THREADED = ("granian-16", "gunicorn-gthread-16", "waitress-16", "lasthop-1", "lasthop-16")
PEERS = ("floor", "bjoern", "fastpysgi", "granian-16")
OURS = ("lasthop-1", "lasthop-16")


def _made() -> Iterator[Case]:
    yield from (_hello_case(link) for link in LINKS)
    yield from (_closing_case(link) for link in LINKS)
    yield Case(
        "idle-unix",
        "a 13-byte reply beside 5,000 idle kept-alive connections, over unix",
        ("floor", "bjoern", "granian-16", "lasthop-1", "lasthop-16"),
        _hello("unix"),
        with_idle,
        ("idle_bytes", "cpu_us_without", "cpu_us", "worst_us"),
    )
    yield from (_body_case(size, link) for size in (64 * KIB, KIB * KIB) for link in LINKS)
    yield from (_framework_case(name) for name in ("falcon", "flask", "django"))
    yield Case(
        "sleep",
        "an application that sleeps 1 ms, over unix: 16 threads could give 16,000 replies a second",
        THREADED,
        Work(f"{HERE}.plain:sleep", expect=HELLO),
        under_load,
        LOAD_COLUMNS,
    )
    yield Case(
        "compute",
        "one request in ten computes for 20 ms, over unix: latencies of the others",
        THREADED,
        Work(f"{HERE}.plain:compute", expect=HELLO, second="/compute", seconds=5.0),
        under_load,
        ("p50_us", "p99_us", "worst_us", "second_p99_us", "requests_per_second", "cpu_us"),
    )
    yield from (_front_case(link, keeps=keeps) for keeps in (True, False) for link in LINKS)
    yield Case(
        "start",
        "time from exec to the first reply, and memory at rest after it",
        ALL,
        _hello("unix"),
        at_start,
        ("first_reply_ms", "memory_mib"),
    )
    yield from asgi_cases()


def _hello(link: str, *, closes: bool = False, front_keeps: bool = True) -> Work:
    return Work(f"{HERE}.plain:hello", link, expect=HELLO, closes=closes, front_keeps=front_keeps)


def _hello_case(link: str) -> Case:
    asks = f"a 13-byte reply on kept-alive connections over {link}"
    return Case(f"hello-{link}", asks, ALL, _hello(link), under_load, LOAD_COLUMNS)


def _closing_case(link: str) -> Case:
    asks = f"a 13-byte reply, a connection a request, over {link}"
    servers = (*PEERS, "gunicorn-sync", "gunicorn-gthread-16", "uwsgi", *OURS)
    work = _hello(link, closes=True)
    return Case(f"close-{link}", asks, servers, work, under_load, LOAD_COLUMNS, quick=link == "unix")


def _body_case(size: int, link: str) -> Case:
    name, words = ("body_1m", "1 MiB") if size > 64 * KIB else ("body_64k", "64 KiB")
    return Case(
        f"{name.replace('_', '-')}-{link}",
        f"a reply of {words} over {link}",
        (*PEERS, "gunicorn-gthread-16", "waitress-16", *OURS),
        Work(f"{HERE}.plain:{name}", link, expect=b"x" * size, body_bytes=size),
        under_load,
        ("gib_per_second", "cpu_us", "p99_us", "worst_us"),
        quick=size > 64 * KIB,
    )


def _framework_case(name: str) -> Case:
    asks = f"{name.capitalize()} with a small JSON reply, over unix"
    servers = ("bjoern", "granian-16", "gunicorn-gthread-16", *OURS)
    missing = partial(_framework_missing, name)
    return Case(
        name,
        asks,
        servers,
        Work(f"{HERE}.{name}_json:app", path=THING_PATH),
        under_load,
        LOAD_COLUMNS,
        missing,
    )


def _front_case(link: str, *, keeps: bool) -> Case:
    how = "kept alive" if keeps else "by nginx's default (HTTP/1.0, a connection a request)"
    return Case(
        f"nginx-{'keep' if keeps else 'close'}-{link}",
        f"a 13-byte reply through nginx over {link}, {how}",
        ("floor", "bjoern", "granian-16", "gunicorn-sync", *OURS),
        _hello(link, closes=not keeps, front_keeps=keeps),
        behind_front,
        ("front_cpu_us", "cpu_us", "requests_per_second", "p99_us", "worst_us"),
        _nginx_missing,
        quick=link == "unix",
    )


def _nginx_missing() -> str | None:
    return None if front.version() else f"nginx is not installed ({front.INSTALL})"


def _framework_missing(name: str) -> str | None:
    return None if find_spec(name) else f"{name} is not installed (python -m bench.install)"


CASES: dict[str, Case] = {case.name: case for case in _made()}
