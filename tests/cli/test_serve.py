"""`lasthop serve`: options, checks, and the server itself as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lasthop.cli import main
from lasthop.cli.serve import parser
from lasthop.demo.serving import Serving
from lasthop.settings import NAMES, default_of, kind_of, option_of, says_of
from tests.conftest import Serve

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("LASTHOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_an_option_with_its_words_and_default(name: str) -> None:
    text = " ".join(parser().format_help().split())
    assert option_of(name) in text
    assert says_of(name).short.replace("`", "") in text
    if default_of(name) not in (None, (), False):
        assert f"(default: {kind_of(name).show(default_of(name))})" in text


@pytest.mark.parametrize(
    ("letter", "name"), [("-b", "bind"), ("-w", "workers"), ("-t", "timeout"), ("-p", "pid")]
)
def test_gunicorns_letters_are_there(letter: str, name: str) -> None:
    action = next(each for each in parser()._actions if letter in each.option_strings)
    assert name == action.dest


def test_only_what_was_given_comes_from_the_command_line() -> None:
    words = parser().read(["shop:app", "-w", "2", "-b", ":1", "-b", ":2", "--no-preload"])
    given = {name: getattr(words, name) for name in NAMES if hasattr(words, name)}
    assert {"workers": "2", "bind": [":1", ":2"], "preload": False} == given


def test_what_is_printed_is_a_settings_file_that_gives_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = [
        "--bind", "unix:/run/a b.sock", "--workers", "auto", "--timeout", "1500ms", "--limit-request-body", "3k", "--preload",
        "--access-logformat", '%(h)s "%(r)s"', "--pythonpath", "lib",
    ]  # fmt: skip
    assert 0 == main(["serve", "--print-config", *given])
    printed = capsys.readouterr().out
    (tmp_path / "lasthop.toml").write_text(printed)
    assert "1500ms" == tomllib.loads(printed)["server"]["timeout"]
    assert 0 == main(["serve", "--print-config"])

    def values(text: str) -> list[str]:
        return [line.partition("  # ")[0].rstrip() for line in text.splitlines()]

    assert values(printed) == values(capsys.readouterr().out)


def test_each_printed_value_has_its_origin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LASTHOP_THREADS", "4")
    main(["serve", "--print-config", "-w", "2"])
    lines = {
        line.split(" ")[0]: line.rpartition("  # ")[2]
        for line in capsys.readouterr().out.splitlines()
        if " = " in line
    }
    assert ("--workers", "LASTHOP_THREADS", "default") == (
        lines["workers"],
        lines["threads"],
        lines["backlog"],
    )


def test_checking_the_settings_does_not_import_the_application(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["serve", "not.there:app", "--check-config"])
    assert "was not imported" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            [],
            "lasthop: the application is missing\n  hint: lasthop serve MODULE:ATTRIBUTE, such as lasthop serve shop.wsgi:application\n",
        ),
        (["--wrokers", "2"], "lasthop: there is no option --wrokers\n  hint: did you mean --workers?\n"),
        (["--work", "2"], "lasthop: there is no option --work\n  hint: did you mean --workers?\n"),
        (
            ["a:b", "c:d"],
            "lasthop: 'c:d' is one argument too many\n  hint: usage: lasthop serve MODULE:ATTRIBUTE [option ...]\n",
        ),
        (
            ["-w", "0"],
            "lasthop: workers is '0' (--workers), but it must be a whole number, 1 or more, or auto\n",
        ),
        (
            ["-b", "8000"],
            "lasthop: bind is '8000' (--bind), but a port alone does not say on which address\n  hint: 127.0.0.1:8000 or :8000\n",
        ),
        (["-b"], "lasthop: argument -b/--bind: expected one argument\n  hint: lasthop serve --help\n"),
        (
            ["a:b", "--max-requests-jitter", "5"],
            "lasthop: max_requests_jitter and max_requests contradict each other: the first adds up to 5 to the second, which is 0 and means never\n"
            "  hint: set max_requests, or leave max_requests_jitter out\n",
        ),
    ],
)
def test_what_is_written_wrong_ends_with_2_and_says_what_to_do(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main(["serve", *arguments])
    assert ("", text) == capsys.readouterr()


def ended(*arguments: str, cwd: Path = HERE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lasthop", "serve", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_target_that_is_none_ends_with_2() -> None:
    done = ended("applications.py")
    assert 2 == done.returncode
    assert "lasthop: 'applications.py' names no application: that is a file" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_is_taken_ends_with_1(serve: Serve) -> None:
    server = serve("applications:hello")
    done = ended("applications:hello", "-b", server.tcp)
    assert 1 == done.returncode
    assert f"lasthop: cannot listen on {server.tcp}" in done.stderr
    assert "hint:" in done.stderr


def test_an_application_that_fails_ends_with_its_error_once() -> None:
    done = ended("applications:broken_factory()", "-b", "127.0.0.1:0")
    assert 4 == done.returncode
    assert 1 == done.stderr.count("RuntimeError: the database is not there")


def test_a_loop_that_is_not_installed_is_said_before_anything_starts() -> None:
    program = (
        "import importlib.util, sys\n"
        "there = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'uvloop' else there(name, *rest)\n"
        "from lasthop.cli import main\n"
        "sys.exit(main(['serve', 'applications:hello', '-b', '127.0.0.1:0', '--loop', 'uvloop']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=HERE, capture_output=True, text=True, timeout=60
    )
    text = "lasthop: --loop uvloop needs the package uvloop, which is not installed\n  hint: pip install 'lasthop[uvloop]'\n"
    assert (1, text) == (done.returncode, done.stderr)


@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_the_wrong_interface_is_refused_at_the_start(options: tuple[str, ...]) -> None:
    done = ended("applications:hello", "-b", "127.0.0.1:0", "--interface", "asgi", *options)
    assert 4 == done.returncode
    assert "it takes 2 arguments, and an ASGI application is called with" in done.stderr
    assert "hint: --interface wsgi" in done.stderr


def get(server: Serving, address: str) -> bytes:
    connection = server.connect(address)
    connection.request("GET", "/")
    body = connection.getresponse().read()
    connection.close()
    return body


def test_serves_on_both_links_and_ends_with_0_on_term(serve: Serve) -> None:
    server = serve("applications:hello")
    assert [b"hello", b"hello"] == [get(server, address) for address in server.addresses]
    assert 0 == server.stop()


def test_settings_of_the_file_are_read_again_on_hup(serve: Serve, short_directory: Path) -> None:
    file = short_directory / "lasthop.toml"
    file.write_text("[server]\nthreads = 2\n")
    server = serve("applications:hello", "--pythonpath", str(HERE), "--chdir", "/", cwd=short_directory)
    file.write_text("[server]\nthreads = none\n")
    server.process.send_signal(signal.SIGHUP)
    # The file is wrong now, and the server goes on with what it has; the log says which file.
    while "lasthop.toml" not in server.said():
        assert None is server.process.poll()
    assert b"hello" == get(server, server.unix)


@pytest.mark.parametrize(
    ("options", "environment", "told"),
    [
        (("--threads", "16"), {}, ["threads is 16 (--threads)"]),
        ((), {"LASTHOP_THREADS": "4"}, ["threads is 4 (LASTHOP_THREADS)"]),
        ((), {}, []),
    ],
)
def test_threads_that_were_asked_for_an_asgi_application_are_told_of_once(
    serve: Serve, options: tuple[str, ...], environment: dict[str, str], told: list[str]
) -> None:
    server = serve("applications:asynchronous", "--workers", "2", *options, env=environment)
    assert 0 == server.stop()
    words = " but an ASGI application has an event loop, and no threads"
    assert told == [
        line.partition("[WARNING] ")[2].partition(",")[0]
        for line in server.said().splitlines()
        if words in line
    ]


def test_a_wrong_format_of_the_access_log_is_known_before_the_log_is_wanted() -> None:
    words = [sys.executable, "-m", "lasthop", "serve", "shop:app", "--access-logformat", "%({x}o)s"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert 2 == done.returncode
    assert "--access-logformat '%({x}o)s' cannot be followed" in done.stderr


def test_a_ready_fd_that_was_not_passed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["serve", "lasthop.demo:app", "--bind", "127.0.0.1:0", "--ready-fd", "999"])
    assert "--ready-fd 999: there is no such file descriptor" in capsys.readouterr().err


def test_where_a_lasthop_listens_taking_over_from_it_is_proposed(serve: Serve) -> None:
    first = serve("lasthop.demo:app")
    second = serve("lasthop.demo:app", bind=[first.unix], ready=False)
    assert 1 == second.process.wait(20)
    assert (
        f"stop it first (kill {first.pid}), or another name; to take over from it: --replace" in second.said()
    )
