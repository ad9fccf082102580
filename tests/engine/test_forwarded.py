"""For whom a front says that it asks: who is believed, and what of it the application sees."""

import ipaddress
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lasthop.engine import forwarded as compiled
from tests.engine.conftest import Run
from tests.engine.running import Environ, Link, Running, Start

Proxies: Any = compiled.Proxies

# What the headers say, without a socket


def environ_of(*fields: str, **more: str) -> Environ:
    """An environ as the engine makes it of these header lines, before anybody is believed."""
    environ: Environ = {
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "inside",
        **more,
    }
    for field in fields:
        name, _, value = field.partition(":")
        key = "HTTP_" + name.upper().replace("-", "_")
        value = value.strip(" \t")
        environ[key] = f"{environ[key]},{value}" if key in environ and key != "HTTP_HOST" else value
    return environ


def believed(*fields: str, trust: Sequence[str] = (), **more: str) -> Environ:
    environ = environ_of(*fields, **more)
    Proxies(trust).believe(environ)
    return environ


def client(*fields: str, trust: Sequence[str] = (), **more: str) -> tuple[str, str | None]:
    environ = believed(*fields, trust=trust, **more)
    return environ["REMOTE_ADDR"], environ.get("REMOTE_PORT")


@pytest.mark.parametrize(
    ("fields", "address", "port"),
    [
        (["X-Forwarded-For: 203.0.113.9"], "203.0.113.9", None),
        (["X-Forwarded-For: 203.0.113.9:4711"], "203.0.113.9", "4711"),
        (["X-Forwarded-For: 2001:db8::9"], "2001:db8::9", None),
        (["X-Forwarded-For: 2001:DB8:0:0:0:0:0:9"], "2001:db8::9", None),
        (["X-Forwarded-For: [2001:db8::9]"], "2001:db8::9", None),
        (["X-Forwarded-For: [2001:db8::9]:4711"], "2001:db8::9", "4711"),
        (["X-Forwarded-For: ::ffff:203.0.113.9"], "203.0.113.9", None),
        (["X-Forwarded-For: 198.51.100.1, 203.0.113.9"], "203.0.113.9", None),
        (["X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.9"], "203.0.113.9", None),
        (["X-Forwarded-For: 198.51.100.1,203.0.113.9 , ,"], "203.0.113.9", None),
        (["X-Forwarded-For: 203.0.113.9, 10.0.0.1"], "203.0.113.9", None),
        (["X-Forwarded-For: 203.0.113.9, 10.0.0.1, 10.255.255.255, fd00::1"], "203.0.113.9", None),
        (["X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.0.0.1"], "203.0.113.9", None),
        (["X-Forwarded-For: 10.0.0.2, 10.0.0.1"], "10.0.0.2", None),
        (["X-Forwarded-For: 203.0.113.9, unix:"], "203.0.113.9", None),
        (["X-Real-IP: 203.0.113.9"], "203.0.113.9", None),
        (["X-Real-IP: 203.0.113.9", "X-Forwarded-For: 198.51.100.1, 203.0.113.9"], "203.0.113.9", None),
        (["Forwarded: for=203.0.113.9"], "203.0.113.9", None),
        (['Forwarded: For="203.0.113.9:4711"'], "203.0.113.9", "4711"),
        (['forwarded: for="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17", "4711"),
        (['Forwarded: for="[2001:db8:cafe::17]:_port"'], "2001:db8:cafe::17", None),
        (["Forwarded: for=203.0.113.9;proto=http;by=203.0.113.43"], "203.0.113.9", None),
        (["Forwarded: for=192.0.2.43, for=203.0.113.9"], "203.0.113.9", None),
        (["Forwarded: for=192.0.2.43", "Forwarded: for=203.0.113.9"], "203.0.113.9", None),
        (["Forwarded: for=203.0.113.9;by=_a, ;for=10.0.0.1; proto=http;"], "203.0.113.9", None),
        (['Forwarded: for=203.0.113.9;ext="a, for=1.2.3.4 \\" ;", for=10.0.0.1'], "203.0.113.9", None),
    ],
)
def test_the_client_is_the_right_most_hop_that_is_not_ours(
    fields: list[str], address: str, port: str | None
) -> None:
    trust = ["10.0.0.0/8", "fd00::/8", "unix"]
    assert (address, port) == client(*fields, trust=trust)


@pytest.mark.parametrize(
    "field",
    [
        "X-Forwarded-For: unknown",
        "X-Forwarded-For: 203.0.113.9, _hidden",
        "X-Forwarded-For: 203.0.113.9, unix:",
        "X-Real-IP: unix:",
        "Forwarded: for=unknown",
        "Forwarded: for=_SEVKISEK",
        'Forwarded: for="_gazonk:80"',
        "Forwarded: for=203.0.113.9, for=unknown",
    ],
)
def test_a_client_that_the_front_does_not_know_is_nobody_and_not_the_front(field: str) -> None:
    assert ("", None) == client(field, REMOTE_ADDR="10.0.0.1", REMOTE_PORT="4711")


@pytest.mark.parametrize(
    "field",
    [
        "X-Forwarded-For: nobody",
        "X-Forwarded-For: 203.0.113.9, nobody",
        "X-Forwarded-For: 203.0.113.256",
        "X-Forwarded-For: 203.0.113",
        "X-Forwarded-For: 0x7f.1",
        "X-Forwarded-For: 2130706433",
        "X-Forwarded-For: 0127.0.0.01",
        "X-Forwarded-For: 203.0.113.9:",
        "X-Forwarded-For: 203.0.113.9:0",
        "X-Forwarded-For: 203.0.113.9:65536",
        "X-Forwarded-For: 203.0.113.9:80:80",
        "X-Forwarded-For: 203.0.113.9 4711",
        "X-Forwarded-For: [2001:db8::9",
        "X-Forwarded-For: [203.0.113.9]",
        "X-Forwarded-For: [2001:db8::9]4711",
        "X-Forwarded-For: [2001:db8::9]:",
        "X-Forwarded-For: fe80::1%eth0",
        "X-Forwarded-For: 2001:db8::9::1",
        "X-Forwarded-For: " + "1" * 60,
        "X-Forwarded-For: _",
        "X-Forwarded-For: _a b",
        "X-Forwarded-For: for=203.0.113.9",
        'X-Forwarded-For: "203.0.113.9"',
        "X-Forwarded-For: 203.0.113.9\xa0",
        "X-Forwarded-For: 203.0.113.9, nobody, 10.0.0.1",
        "X-Real-IP: 203.0.113.9, 203.0.113.8",
        "X-Real-IP: 203.0.113.9/32",
        "Forwarded: 203.0.113.9",
        "Forwarded: for",
        "Forwarded: for=",
        'Forwarded: for=""',
        'Forwarded: for="203.0.113.9',
        'Forwarded: for=203.0.113.9"',
        "Forwarded: for=2001:db8::9",
        'Forwarded: for="2001:db8::9"',
        "Forwarded: for=203.0.113.9:80",
        "Forwarded: for=203.0.113.9 proto=http",
        "Forwarded: for=203.0.113.9;for=203.0.113.9",
        "Forwarded: for=203.0.113.9;proto=http;proto=http",
        "Forwarded: for =203.0.113.9",
        "Forwarded: for= 203.0.113.9",
        "Forwarded: for=203.0.113.9;proto=gopher",
        'Forwarded: for=203.0.113.9;host="a b"',
        'Forwarded: for=203.0.113.9;host="a:99999"',
        'Forwarded: for="203.0.113\\.9"',
        'Forwarded: for="unix:"',
        "Forwarded: for=203.0.113.9;=b",
        "Forwarded: for=203.0.113.9;b",
    ],
)
def test_what_is_malformed_counts_for_nothing_and_does_not_reach_the_application(field: str) -> None:
    environ = environ_of(field, REMOTE_ADDR="10.0.0.1", REMOTE_PORT="4711")
    said = Proxies(["10.0.0.0/8"]).believe(environ)
    assert environ == environ_of(REMOTE_ADDR="10.0.0.1", REMOTE_PORT="4711")
    assert [("malformed")] == [kind for kind, _ in said]


@pytest.mark.parametrize(
    "field",
    [
        "X-Forwarded-For: garbage, 203.0.113.9",
        'X-Forwarded-For: ", 203.0.113.9',
        'Forwarded: for=", for=203.0.113.9',
        'Forwarded: for="\\", for=203.0.113.9',
        'Forwarded: for="x, for="203.0.113.9"',
        'Forwarded: for=1.2.3.4;ext="\\\\\\", for=203.0.113.9;proto=http',
        "Forwarded: ;;=,,for=203.0.113.9",
    ],
)
def test_what_a_client_wrote_before_the_fronts_own_word_cannot_hide_it(field: str) -> None:
    assert "203.0.113.9" == client(field)[0]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["X-Forwarded-Proto: https"], ("https", "inside", "inside", "443")),
        (["X-Forwarded-Proto: HTTPS"], ("https", "inside", "inside", "443")),
        (["X-Forwarded-Proto: wss"], ("https", "inside", "inside", "443")),
        (["X-Forwarded-Proto: http"], ("http", "inside", "inside", "80")),
        (["X-Forwarded-Proto: gopher"], ("http", "inside", "localhost", "80")),
        (["X-Forwarded-Host: example.org"], ("http", "example.org", "example.org", "80")),
        (["X-Forwarded-Host: example.org:8443"], ("http", "example.org:8443", "example.org", "8443")),
        (["X-Forwarded-Host: [2001:db8::1]:81"], ("http", "[2001:db8::1]:81", "2001:db8::1", "81")),
        (["X-Forwarded-Host: [2001:db8::1]"], ("http", "[2001:db8::1]", "2001:db8::1", "80")),
        (["X-Forwarded-Host: a/b"], ("http", "inside", "localhost", "80")),
        (["X-Forwarded-Host: a:99999"], ("http", "inside", "localhost", "80")),
        (["X-Forwarded-Host: a:"], ("http", "inside", "localhost", "80")),
        (["X-Forwarded-Host: a\tb"], ("http", "inside", "localhost", "80")),
        (["X-Forwarded-Port: 8443"], ("http", "inside", "inside", "8443")),
        (["X-Forwarded-Port: 0"], ("http", "inside", "localhost", "80")),
        (["X-Forwarded-Port: 65536"], ("http", "inside", "localhost", "80")),
        (["X-Forwarded-Port: +80"], ("http", "inside", "localhost", "80")),
        (["Host: a:81", "X-Forwarded-Proto: https"], ("https", "a:81", "a", "81")),
        (["Host: a:81", "X-Forwarded-Port: 82"], ("http", "a:81", "a", "82")),
        (["Forwarded: proto=https;host=example.org"], ("https", "example.org", "example.org", "443")),
        (
            ['Forwarded: for=1.2.3.4;proto=https;host="example.org:8443"'],
            ("https", "example.org:8443", "example.org", "8443"),
        ),
        (
            ["Forwarded: for=203.0.113.9;proto=https;host=a, for=10.0.0.1;proto=http;host=b"],
            ("https", "a", "a", "443"),
        ),
        (
            ["Forwarded: for=1.2.3.4;host=a;proto=http, for=203.0.113.9"],
            ("http", "inside", "localhost", "80"),
        ),
    ],
)
def test_scheme_and_host_are_the_clients(fields: list[str], expected: tuple[str, str, str, str]) -> None:
    environ = believed(*fields, trust=["10.0.0.0/8"])
    keys = ("wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT")
    assert expected == tuple(environ[key] for key in keys)


def test_an_http_1_0_request_without_a_host_keeps_the_servers_name() -> None:
    environ = environ_of("X-Forwarded-Proto: https")
    del environ["HTTP_HOST"]
    Proxies(()).believe(environ)
    assert ("localhost", "443", None) == (
        environ["SERVER_NAME"],
        environ["SERVER_PORT"],
        environ.get("HTTP_HOST"),
    )


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [
        ("https", "https"),
        ("https, http", "https"),
        ("http, https, http", "https"),
        ("http, https", "http"),
        ("https, http, http, http", "http"),
    ],
)
def test_of_a_list_of_schemes_the_hop_that_saw_the_client_counts(proto: str, scheme: str) -> None:
    """The client is the last but one of X-Forwarded-For: so is its scheme, counted from the end, unless there is only one."""
    fields = ("X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.0.0.1", f"X-Forwarded-Proto: {proto}")
    assert scheme == believed(*fields, trust=["10.0.0.0/8"])["wsgi.url_scheme"]


def test_a_list_of_schemes_that_is_shorter_than_the_hops_counts_for_nothing() -> None:
    fields = ("X-Forwarded-For: 203.0.113.9, 10.0.0.2, 10.0.0.1", "X-Forwarded-Proto: https, http")
    environ = believed(*fields, trust=["10.0.0.0/8"])
    assert ("http", False) == (environ["wsgi.url_scheme"], "HTTP_X_FORWARDED_PROTO" in environ)


def test_x_forwarded_wins_over_forwarded_and_what_loses_is_gone() -> None:
    environ = environ_of("X-Forwarded-For: 203.0.113.9", "Forwarded: for=198.51.100.1;host=evil")
    assert [("disagree", "")] == Proxies(()).believe(environ)
    assert ("203.0.113.9", "inside", False) == (
        environ["REMOTE_ADDR"],
        environ["HTTP_HOST"],
        "HTTP_FORWARDED" in environ,
    )


@pytest.mark.parametrize("proto", ["https", "http"])
def test_a_forwarded_that_disagrees_on_the_scheme_is_gone(proto: str) -> None:
    environ = believed("X-Forwarded-Proto: https", f"Forwarded: for=203.0.113.9;proto={proto}")
    assert ("https", "", proto == "https") == (
        environ["wsgi.url_scheme"],
        environ["REMOTE_ADDR"],
        "HTTP_FORWARDED" in environ,
    )


def test_both_that_agree_stay() -> None:
    environ = environ_of("X-Forwarded-For: 2001:db8::1", 'Forwarded: for="[2001:DB8::1]:80"')
    assert None is Proxies(()).believe(environ)
    assert ("2001:db8::1", True) == (environ["REMOTE_ADDR"], "HTTP_FORWARDED" in environ)


def test_an_x_real_ip_that_is_neither_the_client_nor_the_last_hop_is_gone() -> None:
    fields = "X-Forwarded-For: 203.0.113.9, 10.0.0.1"
    kept = [
        "HTTP_X_REAL_IP" in believed(fields, f"X-Real-IP: {real}", trust=["10.0.0.0/8"])
        for real in ("203.0.113.9", "10.0.0.1", "198.51.100.1", "unknown")
    ]
    assert [True, True, False, False] == kept


def test_what_is_believed_stays_as_it_came() -> None:
    fields = ("X-Forwarded-For: 1.2.3.4, 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: a")
    environ, raw = believed(*fields), environ_of(*fields)
    names = [name for name in raw if name.startswith("HTTP_X_")]
    assert [raw[name] for name in names] == [environ[name] for name in names]


def test_empty_values_say_nothing() -> None:
    fields = ("X-Forwarded-For:", "X-Forwarded-Proto:", "X-Forwarded-Host:", "X-Real-IP:", "Forwarded:")
    environ = environ_of(*fields)
    assert None is Proxies(()).believe(environ)
    assert ("", "http", "inside") == (
        environ["REMOTE_ADDR"],
        environ["wsgi.url_scheme"],
        environ["HTTP_HOST"],
    )


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_any_number_of_hops(count: int) -> None:
    hops = ", ".join(["203.0.113.9"] + [f"10.0.{number >> 8}.{number & 255}" for number in range(count)])
    assert "203.0.113.9" == client(f"X-Forwarded-For: {hops}", trust=["10.0.0.0/8"])[0]
    elements = ", ".join(f"for={hop.strip()};proto=https" for hop in hops.split(","))
    assert "203.0.113.9" == client(f"Forwarded: {elements}", trust=["10.0.0.0/8"])[0]


@pytest.mark.parametrize(
    ("trust", "inside", "outside"),
    [
        (
            "10.0.0.0/8",
            ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
            ["9.255.255.255", "11.0.0.0", "::10.0.0.1"],
        ),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
        ("192.0.2.6/31", ["192.0.2.6", "192.0.2.7"], ["192.0.2.5", "192.0.2.8"]),
        ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::1", "2001:db8::1"]),
        ("2001:db8::/33", ["2001:db8::", "2001:db8:7fff::1"], ["2001:db8:8000::", "2001:db9::"]),
        ("::1", ["::1"], ["::", "::2", "127.0.0.1"]),
        ("::/0", ["::1", "192.0.2.1"], []),
        ("unix", ["unix:"], ["127.0.0.1"]),
    ],
)
def test_networks(trust: str, inside: list[str], outside: list[str]) -> None:
    proxies = Proxies([trust])
    assert [True] * len(inside) + [False] * len(outside) == [each in proxies for each in inside + outside]


# Whatever a peer sends

BYTES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)
ADDRESSES = st.ip_addresses().map(str)
NODES = st.one_of(
    ADDRESSES,
    st.sampled_from(["unknown", "_x", "10.0.0.1", "203.0.113.9:80", "[::1]:80", "unix:", "", '"', "\\"]),
    BYTES,
)
PAIRS = st.builds(
    "{}={}".format,
    st.sampled_from(["for", "proto", "host", "by", "FOR", "x", ""]),
    st.one_of(NODES, NODES.map('"{}"'.format), st.sampled_from(["http", "https", "a:1"])),
)
ELEMENTS = st.lists(PAIRS, max_size=4).map(";".join)


@settings(deadline=None)
@given(
    xff=st.lists(NODES, max_size=5).map(",".join),
    forwarded=st.one_of(BYTES, st.lists(ELEMENTS, max_size=4).map(",".join)),
    proto=st.one_of(BYTES, st.sampled_from(["http", "https", "https,http"])),
    host=BYTES,
    port=BYTES,
    real=NODES,
)
@example(xff="", forwarded='for="', proto="", host="", port="", real="")
@example(xff="[", forwarded='"', proto=",", host="[", port=",", real="[")
def test_whatever_comes_the_environ_stays_one(
    xff: str, forwarded: str, proto: str, host: str, port: str, real: str
) -> None:
    environ = believed(
        f"X-Forwarded-For:{xff}",
        f"Forwarded:{forwarded}",
        f"X-Forwarded-Proto:{proto}",
        f"X-Forwarded-Host:{host}",
        f"X-Forwarded-Port:{port}",
        f"X-Real-IP:{real}",
        trust=["10.0.0.0/8", "unix"],
    )
    if environ["REMOTE_ADDR"]:
        ipaddress.ip_address(environ["REMOTE_ADDR"])
    assert environ["wsgi.url_scheme"] in ("http", "https")
    assert 1 <= int(environ["SERVER_PORT"]) <= 65535
    assert environ["HTTP_HOST"]
    assert environ["SERVER_NAME"]


@settings(deadline=None)
@given(
    hops=st.lists(ADDRESSES, min_size=1, max_size=6),
    ours=st.lists(st.sampled_from(["10.0.0.1", "fd00::1"]), max_size=4),
    junk=BYTES.map(lambda text: text.replace(",", "")),
)
def test_the_two_forms_of_the_same_chain_say_the_same_whatever_a_client_put_before(
    hops: list[str], ours: list[str], junk: str
) -> None:
    trust = ["10.0.0.1", "fd00::1", "fd00::/64"]
    outside = [hop for hop in hops if hop not in Proxies(trust)] or ["203.0.113.9"]
    chain = [*outside, *ours]
    quoted = [f'for="[{hop}]"' if ":" in hop else f"for={hop}" for hop in chain]
    one = client(f"X-Forwarded-For: {','.join([junk, *chain])}", trust=trust)
    other = client(f"Forwarded: {','.join([junk, *quoted])}", trust=trust)
    assert one == other
    assert outside[-1] in Proxies([one[0]])


# Over real sockets: whose word it is


def telling(environ: Environ, start_response: Start) -> list[bytes]:
    start_response("200 OK", [])
    return [json.dumps({key: value for key, value in environ.items() if isinstance(value, str)}).encode()]


SPOOFED = [
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: example.org",
    "X-Forwarded-Port: 444",
    "X-Real-IP: 203.0.113.9",
    "Forwarded: for=203.0.113.9",
    "x-forwarded-for: 203.0.113.8",
    "X-Forwarded-Prefix: /admin",
    "X-Forwarded-Ssl: on",
    "X-Forwarded-Whatever: 1",
    "X-FORWARDEDNESS: 1",
    "X-Scheme: https",
    "X-Url-Scheme: https",
    "Front-End-Https: on",
    "True-Client-IP: 203.0.113.9",
    "CF-Connecting-IP: 203.0.113.9",
]


def told(running: Running, *fields: str, link: Link = "unix") -> dict[str, str]:
    reply = running.ask("\r\n".join(["GET / HTTP/1.1", "Host: a", *fields, "", ""]).encode("latin-1"), link)
    assert 200 == reply.status
    facts: dict[str, str] = json.loads(reply.body)
    return facts


@pytest.mark.parametrize("link", ["unix", "tcp", "tcp6"])
def test_from_whoever_is_not_trusted_nothing_of_it_reaches_the_application(run: Run, link: Link) -> None:
    running = run(telling, trust_proxy=["10.0.0.0/8"])
    plain, spoofed = told(running, link=link), told(running, *SPOOFED, link=link)
    for facts in (plain, spoofed):
        facts.pop("REMOTE_PORT", None)
    assert plain == spoofed


@pytest.mark.parametrize("link", ["unix", "tcp", "tcp6"])
def test_spelled_with_underscores_it_reaches_the_application_from_nobody(run: Run, link: Link) -> None:
    running = run(telling, believed=True, trust_proxy=["127.0.0.0/8", "::1"])
    plain = told(running, link=link)
    spoofed = told(
        running, "X_Forwarded_For: 1.2.3.4", "X_Real-IP: 1.2.3.4", "x_forwarded_proto: https", link=link
    )
    for facts in (plain, spoofed):
        facts.pop("REMOTE_PORT", None)
    assert plain == spoofed


def test_beside_the_fronts_own_header_another_spelling_is_refused(run: Run) -> None:
    running = run(telling, believed=True)
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 5.6.7.8\r\n\r\n"
    assert 400 == running.ask(request).status


@pytest.mark.parametrize(
    ("link", "options"),
    [
        ("unix", {"believed": True}),
        ("tcp", {"trust_proxy": ["127.0.0.1"]}),
        ("tcp", {"trust_proxy": ["10.0.0.0/8", "127.0.0.0/8"]}),
        ("tcp6", {"trust_proxy": ["::1"]}),
    ],
)
def test_from_a_trusted_peer_it_is_put_where_it_belongs(
    run: Run, link: Link, options: dict[str, Any]
) -> None:
    facts = told(
        run(telling, **options),
        "X-Forwarded-For: 198.51.100.1, 203.0.113.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: example.org",
        link=link,
    )
    assert {
        "REMOTE_ADDR": "203.0.113.9",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "example.org",
        "SERVER_NAME": "example.org",
        "SERVER_PORT": "443",
        "HTTP_X_FORWARDED_FOR": "198.51.100.1, 203.0.113.9",
        "REMOTE_PORT": None,
    } == {
        key: facts.get(key)
        for key in (
            "REMOTE_ADDR",
            "wsgi.url_scheme",
            "HTTP_HOST",
            "SERVER_NAME",
            "SERVER_PORT",
            "HTTP_X_FORWARDED_FOR",
            "REMOTE_PORT",
        )
    }


def test_each_request_of_a_connection_speaks_for_itself(run: Run, threads: int) -> None:
    running = run(telling, threads, believed=True)
    peer = running.connect()
    seen = []
    for number in range(50):
        for field in (f"X-Forwarded-For: 203.0.113.{number}\r\n", ""):
            peer.send(f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n".encode())
            seen.append(json.loads(peer.reply().body)["REMOTE_ADDR"])
    assert [address for number in range(50) for address in (f"203.0.113.{number}", "")] == seen


def test_the_log_of_requests_has_the_clients_address(run: Run) -> None:
    seen: list[str] = []
    running = run(
        telling,
        believed=True,
        access=lambda environ, status, size, seconds: seen.append(environ["REMOTE_ADDR"]),
    )
    told(running, "X-Forwarded-For: 203.0.113.9")
    assert ["203.0.113.9"] == seen


@pytest.mark.parametrize(
    ("fields", "link", "options", "kinds"),
    [
        ([], "unix", {}, ["unnamed"]),
        ([], "unix", {"believed": True}, ["unnamed"]),
        ([], "tcp", {}, []),
        (["X-Forwarded-For: 203.0.113.9"], "unix", {}, ["unbelieved"]),
        (["X-Forwarded-For: 203.0.113.9"], "tcp", {}, ["unbelieved"]),
        (["X-Forwarded-For: 203.0.113.9"], "unix", {"believed": True}, []),
        (["X-Forwarded-For: who"], "unix", {"believed": True}, ["malformed"]),
        (["X-Real-IP: 1.2.3.4", "Forwarded: for=1.2.3.5"], "unix", {"believed": True}, ["disagree"]),
    ],
)
def test_what_somebody_should_know_is_told_once(
    run: Run, fields: list[str], link: Link, options: dict[str, Any], kinds: list[str]
) -> None:
    seen: list[str] = []
    running = run(telling, on_notice=lambda kind, environ, more: seen.append(kind), **options)
    for _ in range(3):
        told(running, *fields, link=link)
    assert kinds == seen


def test_a_notice_that_fails_does_not_harm_the_request(run: Run) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    running = run(telling, on_notice=fail)
    assert "" == told(running)["REMOTE_ADDR"]
    assert ["a notice could not be told"] == [line.splitlines()[0] for line in running.said]
