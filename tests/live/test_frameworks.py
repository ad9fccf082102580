"""Django, Flask, Falcon and Bottle on lasthop: through curl and through a real nginx, over both links, with one thread and with many."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lasthop.demo.serving import Serving

from .conftest import Before, Run
from .curl import curl

FRAMEWORKS = ["django", "flask", "falcon", "bottle"]
WAYS = ["unix", "tcp", "nginx-unix", "nginx-tcp", "nginx-kept-unix", "nginx-kept-tcp"]

DOCUMENT = b"".join(b"%d\r\n--not a boundary\r\n" % number for number in range(12_000))
LINES = "".join(f"line {number}\n" for number in range(1000)).encode()

Site = Callable[[str, str], str]


@pytest.fixture(scope="module", params=["1", "16"], ids=lambda number: f"threads-{number}")
def threads(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def site(run: Run, before: Before, threads: str, large_file: tuple[Path, str]) -> Site:
    """The address of a framework's application by a way; it is started when it is asked for first."""
    started: dict[str, Serving] = {}

    def address(framework: str, way: str) -> str:
        pytest.importorskip(framework)
        if framework not in started:
            started[framework] = run(
                f"applications.{framework}_site:application",
                "--threads",
                threads,
                LIVE_FILE=str(large_file[0]),
            )
        server = started[framework]
        front, _, link = way.rpartition("-")
        address = server.unix if link == "unix" else server.tcp
        return before(front, address).address if front else address

    return address


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
class TestEveryFramework:
    def test_renders_a_page(self, site: Site, framework: str, way: str) -> None:
        reply = curl(site(framework, way), "/page")
        assert 200 == reply.status
        assert b"<h1>Guests" in reply.body
        if framework != "falcon":
            assert b"&amp; friends" in reply.body
            assert b"<li>&lt;Grace&gt;</li>" in reply.body

    def test_takes_a_form(self, site: Site, framework: str, way: str, tmp_path: Path) -> None:
        options = ["--data-urlencode", "guest=Grace Höpper"]
        if framework == "django":
            jar = str(tmp_path / "cookies")
            asked = curl(site(framework, way), "/form", "--cookie-jar", jar)
            token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', asked.body)
            assert token is not None
            refused = curl(site(framework, way), "/form", *options)
            assert 403 == refused.status
            options += ["--cookie", jar, "--data-urlencode", f"csrfmiddlewaretoken={token[1].decode()}"]
        reply = curl(site(framework, way), "/form", *options)
        assert (200, "welcome Grace Höpper") == (reply.status, reply.body.decode())

    def test_takes_an_upload(self, site: Site, framework: str, way: str) -> None:
        reply = curl(
            site(framework, way), "/upload", "--form", "document=@-;filename=notes.txt", given=DOCUMENT
        )
        expected = {
            "name": "notes.txt",
            "size": len(DOCUMENT),
            "sha256": hashlib.sha256(DOCUMENT).hexdigest(),
        }
        assert expected == json.loads(reply.body)

    def test_streams(self, site: Site, framework: str, way: str) -> None:
        reply = curl(site(framework, way), "/stream?lines=1000")
        assert (200, LINES) == (reply.status, reply.body)
        assert [] == reply.all("Content-Length")

    def test_sends_a_file(self, site: Site, framework: str, way: str, large_file: tuple[Path, str]) -> None:
        reply = curl(site(framework, way), "/file")
        assert large_file[1] == hashlib.sha256(reply.body).hexdigest()
        assert [str(len(reply.body))] == reply.all("Content-Length")


@pytest.mark.parametrize(
    ("framework", "way"),
    # Of the four, Flask alone knows wsgi.input_terminated; the others read no body without CONTENT_LENGTH, which nginx adds.
    [(framework, way) for framework in FRAMEWORKS for way in WAYS if framework == "flask" or "nginx" in way],
)
def test_takes_a_chunked_upload(site: Site, framework: str, way: str) -> None:
    reply = curl(
        site(framework, way),
        "/upload",
        "--header", "Transfer-Encoding: chunked",
        "--form", "document=@-;filename=notes.txt",
        given=DOCUMENT,
    )  # fmt: skip
    assert hashlib.sha256(DOCUMENT).hexdigest() == json.loads(reply.body)["sha256"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "framework", ["django", "flask", "bottle"]
)  # Falcon answers HEAD only where it is told how
def test_tells_head_a_file_s_length(
    site: Site, framework: str, way: str, large_file: tuple[Path, str]
) -> None:
    reply = curl(site(framework, way), "/file", "--head")
    assert (200, b"", [str(large_file[0].stat().st_size)]) == (
        reply.status,
        reply.body,
        reply.all("Content-Length"),
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("framework", FRAMEWORKS[1:])
class TestMicroframeworks:
    def test_speak_json(self, site: Site, framework: str, way: str) -> None:
        reply = curl(
            site(framework, way), "/json", "--json", json.dumps({"name": "Ada", "born": 1815}).strip()
        )
        assert {"got": {"name": "Ada", "born": 1815}, "method": "POST"} == json.loads(reply.body)

    def test_set_several_cookies(self, site: Site, framework: str, way: str) -> None:
        reply = curl(site(framework, way), "/cookies")
        assert ["one", "two", "three"] == [each.partition("=")[0] for each in reply.all("Set-Cookie")]
