"""`lasthop trace`: options, errors, and what is shown where rights or programs are missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lasthop.cli.trace import parser, plan_of
from lasthop.errors import UsageError
from lasthop.trace.tracing import DEFAULT_TARGET, TracePlan

ROOT = Path(__file__).parent.parent.parent
NOBODY = 65534


def plan(*arguments: str) -> TracePlan:
    return plan_of(parser().read(list(arguments)))


def run(*arguments: str, path: str | None = None, drop: bool = False) -> subprocess.CompletedProcess[str]:
    environ = os.environ | ({"PATH": path} if path else {})
    command = [sys.executable, "-m", "lasthop", "trace", *arguments]
    if drop:
        without = "-net_raw,-net_admin,-sys_ptrace"
        command = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}", *command]
    return subprocess.run(command, capture_output=True, text=True, env=environ, cwd=ROOT, timeout=100)


def test_by_default_two_requests_are_traced_on_both_links() -> None:
    found = plan()
    assert (DEFAULT_TARGET, ["unix", "tcp"], "direct", 2) == (
        found.target,
        found.links,
        found.front,
        found.requests,
    )
    assert ("GET", b"") == (found.request.method, found.request.body)


def test_a_body_makes_it_a_post() -> None:
    found = plan("--body", "64k")
    assert ("POST", 65536) == (found.request.method, len(found.request.body))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--link", "unxi"], "did you mean unix"),
        (["--link", ""], "nothing"),
        (["--front", "ngnix"], "did you mean nginx"),
        (["--requests", "0"], "from 1 to"),
        (["--requests", "many"], "invalid int"),
        (["--body", "-1"], "--body"),
        (["--body", "1GiB"], "at most"),
        (["--path", "shop"], "must begin with /"),
        (["--path", "/a b"], "%20"),
        (["--method", "G T"], "no method"),
        (["--reply-timeout", "nan"], "from 1 to"),
        (["--frnt", "nginx"], "--front"),
        (["shop:app", "--attach", "unix:/a.sock"], "would be started"),
        (["--attach", "localhost:8000"], "IP address"),
        (["--attach", "systemd"], "no address"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan(*arguments)
    assert says in str(raised.value)


def test_a_front_that_is_not_installed_is_named_with_its_package(tmp_path: Path) -> None:
    # nginx is also looked for where Debian puts it: only a front that is nowhere can be missing.
    from lasthop.fronts import FRONTS

    missing = [name for name, front in FRONTS.items() if front.executable() is None]
    if not missing:
        pytest.skip("all fronts are installed")
    done = run("--front", missing[0])
    assert (1, True) == (done.returncode, "apt-get install" in done.stderr)


def test_without_strace_the_rest_is_shown(tmp_path: Path) -> None:
    done = run("--no-cost", path=str(tmp_path))
    assert (0, "") == (done.returncode, done.stderr)
    assert "strace is not installed" in done.stdout
    assert "apt-get install strace" in done.stdout
    assert "7 Application" in done.stdout


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can give rights up"
)
def test_without_the_right_to_capture_the_rest_is_shown() -> None:
    done = run("--no-cost", drop=True)
    assert 0 == done.returncode, done.stderr
    words = " ".join(done.stdout.split())
    assert "CAP_NET_RAW" in words
    assert "setcap cap_net_raw+ep" in words
    assert "not seen: TCP" in words
    assert "sendto() =" in words


def test_an_application_that_does_not_load_says_why_and_fails() -> None:
    done = run("tests.trace.nothing:app", "--no-cost")
    assert 1 == done.returncode
    assert "could not be traced" in done.stdout
    assert "tests.trace.nothing" in done.stdout


def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    done = run("--json", str(tmp_path / "no" / "trace.json"))
    assert 2 == done.returncode
    assert "there is no directory" in done.stderr
    assert "" == done.stdout


def test_the_json_is_written(tmp_path: Path) -> None:
    done = run("--no-cost", "--link", "unix", "--json", str(tmp_path / "trace.json"))
    assert 0 == done.returncode, done.stderr
    assert ["unix"] == list(json.loads((tmp_path / "trace.json").read_text())["links"])
