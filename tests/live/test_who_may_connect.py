"""Who may connect and who is believed, with a real nginx whose workers are www-data, over both links, before Flask and Django."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lasthop.demo.serving import Serving
from tests.conftest import said_by

from .curl import curl
from .fronts import Front, missing

HERE = Path(__file__).resolve().parent

SAYS = """
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto https;
    proxy_set_header X-Forwarded-Host shop.example;
"""
"""As a front says it that has TLS: what it claims is only to be seen if it is believed."""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can start nginx with workers of another user"
)


def www_data() -> int:
    try:
        return pwd.getpwnam("www-data").pw_uid
    except KeyError:
        pytest.skip("there is no user www-data here")


class Place:
    """A server, and nginx with workers of www-data before it."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self._stack = stack
        self._directory = directory
        self._count = 0

    def serve(self, framework: str, *options: str, module: str = "") -> Serving:
        pytest.importorskip(framework)
        self._count += 1
        path = self._directory / f"{self._count}.sock"
        server = Serving(
            f"applications.{module or f'{framework}_site'}:application",
            *options,
            bind=[f"unix:{path}", "127.0.0.1:0"],
            log=self._directory / f"{self._count}.log",
            cwd=HERE,
            env={name: value for name, value in os.environ.items() if not name.startswith("LASTHOP_")}
            | {"LIVE_FILE": "/dev/null", "LIVE_FRAMEWORK": framework},
        )
        return self._stack.enter_context(server)

    def front(self, address: str, location: str = SAYS) -> str:
        if missing("nginx"):
            pytest.skip("nginx is not installed")
        self._count += 1
        place = self._directory / f"nginx-{self._count}"
        place.mkdir()
        place.chmod(0o777)
        front = Front("nginx-kept", address, place)
        configuration = place / "configuration"
        text = configuration.read_text().replace("user root;", "user www-data;")
        configuration.write_text(
            text.replace("proxy_next_upstream off;", "proxy_next_upstream off;" + location)
        )
        return self._stack.enter_context(front).address


@pytest.fixture
def place(short_directory: Path) -> Iterator[Place]:
    short_directory.chmod(0o755)
    with ExitStack() as stack:
        yield Place(stack, short_directory)


def seen(address: str, *words: str) -> dict[str, object]:
    reply = curl(address, "/client", *words)
    assert 200 == reply.status
    facts: dict[str, object] = json.loads(reply.body)
    return facts


@pytest.fixture(params=["flask", "django"])
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


CLIENT = {
    "address": "127.0.0.1",
    "secure": True,
    "host": "shop.example",
    "url": "https://shop.example/client",
}
"""What a framework says of a client of nginx that is believed. nginx adds the address to what the client claimed of itself."""

SPOOFED = ["-H", "X-Forwarded-For: 203.0.113.66", "-H", "X-Forwarded-Host: evil.example"]
MORE = [
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 444",
    "X-Forwarded-Prefix: /admin",
]


TRUSTED = {"unix": ["--allow-peer", "www-data"], "tcp": ["--trust-proxy", "127.0.0.1"]}


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_frameworks_see_the_client_of_a_front_that_is_trusted(
    place: Place, framework: str, link: str
) -> None:
    server = place.serve(framework, *TRUSTED[link])
    if link == "unix":
        Path(server.unix.removeprefix("unix:")).chmod(0o666)
        facts = seen(place.front(server.unix), *SPOOFED)
    else:
        # Here the client of nginx is 127.0.0.1, too, and trusted: what it said before would count.
        facts = seen(place.front(server.tcp))
    peer = facts.pop("peer")
    assert facts == CLIENT
    assert (www_data() if link == "unix" else None) == (peer and peer[1])  # type: ignore[index]


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_proxyfix_and_its_like_are_not_fooled_by_somebody_who_is_not_trusted(
    place: Place, framework: str, link: str
) -> None:
    server = place.serve(framework, module="believing")
    address = server.unix if link == "unix" else server.tcp
    plain = seen(address)
    spoofed = seen(
        address,
        *SPOOFED,
        *(word for field in MORE for word in ("-H", field)),
        "-H",
        "Forwarded: for=203.0.113.66",
    )
    for facts in (plain, spoofed):
        facts.pop("peer")
    assert plain == spoofed


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_proxyfix_and_its_like_still_work_behind_a_front_that_is_trusted(
    place: Place, framework: str, link: str
) -> None:
    server = place.serve(framework, *TRUSTED[link], module="believing")
    Path(server.unix.removeprefix("unix:")).chmod(0o666)
    front = place.front(
        server.unix if link == "unix" else server.tcp,
        SAYS.replace("$proxy_add_x_forwarded_for", "$remote_addr"),
    )
    facts = seen(front, *SPOOFED)
    facts.pop("peer")
    assert CLIENT == facts


def test_a_front_that_is_named_comes_in_and_everybody_else_does_not(place: Place) -> None:
    server = place.serve("flask", "--allow-peer", "www-data")
    Path(server.unix.removeprefix("unix:")).chmod(0o666)
    assert 200 == curl(place.front(server.unix), "/client").status
    with pytest.raises(AssertionError):
        curl(server.unix, "/client")
    said_by(server, "whom --allow-peer does not name")


def test_a_front_that_is_not_named_gets_no_answer_and_its_client_a_502(place: Place) -> None:
    server = place.serve("flask", "--allow-peer", "uid:41001")
    Path(server.unix.removeprefix("unix:")).chmod(0o666)
    assert 502 == curl(place.front(server.unix), "/client").status
    said_by(server, f"(uid {www_data()}, ")
    said_by(server, "nginx: worker process")


def test_a_front_that_is_not_believed_is_told_of_with_the_option_that_it_needs(place: Place) -> None:
    server = place.serve("flask")
    Path(server.unix.removeprefix("unix:")).chmod(0o666)
    facts = seen(place.front(server.unix))
    assert ("", False) == (facts["address"], facts["secure"])
    said_by(server, "--allow-peer www-data")


def test_a_front_that_says_nothing_is_told_of(place: Place) -> None:
    server = place.serve("flask")
    Path(server.unix.removeprefix("unix:")).chmod(0o666)
    seen(place.front(server.unix, ""))
    said_by(server, "proxy_set_header X-Forwarded-For $remote_addr;")
