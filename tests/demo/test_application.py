"""The example, called as PEP 3333 says and held to it by wsgiref.validate."""

from __future__ import annotations

import hashlib
import io
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from lasthop.demo import LINES, PAGES, app


def ask(path: str, query: str = "", body: bytes = b"", **more: str) -> tuple[str, bytes]:
    environ: dict[str, Any] = {
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": "POST" if body else "GET",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "REMOTE_ADDR": "",
        **more,
    }
    setup_testing_defaults(environ)
    said: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        said.append(status)
        return lambda data: None

    result = validator(app)(environ, start_response)
    try:
        whole = b"".join(result)
        return said[0], whole
    finally:
        result.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("port", "text"), [("", "a UNIX socket"), ("40000", "TCP from 192.0.2.1")])
def test_the_greeting_says_by_which_link_the_request_came(port: str, text: str) -> None:
    address = "192.0.2.1" if port else ""
    assert ("200 OK", f"Hello! This request came over {text}.\n".encode()) == ask(
        "/", REMOTE_ADDR=address, REMOTE_PORT=port
    )


def test_echo_gives_length_and_digest() -> None:
    body = b"x" * 100_000
    assert ("200 OK", f"100000 bytes, sha256 {hashlib.sha256(body).hexdigest()}\n".encode()) == ask(
        "/echo", body=body
    )


def test_slow_waits_and_says_how_long() -> None:
    assert ("200 OK", b"waited 1 ms\n") == ask("/slow", "ms=1")


@pytest.mark.parametrize("query", ["ms=x", "ms=-1", "ms=10001", "ms=1.5"])
def test_slow_refuses_what_is_no_time(query: str) -> None:
    assert "400 Bad Request" == ask("/slow", query)[0]


def test_stream_gives_its_lines_one_by_one() -> None:
    status, body = ask("/stream")
    assert ("200 OK", LINES) == (status, len(body.splitlines()))


def test_elsewhere_is_nothing_and_it_says_what_there_is() -> None:
    status, body = ask("/elsewhere")
    assert "404 Not Found" == status
    assert all(page in body.decode() for page in PAGES)


def test_a_page_is_the_same_on_every_link() -> None:
    assert (
        ("200 OK", b"Hello, world!\n")
        == ask("/hello")
        == ask("/hello", REMOTE_ADDR="127.0.0.1", REMOTE_PORT="5")
    )
