"""Addresses: every spelling, and what is said about the wrong ones."""

import pytest

from lasthop.errors import AddressError
from lasthop.link.address import (
    EXAMPLE,
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
        ("unix:/a.sock?modus=0660", "'modus' is no option of a socket file", EXAMPLE),
        ("unix:/a.sock?", "'' is no option of a socket file", EXAMPLE),
        ("unix:/a.sock?mode=0660&mode=0660", "mode stands there twice", EXAMPLE),
        ("unix:/a.sock?group=", "group has no value", EXAMPLE),
        ("unix:/a.sock?mode=rw", "a mode is three octal digits such as 0660, not 'rw'", EXAMPLE),
        ("unix:/a.sock?mode=0680", "a mode is three octal digits such as 0660, not '0680'", EXAMPLE),
        ("unix:/a.sock?mode=1777", "a mode of a socket is at most 0777, not '1777'", EXAMPLE),
        ("unix:@app?mode=0660", "an abstract name has no file, and so no owner, group or mode", "unix:@app"),
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


def test_a_socket_file_may_have_an_owner_a_group_and_a_mode() -> None:
    found = parse("unix:/run/app.sock?mode=0660&group=www-data&owner=33")
    assert UnixAddress("/run/app.sock", "33", "www-data", 0o660) == found
    assert "unix:/run/app.sock" == str(found)


def test_a_length_counts_bytes() -> None:
    assert 4 == byte_length("äö")
