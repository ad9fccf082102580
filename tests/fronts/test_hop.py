"""The description of a hop: what is wrong for any front does not get into it."""

from __future__ import annotations

import pytest

from lasthop.errors import HopError
from lasthop.fronts.hop import Hop
from lasthop.link.address import (
    AbstractAddress,
    Address,
    FdAddress,
    SystemdAddress,
    TcpAddress,
    UnixAddress,
)

SOCKET = UnixAddress("/run/shop/shop.sock")


@pytest.mark.parametrize(
    ("listening", "connecting"),
    [
        (TcpAddress("0.0.0.0", 8000), TcpAddress("127.0.0.1", 8000)),
        (TcpAddress("::", 8000), TcpAddress("::1", 8000)),
        (TcpAddress("localhost", 8000), TcpAddress("localhost", 8000)),
        (TcpAddress("10.0.0.1", 8000), TcpAddress("10.0.0.1", 8000)),
        (SOCKET, SOCKET),
    ],
)
def test_connects_to_where_the_application_can_be_reached(listening: Address, connecting: Address) -> None:
    assert connecting == Hop(application=listening).application


@pytest.mark.parametrize(
    "address",
    [
        FdAddress(3),
        SystemdAddress(),
        TcpAddress("127.0.0.1", 0),
        TcpAddress("a;b", 8000),
        TcpAddress("a b", 8000),
        TcpAddress("a{", 8000),
        TcpAddress("$host", 8000),
        TcpAddress("", 8000),
        TcpAddress("fe80::1%eth0", 8000),
        TcpAddress("::1]\n", 8000),
        UnixAddress("run/shop.sock"),
        UnixAddress("/run/a\nb.sock"),
        UnixAddress("/run/a\rb.sock"),
        UnixAddress("/run/a\tb.sock"),
        UnixAddress("/run/a\x7fb.sock"),
        UnixAddress("/run/a\x85b.sock"),
        UnixAddress("/run/a\udcffb.sock"),
        UnixAddress("/run/" + "x" * 103),
        UnixAddress("/run/" + "é" * 52),
        AbstractAddress("a\nb"),
    ],
)
def test_refuses_an_address_that_no_front_connects_to(address: Address) -> None:
    with pytest.raises(HopError):
        Hop(application=address)


def test_a_path_of_107_bytes_is_short_enough() -> None:
    path = "/run/" + "x" * 102
    assert UnixAddress(path) == Hop(application=UnixAddress(path)).application


@pytest.mark.parametrize(
    "name", ["shop", "shop.example.org", "*.example.org", "xn--bcher-kva.example", "a_b.example", "1.2.3.4"]
)
def test_takes_names_of_sites(name: str) -> None:
    assert name == Hop(application=SOCKET, server_name=name).server_name


@pytest.mark.parametrize(
    "name",
    ["a b", "a;b", "a{", "$host", "~^.*$", "a\nb", "bücher.example", "-a", "a-", "a..b", ".a", "a.", "*", "a*", "*.*.b", '"', "a" * 64, "a." * 130 + "a"],
)  # fmt: skip
def test_refuses_what_is_no_name_of_a_site(name: str) -> None:
    with pytest.raises(HopError):
        Hop(application=SOCKET, server_name=name)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("keep_alive", -1),
        ("keep_alive", True),
        ("keep_alive", 1.5),
        ("keep_alive", "32; evil"),
        ("upload_bytes", -1),
        ("upload_bytes", 1 << 63),
        ("idle_seconds", 0),
        ("reply_seconds", 0),
        ("connect_seconds", 10**9),
        ("workers", 0),
        ("clients", 0),
    ],
)
def test_refuses_a_number_that_means_nothing(what: str, value: object) -> None:
    with pytest.raises(HopError):
        Hop(application=SOCKET, **{what: value})  # type: ignore[arg-type]


def test_static_paths_end_with_a_slash() -> None:
    hop = Hop(application=SOCKET, static={"/static": "/srv/shop", "/a/b.c/": "/srv/b/"})
    assert {"/static/": "/srv/shop/", "/a/b.c/": "/srv/b/"} == hop.static


@pytest.mark.parametrize(
    ("url", "directory"),
    [
        ("/", "/srv"),
        ("static/", "/srv"),
        ("", "/srv"),
        ("/../", "/srv"),
        ("/a/./b/", "/srv"),
        ("//", "/srv"),
        ("/a b/", "/srv"),
        ("/a;/", "/srv"),
        ("/a{/", "/srv"),
        ("/%41/", "/srv"),
        ("/*/", "/srv"),
        ("/a\n/", "/srv"),
        ("/static/", "srv"),
        ("/static/", ""),
        ("/static/", "/srv\n}"),
    ],
)
def test_refuses_static_paths_that_mean_something_else(url: str, directory: str) -> None:
    with pytest.raises(HopError):
        Hop(application=SOCKET, static={url: directory})


@pytest.mark.parametrize("entrance", [TcpAddress("0.0.0.0", 0), TcpAddress("a;b", 80), SOCKET])
def test_refuses_an_entrance_where_nobody_can_listen(entrance: TcpAddress) -> None:
    with pytest.raises(HopError):
        Hop(application=SOCKET, entrance=entrance)


def test_the_same_hop_with_another_entrance() -> None:
    hop = Hop(application=SOCKET, server_name="shop")
    moved = hop.at(TcpAddress("127.0.0.1", 8080))
    assert (TcpAddress("127.0.0.1", 8080), "shop", SOCKET) == (
        moved.entrance,
        moved.server_name,
        moved.application,
    )
