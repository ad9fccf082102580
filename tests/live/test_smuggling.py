"""Request smuggling: what nginx, Apache, HAProxy and Caddy forward never becomes two requests in lasthop.

The application gives a number to each request that it sees, and its reply says it. So for each connection of a client two lists can be laid
side by side: the requests that the application saw, and the replies that the front passed on. A request that was smuggled is on the first alone (its
reply goes to somebody else, or to nobody), or asks for what is only in a body. The fronts are also tried with everything switched on that makes them
pass on what they would refuse.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving

from .conftest import Before, Run
from .curl import curl
from .payloads import HONEST, PAYLOADS, TOLERATED
from .raw import connect, until_quiet
from .watching import counters, until

STRICT = ["nginx", "nginx-kept", "nginx-lax", "apache", "apache-lax", "haproxy"]
LENIENT = ["haproxy-lax", "caddy"]
"""Caddy goes on with a connection after a length and chunked together, and HAProxy, when told to, passes over `Content-Length : 5`. They themselves
take what follows for a second request, and answer it to who sent it: the application must see it as often as they do, not less."""

QUIET_SECONDS = 0.4
"""A front that waits for more than a payload has says nothing for so long; then nothing more is expected."""


def name_of(number: int) -> str:
    """Eight characters that no other payload has: payloads count on the length."""
    return f"n{number:07d}"


def exchange(address: str, payload: bytes) -> bytes:
    """Send, and take what comes until the front ends the connection or says nothing."""
    with connect(address) as client:
        client.sendall(payload)
        return until_quiet(client, QUIET_SECONDS)


@pytest.fixture(scope="module")
def server(run: Run) -> Serving:
    return run("applications.recorder:application", "--body-timeout", "2")


@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("kind", STRICT + LENIENT)
def test_what_a_front_forwards_never_becomes_two_requests(
    server: Serving, before: Before, kind: str, link: str
) -> None:
    front = before(kind, server.unix if link == "unix" else server.tcp)
    assert [] == disagreements(server, front.address, lenient=kind in LENIENT)


@pytest.mark.parametrize("link", ["unix", "tcp"])
def test_what_comes_without_a_front_never_becomes_two_requests(server: Serving, link: str) -> None:
    assert [] == disagreements(server, server.unix if link == "unix" else server.tcp)


def disagreements(server: Serving, address: str, *, lenient: bool = False) -> list[str]:
    """Send all payloads; what the application saw and the one who answers did not pass on, or should not have."""
    base = len(json.loads(curl(server.unix, "/seen").body)) * 1000 + 1
    texts = PAYLOADS | HONEST | TOLERATED
    names = {name_of(base + number): what for number, what in enumerate(texts)}

    def send(name: str) -> bytes:
        said = exchange(address, texts[names[name]].replace("@", name).encode("latin-1"))
        # A front's connections are shared: what is left on one would be answered to somebody else.
        connection = Connection(address)
        for number in range(3):
            connection.request("GET", f"/innocent/{name}/{number}")
            answered = connection.getresponse().read().decode("latin-1")
            assert f"by /innocent/{name}/{number}]" in answered, names[name]
        connection.close()
        return said

    with ThreadPoolExecutor(32) as pool:
        replies = dict(zip(names, pool.map(send, names), strict=True))
    until(lambda: counters(server.pid)["busy"] == 0, "bodies that do not come are given up")

    seen = json.loads(curl(server.unix, "/seen").body)
    wrong = []
    for name, what in names.items():
        own = [each for each in seen if name in each["uri"] and "/innocent/" not in each["uri"]]
        asked = [int(number) for number in re.findall(rb"\[seen as (\d+) by", replies[name])]
        if not lenient and any(each["uri"].startswith("/smuggled/") for each in own):
            wrong.append(f"{what}: smuggled: {own}")
        if asked != [each["number"] for each in own]:
            wrong.append(
                f"{what}: the application saw {own}, the client was answered {asked}: {replies[name]!r}"
            )
        least, most = (1, 3) if what in HONEST else (0, 2) if what in TOLERATED else (0, 1)
        if not lenient and not least <= len(own) <= most:
            wrong.append(f"{what}: so many: {own}")
    return wrong
