"""Kinds of values: what is read, what is refused, and that what is written reads back as the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasthop import kinds
from lasthop.kinds import Kind, Misfit


def kind(annotated: Any) -> Kind:
    found = annotated.__metadata__[0]
    assert isinstance(found, Kind)
    return found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        ("1.5", 1.5),
        ("1500ms", 1.5),
        ("2m", 120.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        (30, 30.0),
        (0.25, 0.25),
    ],
)
def test_reads_durations(text: object, seconds: float) -> None:
    assert seconds == kind(kinds.Seconds).read(text)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "1 s", "30sec", "1e3", "nan", "inf", "٣", True, None, float("nan"), float("inf"), [30]],
)
def test_refuses_what_is_no_duration(text: object) -> None:
    with pytest.raises(Misfit):
        kind(kinds.Seconds).read(text)


def test_zero_is_a_duration_only_where_it_has_a_meaning() -> None:
    assert 0.0 == kind(kinds.SecondsOrZero).read("0")
    with pytest.raises(Misfit, match="above 0"):
        kind(kinds.Seconds).read("0")


@given(st.integers(min_value=1, max_value=365 * 86_400_000))
def test_a_duration_that_is_written_reads_back_as_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert seconds == pytest.approx(kind(kinds.Seconds).read(kinds.show_seconds(seconds)))


@pytest.mark.parametrize(
    ("text", "size"),
    [("8190", 8190), ("8k", 8192), ("8K", 8192), ("64KiB", 65536), ("1MiB", 1 << 20), ("1g", 1 << 30)],
)
def test_reads_sizes(text: str, size: int) -> None:
    assert size == kind(kinds.BytesOrZero).read(text)


@pytest.mark.parametrize(
    "text", ["", "0", "63", "-1", "8kB", "1.5m", "1 MiB", "8192.0", 8192.0, True, None, "9" * 30]
)
def test_refuses_what_is_no_size(text: object) -> None:
    with pytest.raises(Misfit):
        kind(kinds.HeadBytes).read(text)


@given(st.integers(min_value=64, max_value=kinds.MOST_BYTES))
def test_a_size_that_is_written_reads_back_as_the_same(size: int) -> None:
    assert size == kind(kinds.BytesOrZero).read(kinds.show_bytes(size))


@pytest.mark.parametrize(
    ("word", "value"),
    [("true", True), ("YES", True), ("on", True), ("1", True), ("off", False), ("0", False), (True, True)],
)
def test_reads_switches(word: object, value: bool) -> None:
    assert value is kind(kinds.Switch).read(word)


@pytest.mark.parametrize("word", ["ture", "", "2", 1, None])
def test_a_switch_takes_nothing_else_for_off(word: object) -> None:
    with pytest.raises(Misfit, match="true or false"):
        kind(kinds.Switch).read(word)


@pytest.mark.parametrize(("value", "workers"), [("auto", "auto"), ("4", 4), (4, 4)])
def test_reads_a_number_of_workers(value: object, workers: object) -> None:
    assert workers == kind(kinds.Workers).read(value)


@pytest.mark.parametrize("value", ["0", 0, "-1", "Auto", "1.0", 1.0, True, "99999"])
def test_refuses_what_is_no_number_of_workers(value: object) -> None:
    with pytest.raises(Misfit):
        kind(kinds.Workers).read(value)


def test_a_wrong_address_among_right_ones_is_the_one_that_is_named() -> None:
    with pytest.raises(Misfit) as caught:
        kind(kinds.Addresses).read(["127.0.0.1:8000", "8000"])
    assert "8000" == caught.value.part


def test_an_address_twice_is_refused() -> None:
    with pytest.raises(Misfit, match="twice"):
        kind(kinds.Addresses).read(["127.0.0.1:8000", "127.0.0.1:8000"])


def test_an_empty_text_unsets_what_may_be_unset() -> None:
    assert None is kind(kinds.OptionalPath).read("")
    assert None is kind(kinds.OptionalLogFile).read("")
    assert None is kind(kinds.Descriptor).read("")
    with pytest.raises(Misfit):
        kind(kinds.Text).read("")


@pytest.mark.parametrize(
    ("value", "peers"),
    [
        ("www-data", ("www-data",)),
        (["www-data, gid:33", "user:ada"], ("www-data", "gid:33", "ada")),
        (["www-data", "www-data"], ("www-data",)),
        ([], ()),
    ],
)
def test_reads_who_may_connect(value: object, peers: tuple[str, ...]) -> None:
    assert peers == kind(kinds.Peers).read(value)


@pytest.mark.parametrize(
    "value",
    ["", "33", 33, ["www-data", ""], ["www-data", 33], "www-data,", None, [f"uid:{n}" for n in range(65)]],
)
def test_refuses_what_could_let_in_whom_nobody_named(value: object) -> None:
    with pytest.raises(Misfit):
        kind(kinds.Peers).read(value)


@pytest.mark.parametrize(
    ("value", "proxies"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        ("127.0.0.1,10.0.0.0/8", ("127.0.0.1", "10.0.0.0/8")),
        (["127.0.0.1/32", "::1", "unix"], ("127.0.0.1", "::1", "unix")),
        (["2001:DB8::/32"], ("2001:db8::/32",)),
        (["0.0.0.0/0"], ("0.0.0.0/0",)),
        ([], ()),
    ],
)
def test_reads_whom_to_believe(value: object, proxies: tuple[str, ...]) -> None:
    assert proxies == kind(kinds.Proxies).read(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "*",
        "localhost",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0",
        "unix:",
        "Unix",
        2130706433,
        None,
        ["::1", ""],
        ["10.0.0.0/-1"],
    ],
)
def test_refuses_what_is_no_address_to_believe(value: object) -> None:
    with pytest.raises(Misfit):
        kind(kinds.Proxies).read(value)


def test_a_network_with_bits_after_its_prefix_is_answered_with_the_one_that_may_be_meant() -> None:
    with pytest.raises(Misfit) as caught:
        kind(kinds.Proxies).read("10.1.2.3/8")
    assert "10.0.0.0/8" == caught.value.hint


@pytest.mark.parametrize(
    ("value", "version"), [("off", "off"), ("V1", "v1"), ("v2", "v2"), ("on", "on"), (False, "off")]
)
def test_reads_a_version_of_the_proxy_protocol(value: object, version: str) -> None:
    assert version == kind(kinds.ProxyProtocol).read(value)


@pytest.mark.parametrize("value", [True, "yes", "1", 2, "v3", None])
def test_refuses_what_is_no_version_of_the_proxy_protocol(value: object) -> None:
    with pytest.raises(Misfit):
        kind(kinds.ProxyProtocol).read(value)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("auto", "auto"),
        ("None", "none"),
        (False, "none"),
        ("", "none"),
        ("127.0.0.1:9100", "127.0.0.1:9100"),
        ("unix:/run/a/status.sock?mode=0660&group=web", "unix:/run/a/status.sock?mode=0660&group=web"),
        ("unix:@a", "unix:@a"),
    ],
)
def test_reads_where_the_status_is_told(value: object, address: str) -> None:
    assert address == kind(kinds.StatusAddress).read(value)


@pytest.mark.parametrize("value", [True, 9100, "9100", "fd:3", "systemd", "unix:/a?mode=9"])
def test_refuses_where_no_status_can_be_told(value: object) -> None:
    with pytest.raises(Misfit):
        kind(kinds.StatusAddress).read(value)


@pytest.mark.parametrize("text", ["shop", "/shop\n", "/a\0b", 7])
def test_refuses_what_is_no_root_path(text: object) -> None:
    with pytest.raises(Misfit):
        kind(kinds.RootPath).read(text)
    assert "/mein café" == kind(kinds.RootPath).read("/mein café/")
