"""`lasthop compare`: measure the links on this machine, say which is better, by how much, and whether that is sure.

Reads the options, has the comparison run, and shows it. `lasthop compare show FILE` shows one that was saved, `lasthop compare diff A B` two.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lasthop.cli.extras import see_installed
from lasthop.cli.words import Parser, did_you_mean, say
from lasthop.errors import HopFailed, Stopped, UsageError

if TYPE_CHECKING:
    from lasthop.compare.plan import Plan, Request
    from lasthop.compare.results import Results

USAGE = "lasthop compare MODULE:ATTRIBUTE [option ...]"

DESCRIPTION = """\
Measure, on this machine, with your application and your web server, which link between the two is better: a UNIX socket or TCP; by how
much; and whether that is sure. Takes about a minute. Every combination of --link, --front, --server and --keep-alive is measured, in
rounds, side by side. Nothing outside this machine is asked, and nothing that runs here already is touched.

lasthop compare show FILE.json         shows a comparison that was saved
lasthop compare diff A.json B.json     shows what changed between two"""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110, 5.6.2)."""

LINKS = ("unix", "tcp", "tcp6")
KEEP = {"on": True, "off": False}
T = TypeVar("T")


def main(arguments: list[str]) -> int:
    """Compare, or show what was compared."""
    if arguments[:1] == ["show"]:
        return _show(arguments[1:])
    if arguments[:1] == ["diff"]:
        return _diff(arguments[1:])
    return _compare(arguments)


def _see_installed(templates: bool, progress: bool = False) -> None:
    """What will be needed: templates for a front's configuration and the page, rich for a terminal."""
    packages = ["jinja2"] if templates else []
    packages += ["rich"] if progress or sys.stdout.isatty() else []
    see_installed("lasthop compare", "compare", packages)


def parser() -> Parser:
    """All options of a comparison."""
    from lasthop.compare.plan import DEFAULT_SECONDS, STRETCH

    made = Parser("lasthop compare", USAGE)
    made.description = DESCRIPTION
    made.formatter_class = Verbatim
    made.add_argument(
        "targets", nargs="+", metavar="MODULE:ATTRIBUTE",
        help="the application, as lasthop serve takes it; several are compared with each other",
    )  # fmt: skip
    what = made.add_argument_group("what is compared (several values with commas)")
    what.add_argument(
        "--link", default="unix,tcp", metavar="LINKS", help="unix, tcp, tcp6 (default: unix,tcp)"
    )
    what.add_argument(
        "--front", default="", metavar="FRONTS",
        help="nginx, apache, caddy, haproxy, or direct: none (default: the first of these that is installed)",
    )  # fmt: skip
    what.add_argument(
        "--server", default="lasthop", metavar="SERVERS",
        help="lasthop, gunicorn, uvicorn, granian, waitress, hypercorn, uwsgi (default: lasthop)",
    )  # fmt: skip
    what.add_argument(
        "--keep-alive", default="on,off", metavar="on,off",
        help="whether connections to the application are kept for the next request (default: both)",
    )  # fmt: skip
    what.add_argument("--connections", default="32", metavar="N", help="at the same time (default: 32)")
    what.add_argument(
        "--rate", default="0", metavar="N",
        help="requests a second, planned; 0: as many as there are replies (default: 0)",
    )  # fmt: skip
    what.add_argument(
        "--body-bytes", default="0", metavar="N", help="size of the request's body (default: 0)"
    )
    asked = made.add_argument_group("what is asked")
    asked.add_argument("--method", help="default: GET, or POST when there is a body", default="")
    asked.add_argument("--path", default="/", help="and query (default: /)")
    asked.add_argument(
        "-H", "--header", action="append", default=[], metavar="NAME: VALUE", help="any number of times"
    )
    asked.add_argument("--data", metavar="TEXT", help="the request's body; @FILE: what is in the file")
    asked.add_argument(
        "--expect-status", type=int, default=0, metavar="N", help="default: any of 2xx and 3xx"
    )
    how = made.add_argument_group("how it is measured")
    how.add_argument(
        "--seconds", type=float, metavar="N",
        help=f"for the rounds together; up to {STRETCH:g} times where a busy machine has too few by then (default: {DEFAULT_SECONDS:g})",
    )  # fmt: skip
    how.add_argument("--thorough", action="store_true", help="ten minutes: smaller differences show")
    how.add_argument("--rounds", type=int, default=0, metavar="N", help="at most (default: what time allows)")
    how.add_argument(
        "--seed", type=int, metavar="N", help="of the order; recorded (default: another each time)"
    )
    how.add_argument("--workers", type=int, default=1, metavar="N", help="of each server (default: 1)")
    how.add_argument("--threads", type=int, default=16, metavar="N", help="of each worker (default: 16)")
    how.add_argument(
        "--burst", type=int, metavar="N",
        help="connections at the same moment (default: more than the queue holds, but none unless GET or HEAD is asked)",
    )  # fmt: skip
    how.add_argument("--start-timeout", type=float, default=20.0, metavar="SECONDS", help="default: 20")
    how.add_argument("--reply-timeout", type=float, default=10.0, metavar="SECONDS", help="default: 10")
    shown = made.add_argument_group("what comes out")
    shown.add_argument("--json", type=Path, metavar="FILE", help="every round, saved after each")
    shown.add_argument("--html", type=Path, metavar="FILE", help="one page that opens anywhere, offline")
    shown.add_argument("-q", "--quiet", action="store_true", help="no progress, only the answer")
    return made


class Verbatim(argparse.RawDescriptionHelpFormatter):
    """The description as it is written."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=110)


def _compare(arguments: list[str]) -> int:
    words = parser().read(arguments)
    plan = plan_of(words)
    has_front = any(cell.front != "direct" for cell in plan.cells.values())
    _see_installed(words.html is not None or has_front, sys.stderr.isatty() and not words.quiet)
    for path in (words.json, words.html):
        if path is not None:
            _see_writable(path)
    _keep_apart(words.json, words.html)
    from lasthop.compare import experiment

    heard: list[int] = []
    with _stopped_by(heard):
        try:
            results = experiment.run(plan, words.json, quiet=words.quiet)
        except HopFailed as error:
            if not heard:
                raise
            say(error)
            return 128 + heard[0]
    try:
        code = _tell(results, words.html)
    except OSError:
        if not heard:
            raise
        code = 0  # the terminal was closed: what ended it is said by the exit code, and what was measured by the files
    return 128 + heard[0] if heard else code


@contextmanager
def _stopped_by(heard: list[int]) -> Iterator[None]:
    """Within the block, what ends a command raises KeyboardInterrupt once: what was measured is to be told, and nothing may stay.

    The signal's number is noted in `heard`. A second one does not disturb the clearing away; SIGQUIT ends it at once.
    """
    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN  # as nohup has it
    }

    def stop(number: int, _frame: object) -> None:
        heard.append(number)
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    try:
        for each in before:
            signal.signal(each, stop)
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def plan_of(words: argparse.Namespace) -> Plan:
    """The plan that the options make. Raises UsageError."""
    from lasthop.compare import bursts
    from lasthop.compare.plan import DEFAULT_SECONDS, THOROUGH_SECONDS, Factors, Plan, cells_of
    from lasthop.compare.servers import SERVERS
    from lasthop.fronts import FRONTS

    body = _body(words.data)
    bodies = _numbers("--body-bytes", words.body_bytes, int, 0, 1 << 30)
    if body and bodies != [0]:
        raise UsageError("--data and --body-bytes contradict each other", "give one of them")
    fronts = _among("--front", words.front, ["direct", *FRONTS]) if words.front else [default_front()]
    default = THOROUGH_SECONDS if words.thorough else DEFAULT_SECONDS
    seconds = default if words.seconds is None else words.seconds
    for option, value, least, most in (
        ("--seconds", seconds, 1, 1_000_000), ("--workers", words.workers, 1, 1_000), ("--threads", words.threads, 1, 1_000),
        ("--rounds", words.rounds, 0, 1_000_000), ("--start-timeout", words.start_timeout, 0.1, 3_600),
        ("--reply-timeout", words.reply_timeout, 0.1, 3_600), ("--burst", words.burst or 0, 0, 65_536),
        ("--expect-status", words.expect_status or 200, 200, 599),
    ):  # fmt: skip
        if not least <= value <= most:
            bound = f"at most {most}" if value > most else f"at least {least}"
            raise UsageError(f"{option} is {str(value)[:20]}, but must be {bound}", "")
    for target in words.targets:
        if target.startswith("-"):
            raise UsageError(
                f"there is no option {target.partition('=')[0][:40]!r}", "lasthop compare --help lists them"
            )
    factors = Factors(
        targets=_once("the application", words.targets),
        links=_among("--link", words.link, LINKS),
        fronts=fronts,
        servers=_among("--server", words.server, SERVERS),
        keep_alive=[KEEP[each] for each in _among("--keep-alive", words.keep_alive, KEEP)],
        connections=_numbers("--connections", words.connections, int, 1, 10_000),
        bodies=bodies,
        rates=_numbers("--rate", words.rate, float, 0, 1e6),
    )
    if any(0 < rate < 0.01 for rate in factors.rates):
        raise UsageError("--rate must be 0 or at least 0.01", "")
    request = _request(words, body, any(bodies))
    # Thousands of requests at once are asked of no application by themselves where each may change something.
    size = bursts.size() if request.method in ("GET", "HEAD") else 0
    return Plan(
        cells=cells_of(factors),
        request=request,
        seconds=seconds,
        most_rounds=words.rounds,
        seed=random.SystemRandom().randrange(1 << 31) if words.seed is None else words.seed,
        workers=words.workers,
        threads=words.threads,
        burst=size if words.burst is None else words.burst,
        expect_status=words.expect_status,
        start_seconds=words.start_timeout,
        reply_seconds=words.reply_timeout,
    )


def default_front() -> str:
    """The first front that is installed, or `direct`."""
    from lasthop.fronts import FRONTS

    installed = [name for name, front in FRONTS.items() if front.executable() is not None]
    if not installed:
        packages = ", ".join(front.package for front in FRONTS.values())
        print(
            f"no web server is installed here (any of {packages}): the links are measured without one",
            file=sys.stderr,
        )
    return installed[0] if installed else "direct"


def _request(words: argparse.Namespace, body: bytes, sized: bool) -> Request:
    from lasthop.compare.plan import Request

    headers = []
    for header in words.header:
        name, colon, value = header.partition(":")
        if not colon or not name.strip() or any(c in header for c in "\r\n\0"):
            raise UsageError(f"--header {header!r} is not NAME: VALUE", "--header 'Accept: text/html'")
        if name.strip().lower() in ("content-length", "transfer-encoding", "connection"):
            raise UsageError(
                f"--header {name.strip()} is made by lasthop itself", "--data, --body-bytes, --keep-alive"
            )
        if not TOKEN.fullmatch(name.strip()) or any(ord(c) > 255 for c in value):
            raise UsageError(
                f"--header {header!a} cannot be sent: a name has letters, digits and -, a value no other alphabet's characters",
                "",
            )
        headers.append((name.strip(), value.strip()))
    if [name.lower() for name, _ in headers].count("host") > 1:
        raise UsageError("--header names the host twice", "")
    if not words.path.startswith("/") or any(c <= " " or c > "~" for c in words.path):
        raise UsageError(
            f"--path {words.path!r} must begin with / and be written as in a URL, with %20 for a blank", ""
        )
    method = words.method.upper() or ("POST" if body or sized else "GET")
    if not method.isalpha() or not method.isascii():
        raise UsageError(f"--method {words.method!r} is no method", "GET, HEAD, POST, PUT, PATCH, DELETE")
    return Request(method, words.path, tuple(headers), body)


def _body(data: str | None) -> bytes:
    if data is None:
        return b""
    if not data.startswith("@"):
        return os.fsencode(data)
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"--data {data}: {error.strerror}", "@FILE is the path of a file") from error


def _split(option: str, text: str) -> list[str]:
    return _once(option, [word.strip() for word in text.split(",") if word.strip()])


def _once(option: str, words: Sequence[str]) -> list[str]:
    if not words:
        raise UsageError(f"{option} names nothing", "")
    if len(set(words)) < len(words):
        raise UsageError(
            f"{option} names something twice", "each is measured once; its twin is added by itself"
        )
    return list(words)


def _among(option: str, text: str, known: Collection[str]) -> list[str]:
    found = _split(option, text)
    for word in found:
        if word not in known:
            raise UsageError(
                f"{option} does not know {word!r}", did_you_mean(word, known) or f"one of {', '.join(known)}"
            )
    return found


def _numbers(option: str, text: str, kind: Callable[[str], T], least: float, most: float) -> list[T]:
    found = []
    for word in _split(option, text):
        try:
            value = kind(word)
        except ValueError:
            raise UsageError(f"{option} {word!r} is no number", "") from None
        if not least <= value <= most:  # type: ignore[operator]
            raise UsageError(f"{option} is {word}, but must be from {least:g} to {most:g}", "")
        found.append(value)
    return found


def _see_writable(path: Path) -> None:
    """Now, not after a minute of measuring."""
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no directory {path.absolute().parent}", "")
    try:
        there = path.exists()
        with path.open("ab"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "another name or directory"
        ) from error


def _keep_apart(results: Path | None, html: Path | None) -> None:
    """The page must not take the place of what was measured."""
    if results is not None and html is not None and results.resolve() == html.resolve():
        raise UsageError(f"{html} cannot be both the results and the page", "two names")


def _tell(results: Results, html: Path | None) -> int:
    from lasthop.compare import page, table, verdict
    from lasthop.compare.results import write_whole

    judged = verdict.judge(results)
    try:
        table.show(results, judged, sys.stdout)
    finally:  # also where nobody reads any more
        if html is not None:
            try:
                write_whole(html, page.page(results, judged))
            except OSError as error:
                raise UsageError(
                    f"{html} cannot be written: {error.strerror or error}",
                    "the answer stands above; with --json, `lasthop compare show FILE.json --html PAGE.html` writes the page later",
                ) from error
    if html is not None:
        print(f"\nThe page: {html}", file=sys.stderr)
    return 0 if judged.complete else HopFailed.exit_code


def _show(arguments: list[str]) -> int:
    from lasthop.compare.results import load

    made = Parser("lasthop compare show", "lasthop compare show FILE.json [--html FILE]")
    made.add_argument("file", type=Path, metavar="FILE.json", help="what --json wrote")
    made.add_argument("--html", type=Path, metavar="FILE", help="write the page")
    words = made.read(arguments)
    _see_installed(words.html is not None)
    _keep_apart(words.file, words.html)
    return _tell(load(words.file), words.html)


def _diff(arguments: list[str]) -> int:
    from lasthop.compare import difference, table
    from lasthop.compare.results import load

    made = Parser("lasthop compare diff", "lasthop compare diff A.json B.json")
    made.add_argument("before", type=Path, metavar="A.json", help="what --json wrote")
    made.add_argument("after", type=Path, metavar="B.json", help="another")
    words = made.read(arguments)
    before, after = load(words.before), load(words.after)
    print("\n".join(table.printable(each) for each in difference.words(before, after)))
    return HopFailed.exit_code if difference.why_not(before, after) else 0
