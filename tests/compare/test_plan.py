"""The cells that factors make, and the request's bytes."""

from __future__ import annotations

from lasthop.compare.plan import Factors, Request, cells_of


def test_the_default_is_both_links_kept_alive_and_not_and_a_twin() -> None:
    cells = cells_of(Factors(["shop:app"]))
    assert [
        "unix, kept alive",
        "tcp, kept alive",
        "unix, a connection a request",
        "tcp, a connection a request",
        "unix, kept alive (again)",
    ] == list(cells)
    assert [False, False, False, False, True] == [cell.twin for cell in cells.values()]


def test_a_name_says_what_differs_and_the_link() -> None:
    cells = cells_of(Factors(["shop:app"], fronts=["nginx"], keep_alive=[True], links=["tcp"]), twin=False)
    assert ["nginx, tcp"] == list(cells)


def test_every_combination_has_a_name_of_its_own() -> None:
    factors = Factors(
        ["a:x", "b:x"], ["unix", "tcp", "tcp6"], ["direct", "nginx"], ["lasthop", "gunicorn"], [True, False],
        [1, 32], [0, 1000], [0.0, 100.0],
    )  # fmt: skip
    cells = cells_of(factors)
    assert 2 * 3 * 2 * 2 * 2 * 2 * 2 * 2 + 1 == len(cells)
    assert (
        cells["b:x, gunicorn, nginx, tcp6, a connection a request, 32 connections, 1000 bytes, 100/s"].rate
        == 100
    )


def test_a_request_says_what_the_user_said_and_what_http_needs() -> None:
    request = Request("POST", "/a?b", (("Accept", "text/html"),), b"xyz")
    assert (
        b"POST /a?b HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nUser-Agent: lasthop-compare\r\nContent-Length: 3\r\n\r\nxyz"
        == request.text(keep_alive=True)
    )


def test_the_users_own_host_stands() -> None:
    assert b"GET / HTTP/1.1\r\nhost: shop.example\r\n" in Request(headers=(("host", "shop.example"),)).text(
        keep_alive=True
    )


def test_without_keep_alive_it_asks_for_the_end_of_the_connection() -> None:
    assert Request().text(keep_alive=False).endswith(b"\r\nConnection: close\r\n\r\n")
