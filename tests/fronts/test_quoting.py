"""Paths with every odd character, before the real fronts: each is written so that the front means it, or refused in words."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lasthop.demo.asking import Connection
from lasthop.demo.serving import Serving
from lasthop.errors import HopError
from lasthop.fronts import FRONTS
from lasthop.fronts.front import Front
from lasthop.fronts.hop import Hop
from lasthop.fronts.running import RunningFront
from lasthop.fronts.writing import Written
from lasthop.link.address import TcpAddress, UnixAddress

from .conftest import Run, ask, free_port

NAMES = [
    "a b", " lead", "trail ", "q'q", 'd"d', "`t`", "s;c", "b{r}", "o{", "c}", "$x", "$HOME", "${HOME}", "{$HOME}", "{env.HOME}", "b\\s", "end\\",
    "two\\\\", "\\\"", "\\'", "\\`", "#h", "%20", "%", "%{HTTP_HOST}", "q?x", "p|x", "é😀", "&amp;", "*[x]", "c:x", "a,b", "@at", "~t", "(p)", "=e", "!b",
    "<lt>", "-m", "\u00a0", "include", "\\n", "\\x20",
]  # fmt: skip


def test_a_socket_with_an_odd_name_is_reached_or_refused(
    front: Front, directory: Path, server: Serving
) -> None:
    """One application behind all names, by links; the front is started anew for each."""
    refused = []
    wrong = []
    for number, name in enumerate(NAMES):
        path = directory / name
        path.hardlink_to(server.unix.removeprefix("unix:"))
        place = directory / f"front-{number}"
        place.mkdir()
        try:
            hop = Hop(application=UnixAddress(str(path)), entrance=free_port(), clients=32)
            with RunningFront(front, hop, place) as running:
                connection = Connection(str(running.entrance))
                connection.request("GET", "/")
                if connection.getresponse().status != 200:
                    wrong.append(name)
                connection.close()
        except HopError as error:
            refused.append((name, error.hint))
    assert [] == wrong
    allowed = {
        "nginx": {"$x", "$HOME", "${HOME}", "{$HOME}"},
        "apache": {"${HOME}", "#h", "q?x", "p|x"},
        "caddy": {"b{r}", "o{", "c}", "${HOME}", "{$HOME}", "{env.HOME}", "%{HTTP_HOST}", "c:x", "\\`"},
        "haproxy": {"$x", "$HOME", "${HOME}", "{$HOME}"},
    }
    assert allowed[front.name] == {name for name, _ in refused}
    assert all(hint for _, hint in refused)


@pytest.mark.parametrize("front", ["nginx", "apache", "caddy"], indirect=True)
def test_files_in_a_directory_with_an_odd_name_are_served_or_refused(
    front: Front, directory: Path, run: Run, server: Serving
) -> None:
    static = {}
    for number, name in enumerate(NAMES):
        (directory / name).mkdir()
        (directory / name / "file").write_text(name)
        try:
            front.site(Hop(application=UnixAddress("/a.sock"), static={"/s": str(directory / name)}))
        except HopError:
            continue
        static[f"/{number}/"] = str(directory / name)
    assert len(static) > len(NAMES) * 3 / 4
    entrance = run(front, server.unix, static=static).entrance
    connection = Connection(str(entrance))
    for url in static:
        connection.request("GET", f"{url}file")
        reply = connection.getresponse()
        assert (200, NAMES[int(url.strip("/"))]) == (reply.status, reply.read().decode())
    connection.close()


def test_a_front_lives_in_a_directory_with_an_odd_name(
    front: Front, directory: Path, server: Serving
) -> None:
    place = directory / 'it\'s "odd"; é'
    place.mkdir()
    hop = Hop(application=UnixAddress(server.unix.removeprefix("unix:")), entrance=free_port())
    with RunningFront(front, hop, place) as running:
        assert "/" == ask(running.entrance)["PATH_INFO"]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_adds_a_line(name: str) -> None:
    for front in FRONTS.values():
        plain = front.site(Hop(application=UnixAddress("/run/plain")))
        try:
            odd = front.site(Hop(application=UnixAddress(f"/run/{name}")))
        except HopError:
            continue
        assert len(plain.splitlines()) == len(odd.splitlines())
        assert len(plain.split("\n")) == len(odd.split("\n"))


def test_what_nobody_quoted_is_not_printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from lasthop.fronts import writing

    (tmp_path / "some.j2").write_text("{{ text }} {{ number }} {{ text | quoted }}")
    monkeypatch.setattr(writing, "TEMPLATES", tmp_path)
    hop = Hop(application=TcpAddress("127.0.0.1", 8000))
    with pytest.raises(TypeError, match="nobody has quoted"):
        writing.write("some.j2", Written, hop, text="a; evil", number=1)
    assert "a 1 a" == writing.write("some.j2", Written, hop, text=Written("a"), number=1)


def test_two_sites_never_share_a_name() -> None:
    paths = [
        "/run/a.sock",
        "/run/a/sock",
        "/run/a-sock",
        "/run/A.sock",
        "/run/a_sock",
        "/run-a.sock",
        "/run/a..sock",
        "/run/é",
        "/run/è",
        "/" + "a" * 100,
        "/" + "a" * 99 + "b",
    ]
    for front in FRONTS.values():
        texts = [front.site(Hop(application=UnixAddress(path))) for path in paths]
        marks = {
            "nginx": "upstream ", "apache": "|http://", "caddy": "reverse_proxy ", "haproxy": "backend ",
        }  # fmt: skip
        names = {
            line.partition(marks[front.name])[2].split()[0]
            for text in texts
            for line in text.splitlines()
            if marks[front.name] in line and not line.strip().startswith("#")
        }
        assert len(paths) == len(names)


def test_one_name_may_have_a_site_on_each_port() -> None:
    application = UnixAddress("/run/app.sock")
    for name, mark in (("nginx", "upstream "), ("haproxy", "backend ")):
        names = {
            line.split()[1]
            for port in (80, 81, 8080)
            for line in FRONTS[name]
            .site(Hop(application=application, server_name="localhost", entrance=TcpAddress("0.0.0.0", port)))
            .splitlines()
            if line.startswith(mark)
        }
        assert 3 == len(names)


def test_the_links_under_test_are_sockets(directory: Path, server: Serving) -> None:
    path = directory / "link"
    os.link(server.unix.removeprefix("unix:"), path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
