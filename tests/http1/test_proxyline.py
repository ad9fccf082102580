"""The PROXY protocol: what a connection may begin with, and for whom it then is."""

import ipaddress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lasthop.http1 import proxyline

describe: Any = proxyline.describe

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(command: int, family: int, content: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(content).to_bytes(2, "big") + content


FOUR = bytes([203, 0, 113, 9, 192, 0, 2, 1]) + (4711).to_bytes(2, "big") + (80).to_bytes(2, "big")
SIX = ipaddress.ip_address("2001:db8::9").packed + bytes(16) + (4711).to_bytes(2, "big") + bytes(2)

GOOD = [
    (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n", "203.0.113.9", 4711),
    (b"PROXY TCP4 203.0.113.9 192.0.2.1 0 65535\r\n", "203.0.113.9", 0),
    (b"PROXY TCP6 2001:db8::9 ::1 4711 80\r\n", "2001:db8::9", 4711),
    (b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n", "ffff:" * 7 + "ffff", 65535),
    (b"PROXY UNKNOWN\r\n", None, 0),
    (b"PROXY UNKNOWN " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n", None, 0),
    (header(0x21, 0x11, FOUR), "203.0.113.9", 4711),
    (header(0x21, 0x21, SIX), "2001:db8::9", 4711),
    (header(0x21, 0x11, FOUR + b"\x04\x00\x00" * 30), "203.0.113.9", 4711),
    (header(0x21, 0x31, bytes(216)), None, 0),
    (header(0x21, 0x00, b""), None, 0),
    (header(0x20, 0x00, b""), None, 0),
    (header(0x20, 0x11, FOUR), None, 0),
    (header(0x20, 0xFF, b"x" * 4096), None, 0),
]  # fmt: skip

BAD = [
    b"GET / HTTP/1.1\r\n",
    b"proxy TCP4 203.0.113.9 192.0.2.1 4711 80\r\n",
    b"PROXY  TCP4 203.0.113.9 192.0.2.1 4711 80\r\n",
    b"PROXY TCP4  203.0.113.9 192.0.2.1 4711 80\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80 \r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80 1\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 4711\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\r\n",
    b"PROXY TCP4 203.0.113.9\t192.0.2.1 4711 80\r\n",
    b"PROXY TCP4 203.0.113.9\0 192.0.2.1 4711 80\r\n",
    b"PROXY TCP4 203.0.113.256 192.0.2.1 4711 80\r\n",
    b"PROXY TCP4 2001:db8::9 ::1 4711 80\r\n",
    b"PROXY TCP6 203.0.113.9 192.0.2.1 4711 80\r\n",
    b"PROXY TCP4 203.0.113.9 nowhere 4711 80\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 65536 80\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 65536\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 04711 80\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.1 -1 80\r\n",
    b"PROXY TCP5 203.0.113.9 192.0.2.1 4711 80\r\n",
    b"PROXY UDP4 203.0.113.9 192.0.2.1 4711 80\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY \r\n",
    b"PROXY UNKNOWN" + b" " * 93 + b"\r\n",
    b"PROXY " + b"x" * 200,
    b"\r\n\r\n\0\r\nQUIT\r",
    b"\r\nGET / HTTP/1.1\r\n",
    header(0x11, 0x11, FOUR),
    header(0x22, 0x11, FOUR),
    header(0x21, 0x11, FOUR[:-1]),
    header(0x21, 0x21, SIX[:-1]),
    header(0x21, 0x31, bytes(215)),
    header(0x21, 0x12, FOUR),
    header(0x21, 0x41, FOUR),
    header(0x20, 0x00, b"x" * 4097),
    header(0x21, 0x11, b"x" * 65535),
]


def told(text: bytes, versions: int = 3) -> tuple[int, str | None, int] | None:
    found = describe(text, versions)
    if found is None:
        return None
    took, address, port = found
    return took, None if address is None else str(ipaddress.ip_address(address)), port


@pytest.mark.parametrize(("text", "address", "port"), GOOD)
def test_what_is_right_is_read_however_it_comes(text: bytes, address: str | None, port: int) -> None:
    assert [None] * len(text) == [told(text[:size]) for size in range(len(text))]
    expected = (len(text), None if address is None else str(ipaddress.ip_address(address)), port)
    assert [expected] * 3 == [told(text + more) for more in (b"", b"G", text)]


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_is_refused_whatever_follows(text: bytes) -> None:
    for more in (b"", b"GET / HTTP/1.1\r\n\r\n"):
        with pytest.raises(ValueError):
            describe(text + more)


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_never_looked_right_before(text: bytes) -> None:
    for size in range(len(text)):
        try:
            assert None is describe(text[:size])
        except ValueError:
            break


@pytest.mark.parametrize(("text", "version"), [(GOOD[0][0], 1), (GOOD[6][0], 2)])
def test_only_the_version_that_was_asked_for_is_understood(text: bytes, version: int) -> None:
    assert told(text, version) is not None
    with pytest.raises(ValueError):
        describe(text, 3 - version)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=120).map(b"PROXY ".__add__),
        st.binary(max_size=300).map(SIGNATURE.__add__),
        st.builds(header, st.sampled_from([0x20, 0x21]), st.integers(0, 255), st.binary(max_size=300)),
        st.lists(
            st.sampled_from([b"TCP4", b"TCP6", b"1.2.3.4", b"::1", b"80", b"\r\n", b"", b"\r"]), max_size=8
        ).map(lambda words: b"PROXY " + b" ".join(words)),
    )
)
@example(b"")
@example(b"PROXY" + b" " * 102 + b"\r\n")
def test_whatever_comes_is_read_asked_for_more_or_refused(text: bytes) -> None:
    try:
        found = told(text)
    except ValueError:
        return
    if found is None:
        assert len(text) < 4112
    else:
        assert found == told(text[: found[0]])
        assert 0 < found[0] <= len(text)
