"""Addresses: every spelling, and what is said about the wrong ones."""

import pytest

from lasthop.errors import AddressError
from lasthop.link.address import (
    AbstractAddress,
    Address,
    FdAddress,
    SystemdAddress,
    TcpAddress,
    UnixAddress,
    byte_length,
    parse,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        ("localhost:8000", TcpAddress("localhost", 8000)),
        ("[::1]:8000", TcpAddress("::1", 8000)),
        ("[::]:0", TcpAddress("::", 0)),
        (":8000", TcpAddress("0.0.0.0", 8000)),
        ("unix:/run/app.sock", UnixAddress("/run/app.sock")),
        ("unix:///run/app.sock", UnixAddress("/run/app.sock")),
        ("unix:app.sock", UnixAddress("app.sock")),
        ("unix:/run/ä b.sock", UnixAddress("/run/ä b.sock")),
        ("unix:@app", AbstractAddress("app")),
        ("unix:@" + "x" * 107, AbstractAddress("x" * 107)),
        ("fd:3", FdAddress(3)),
        ("fd://3", FdAddress(3)),
        ("systemd", SystemdAddress()),
        ("systemd:web", SystemdAddress("web")),
    ],
)
def test_reads(text: str, expected: Address) -> None:
    assert expected == parse(text)


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1:8000", "[::1]:8000", "unix:/run/app.sock", "unix:@app", "fd:3", "systemd", "systemd:web"],
)
def test_writes_the_canonical_text(text: str) -> None:
    assert text == str(parse(text))


@pytest.mark.parametrize(
    ("text", "rule", "instead"),
    [
        ("", "the port is missing", "127.0.0.1:8000"),
        ("8000", "a port alone does not say on which address", "127.0.0.1:8000 or :8000"),
        ("localhost", "the port is missing", "localhost:8000"),
        ("localhost:", "the port is missing", "localhost:8000"),
        ("localhost:http", "'http' is not a port", "localhost:8000"),
        ("localhost:²", "'²' is not a port", "localhost:8000"),
        ("localhost:-1", "'-1' is not a port", "localhost:8000"),
        ("localhost:65536", "port 65536 is above 65535", "a port from 1 to 65535, or 0 for any free one"),
        ("::1:8000", "an IPv6 address needs brackets", "[::1]:8000"),
        ("[::1]", "an IPv6 address is written in brackets and followed by a port", "[::1]:8000"),
        ("[::1:8000", "an IPv6 address is written in brackets and followed by a port", "[::1]:8000"),
        ("*:8000", "* is not a host", "0.0.0.0:8000 and [::]:8000"),
        ("/run/app.sock", "a path needs unix: before it", "unix:/run/app.sock"),
        ("http://127.0.0.1:8000/", "an address to listen on is not a URL", "127.0.0.1:8000"),
        ("unix:", "the path is missing", "unix:/run/app/app.sock"),
        ("unix:@", "the path is missing", "unix:/run/app/app.sock"),
        ("unix:/run/app/", "that is a directory, not the name of a socket", "unix:/run/app/app.sock"),
        (
            "unix://run/app.sock",
            "after // a path must begin with another /",
            "unix:/run/app.sock or unix:run/app.sock",
        ),
        ("unix:/run/app.sock?mode=0660", "options after ? are not known yet", "unix:/run/app.sock"),
        ("unix:\0app", "a path holds no NUL; an abstract name is written with @", "unix:@NAME"),
        ("unix:@" + "ä" * 54, "the name has 108 bytes, an abstract name at most 107", "a shorter name"),
        ("fd:", "'' is not the number of a file descriptor", "fd:3"),
        ("fd:x", "'x' is not the number of a file descriptor", "fd:3"),
    ],
)
def test_says_what_is_wrong_and_what_to_write(text: str, rule: str, instead: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)
    assert (rule, instead) == (caught.value.rule, caught.value.hint)


def test_a_length_counts_bytes() -> None:
    assert 4 == byte_length("äö")
