"""The access log: every atom, and lines that no peer can forge."""

import base64
import json
import os
import re
import time
from typing import Any

import pytest

from lasthop.errors import AccessFormatError
from lasthop.server import accesslog
from lasthop.server.accesslog import ATOMS, check, escaped, make, target_of, user_of

ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/a b",
    "QUERY_STRING": "q=1",
    "RAW_URI": "/a%20b?q=1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "192.0.2.7",
    "HTTP_HOST": "example.org",
    "HTTP_REFERER": "http://example.org/",
    "HTTP_USER_AGENT": 'curl/8 "x"',
    "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"ann:secret").decode(),
}

TIME = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"


def line(
    fmt: str, environ: dict[str, Any] = ENVIRON, status: int = 200, size: int = 13, seconds: float = 0.0123456
) -> str:
    lines: list[str] = []
    make(fmt, lines.append)(environ, status, size, seconds)
    (written,) = lines
    assert written.endswith("\n")
    assert 1 == written.count("\n")
    return written[:-1]


def test_combined_is_what_log_readers_expect() -> None:
    assert re.fullmatch(
        r"192\.0\.2\.7 - ann "
        + TIME
        + r' "GET /a%20b\?q=1 HTTP/1\.1" 200 13 "http://example\.org/" "curl/8 \\"x\\""',
        line("combined"),
    )


@pytest.mark.parametrize(
    ("atom", "expected"),
    [
        ("%(h)s", "192.0.2.7"),
        ("%(l)s", "-"),
        ("%(u)s", "ann"),
        ("%(r)s", "GET /a%20b?q=1 HTTP/1.1"),
        ("%(m)s", "GET"),
        ("%(U)s", "/a b"),
        ("%(q)s", "q=1"),
        ("%(H)s", "HTTP/1.1"),
        ("%(s)s", "200"),
        ("%(B)s", "13"),
        ("%(b)s", "13"),
        ("%(f)s", "http://example.org/"),
        ("%(a)s", 'curl/8 \\"x\\"'),
        ("%(T)s", "0"),
        ("%(D)s", "12345"),
        ("%(M)s", "12"),
        ("%(L)s", "0.012346"),
        ("%(p)s", f"<{os.getpid()}>"),
        ("%({User-Agent}i)s", 'curl/8 \\"x\\"'),
        ("%({X-Missing}i)s", "-"),
        ("%({REMOTE_ADDR}e)s", "192.0.2.7"),
        ("100%% %(s)s", "100% 200"),
    ],
)
def test_atoms(atom: str, expected: str) -> None:
    assert expected == line(atom)


@pytest.mark.parametrize("atom", ATOMS)
def test_every_atom_can_be_written(atom: str) -> None:
    assert line(f"%({atom})s") not in ("", "-") or atom == "l"


def test_an_empty_body_is_a_dash_or_0() -> None:
    assert "- 0" == line("%(b)s %(B)s", size=0)


def test_no_peer_address_is_a_dash() -> None:
    assert "-" == line("%(h)s", {**ENVIRON, "REMOTE_ADDR": ""})


@pytest.mark.parametrize(
    "fmt", ["combined", "json", "%(U)s %(q)s %(h)s %(a)s %(f)s %(u)s %({X-A}i)s %({evil}e)s"]
)
@pytest.mark.parametrize(
    "evil", ['\n1.2.3.4 - - "GET / HTTP/1.1" 200', "\r\x00\x1b[2J", '"', "\\", "\x7f\x85\xff", "\u2028"]
)
def test_no_value_can_end_a_line_or_a_quotation(fmt: str, evil: str) -> None:
    environ: dict[str, Any] = dict.fromkeys(
        (
            "REQUEST_METHOD",
            "PATH_INFO",
            "RAW_URI",
            "QUERY_STRING",
            "REMOTE_ADDR",
            "HTTP_USER_AGENT",
            "HTTP_REFERER",
            "evil",
        ),
        evil,
    )
    environ |= {
        "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(evil.encode("utf-8")).decode(),
        "HTTP_X_A": evil,
    }
    written = line(fmt, environ)
    assert written.isascii()
    assert written.isprintable()
    if fmt == "json":
        assert evil == json.loads(written)["target"]
    elif fmt == "combined":
        assert 6 == len(re.findall(r'(?<!\\)(?:\\\\)*"', written))


@pytest.mark.parametrize(
    ("zone", "offset"), [("UTC", "+00:00"), ("<+0530>-5:30", "+05:30"), ("<-03>3", "-03:00")]
)
def test_the_time_in_json_is_one_of_rfc_3339(zone: str, offset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        monkeypatch.setattr(accesslog, "json_clock", accesslog._Clock(accesslog._rfc_3339))
        written = json.loads(line("json"))["time"]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d" + re.escape(offset), written)


@pytest.mark.parametrize(
    ("fmt", "hint"),
    [
        ("%({x-a}o)s", "leave it out; %({x-a}i)s is the request's header of that name"),
        ("%(X)s", "there are %(h)s %(l)s "),
    ],
)
def test_the_hint_to_an_atom_that_is_none_is_a_sentence(fmt: str, hint: str) -> None:
    with pytest.raises(AccessFormatError) as caught:
        check(fmt)
    assert caught.value.hint.startswith(hint)


def test_what_is_escaped_can_be_read_back() -> None:
    every = "".join(map(chr, range(256)))
    written = escaped(every)
    assert every == written.encode().decode("unicode_escape")


def test_json_is_one_object_a_line() -> None:
    assert {
        "peer": "192.0.2.7",
        "method": "GET",
        "target": "/a%20b?q=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 13,
        "seconds": 0.012346,
        "host": "example.org",
        "referer": "http://example.org/",
        "agent": 'curl/8 "x"',
        "pid": os.getpid(),
    } == {key: value for key, value in json.loads(line("json")).items() if key != "time"}


def test_the_target_is_put_together_where_the_raw_one_is_not_kept() -> None:
    assert "/shop/a?q=1" == target_of({"SCRIPT_NAME": "/shop", "PATH_INFO": "/a", "QUERY_STRING": "q=1"})
    assert "/a" == target_of({"PATH_INFO": "/a", "QUERY_STRING": ""})


@pytest.mark.parametrize("header", ["", "Bearer abc", "Basic", "Basic ???", "Basic YQ"])
def test_a_user_that_cannot_be_read_is_none(header: str) -> None:
    assert user_of({"HTTP_AUTHORIZATION": header}) in (None, "")


@pytest.mark.parametrize(
    ("fmt", "what"),
    [
        ("%(x)s", "there is no %(x)s"),
        ("%(h)d", "%(h) is not followed by s"),
        ("%(h)", "%(h) is not followed by s"),
        ("%h", "a % stands alone in '%h'"),
        ("100 %", "a % stands alone in '100 %'"),
        ("%({Content-Type}o)s", "%({Content-Type}o)s: headers of the reply are not kept for the log"),
    ],
)
def test_a_format_that_cannot_be_followed_is_refused(fmt: str, what: str) -> None:
    with pytest.raises(AccessFormatError) as caught:
        check(fmt)
    assert what in caught.value.what
