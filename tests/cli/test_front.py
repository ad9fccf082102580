"""`lasthop front`: printed, written, tested by the front itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lasthop.cli import main
from lasthop.cli.front import parser
from lasthop.errors import LasthopError
from lasthop.fronts import FRONTS, find
from lasthop.fronts.hop import Hop
from lasthop.link.address import TcpAddress, UnixAddress

SOCKET = "unix:/run/shop/shop.sock"
FREE = "127.0.0.1:48080"
"""Where the tested configurations listen: nginx tries the port while it tests."""

names = pytest.mark.parametrize("name", list(FRONTS))


def needs(name: str) -> None:
    if FRONTS[name].executable() is None:
        pytest.skip(f"{name} is not installed: apt-get install {FRONTS[name].package}")


@names
def test_prints_the_site(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["front", name, "-b", SOCKET])
    said = capsys.readouterr()
    assert (FRONTS[name].site(Hop(application=UnixAddress("/run/shop/shop.sock"))), "") == said


def test_every_option_reaches_the_hop(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--bind", "[::1]:8001", "--listen", "[::]:8080", "--server-name", "shop.example.org", "--keep-alive", "7", "--no-forwarded",
        "--upload-limit", "3m", "--websocket", "--static", "/static/=/srv/a=b", "--static", "/m/=/srv/m",
    ]  # fmt: skip
    assert 0 == main(["front", "nginx", *words])
    hop = Hop(
        application=TcpAddress("::1", 8001),
        entrance=TcpAddress("::", 8080),
        server_name="shop.example.org",
        keep_alive=7,
        forwarded=False,
        upload_bytes=3 << 20,
        websocket=True,
        static={"/static/": "/srv/a=b", "/m/": "/srv/m"},
    )
    assert find("nginx").site(hop) == capsys.readouterr().out


def test_the_application_is_where_lasthop_serve_listens_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 0 == main(["front", "nginx"])
    assert 'server "127.0.0.1:8000";' in capsys.readouterr().out


def test_the_defaults_in_the_help_are_the_hops() -> None:
    text = " ".join(parser().format_help().split())
    hop = Hop(application=UnixAddress("/a.sock"))
    assert f"a connection a request (default: {hop.keep_alive})" in text
    assert hop.upload_bytes == 1 << 30
    assert "any length (default: 1GiB)" in text
    assert (TcpAddress("0.0.0.0", 80), False, True) == (hop.entrance, hop.websocket, hop.forwarded)


@names
def test_check_tells_the_fronts_own_words(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    needs(name)
    assert 0 == main(["front", name, "-b", SOCKET, "--listen", FREE, "--check"])
    said = capsys.readouterr()
    assert said.out.startswith("# ")
    assert "takes it" in said.err
    words = {
        "nginx": "test is successful",
        "apache": "Syntax OK",
        "caddy": "Valid configuration",
        "haproxy": "is valid",
    }
    assert words[name] in said.err


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_check_ends_with_1_when_the_front_refuses(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    needs(name)
    assert 1 == main(["front", name, "-b", "no-such-host.invalid:8000", "--listen", FREE, "--check"])
    said = capsys.readouterr()
    assert "" == said.out
    assert "refuses" in said.err
    assert "no-such-host.invalid" in said.err


@names
def test_check_of_a_front_that_is_not_installed_says_how_to_get_it(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lasthop.fronts import program

    monkeypatch.setattr(program, "find", lambda _: None)
    assert 1 == main(["front", name, "--check"])
    assert f"hint: apt-get install {FRONTS[name].package}" in capsys.readouterr().err
    assert 0 == main(["front", name])


@names
def test_writes_a_file_and_has_it_tested(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(name)
    monkeypatch.chdir(tmp_path)
    assert 0 == main(["front", name, "-b", SOCKET, "--listen", FREE, "--write", "site.conf", "--check"])
    said = capsys.readouterr()
    assert "" == said.out
    assert "site.conf is written" in said.err
    text = Path("site.conf").read_text()
    assert text == FRONTS[name].site(
        Hop(application=UnixAddress("/run/shop/shop.sock"), entrance=TcpAddress("127.0.0.1", 48080))
    )
    assert ["site.conf"] == [each.name for each in tmp_path.iterdir()]


def test_a_file_that_says_something_else_stays_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.conf"
    file.write_text("mine\n")
    file.chmod(0o640)
    assert 1 == main(["front", "nginx", "--write", str(file)])
    assert "mine\n" == file.read_text()
    assert "--force" in capsys.readouterr().err
    assert 0 == main(["front", "nginx", "--write", str(file), "--force"])
    assert find("nginx").site(Hop(application=TcpAddress("127.0.0.1", 8000))) == file.read_text()
    assert 0o640 == file.stat().st_mode & 0o777
    written = file.stat().st_ino
    assert 0 == main(["front", "nginx", "--write", str(file)])
    assert "as it should be" in capsys.readouterr().err
    assert written == file.stat().st_ino


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "available").write_text("")
    (tmp_path / "enabled").symlink_to("available")
    assert 0 == main(["front", "nginx", "--write", str(tmp_path / "enabled"), "--force"])
    assert (tmp_path / "enabled").is_symlink()
    assert "upstream" in (tmp_path / "available").read_text()


def test_a_new_file_has_the_mode_that_new_files_have(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        assert 0 == main(["front", "nginx", "--write", str(tmp_path / "site.conf")])
    finally:
        os.umask(mask)
    assert 0o640 == (tmp_path / "site.conf").stat().st_mode & 0o777


@pytest.mark.parametrize("path", [".", "no/such/directory/site.conf", "/proc/site.conf"])
def test_a_file_that_cannot_be_written_is_told(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert 2 == main(["front", "nginx", "--write", path])
    assert f"cannot write {path}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ngnix"], "did you mean nginx?"),
        (["lighttpd"], "one of nginx, apache, caddy, haproxy"),
        ([], "front"),
        (["nginx", "-b", "/run/a.sock"], "unix:/run/a.sock"),
        (["nginx", "-b", "unix:a.sock"], "relative"),
        (["nginx", "-b", "fd:3"], "fd:3"),
        (["nginx", "-b", "unix:@shop"], "abstract"),
        (["apache", "-b", "unix:@shop"], "abstract"),
        (["haproxy", "-b", "unix:@shop"], "abstract"),
        (["nginx", "--listen", "unix:/run/a.sock"], "over TCP"),
        (["nginx", "--listen", ":0"], ":80"),
        (["nginx", "--keep-alive", "many"], "--keep-alive"),
        (["nginx", "--keep-alive", "-1"], "--keep-alive"),
        (["nginx", "--upload-limit", "1x"], "--upload-limit"),
        (["nginx", "--server-name", "a; evil"], "not the name of a site"),
        (["nginx", "--static", "/static/"], "/static/=/srv/shop/static"),
        (["nginx", "--static", "/a/=/b", "--static", "/a=/c"], "twice"),
        (["nginx", "--static", "/a{/=/b"], "/static/"),
        (["haproxy", "--static", "/a/=/b"], "HAProxy serves no files"),
        (["nginx", "--kep-alive", "1"], "--keep-alive"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main(["front", *words])
    said = capsys.readouterr()
    assert "" == said.out
    assert told in said.err


def test_without_jinja2_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "jinja2.py").write_text("raise ImportError")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "lasthop", "front", "nginx"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (1, "") == (done.returncode, done.stdout)
    assert "pip install 'lasthop[front]'" in done.stderr


def test_the_time_out_of_websockets_is_explained_by_lasthops_own_ping(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 0 == main(["front", "nginx", "--websocket"])
    assert "lasthop pings sooner (--ws-ping-interval, 20 s)" in capsys.readouterr().out


def test_asking_for_help_needs_no_templates(tmp_path: Path) -> None:
    (tmp_path / "jinja2.py").write_text("raise SystemError")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "lasthop", "front", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (0, "") == (done.returncode, done.stderr)
    assert "--websocket, --no-websocket" in done.stdout


def test_errors_are_of_the_family() -> None:
    with pytest.raises(LasthopError):
        find("no such front")
