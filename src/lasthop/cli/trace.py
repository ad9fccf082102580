"""`lasthop trace`: what one request passes through on each link, as a ladder and a table of layers; as JSON, as a capture for Wireshark."""

from __future__ import annotations

import argparse
import ipaddress
import json
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lasthop import kinds
from lasthop.cli.extras import see_installed
from lasthop.cli.words import Parser, did_you_mean
from lasthop.errors import FrontMissing, HopFailed, UsageError
from lasthop.link.address import TcpAddress, UnixAddress, parse

if TYPE_CHECKING:
    from lasthop.trace.tracing import TracePlan

USAGE = "lasthop trace [MODULE:ATTRIBUTE] [option ...]"

DESCRIPTION = """\
Show what a request passes through between the web server and the application, on this machine: every frame, every system call of both
ends, the kernel's counters, and what each stage costs; over TCP, and over a UNIX socket beside it. Capturing needs root, or CAP_NET_RAW;
without it, the rest is shown."""

LINKS = ("unix", "tcp", "tcp6", "remote")
MOST_REQUESTS = 100
MOST_BODY = 64 << 20


def main(arguments: list[str]) -> int:
    """Trace, and show it."""
    words = parser().read(arguments)
    templates = words.html is not None or words.front != "direct"
    see_installed("lasthop trace", "trace", ["dpkt", *(["jinja2"] if templates else [])])
    plan = plan_of(words)
    for path in (words.json, words.html, words.pcap):
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"{path} cannot be written: there is no directory {path.absolute().parent}", "")
    from lasthop.trace import page, show, tracing

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing that was started stays
    found = tracing.trace(plan)
    show.show(found, sys.stdout)
    if words.json is not None:
        _write(words.json, json.dumps(found.plain(), indent=1) + "\n")
    if words.html is not None:
        _write(words.html, page.page(found))
    return HopFailed.exit_code if found.failed else 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "what was found stands above"
        ) from error


def parser() -> Parser:
    """All options."""
    made = Parser("lasthop trace", USAGE)
    made.description = DESCRIPTION
    made.add_argument(
        "target", nargs="?", metavar="MODULE:ATTRIBUTE",
        help="the application, as lasthop serve takes it (default: one that sends back what it was sent)",
    )  # fmt: skip
    what = made.add_argument_group("What is traced")
    what.add_argument(
        "--link",
        default="unix,tcp",
        metavar="LINKS",
        help="unix, tcp, tcp6, remote: TCP between two network namespaces, as root (default: unix,tcp)",
    )
    what.add_argument(
        "--attach", metavar="ADDRESS",
        help="ask a lasthop that runs already: unix:/run/app.sock, 127.0.0.1:8000, [::1]:8000",
    )  # fmt: skip
    what.add_argument(
        "--front", default="direct", metavar="FRONT",
        help="nginx, apache, caddy, haproxy: the hop behind it is traced; direct: none (default: direct)",
    )  # fmt: skip
    what.add_argument("--requests", type=int, default=2, metavar="N", help="on one connection (default: 2)")
    asked = made.add_argument_group("What is asked")
    asked.add_argument("--method", default="", help="default: GET, or POST when there is a body")
    asked.add_argument("--path", default="/", help="and query (default: /)")
    asked.add_argument(
        "--body", default="0", metavar="BYTES", help="size of the request's body: 100, 64k, 1MiB (default: 0)"
    )
    asked.add_argument(
        "--slow-reader",
        action="store_true",
        help="read the reply only when nothing more comes, in small pieces",
    )
    asked.add_argument("--reply-timeout", type=float, default=10.0, metavar="SECONDS", help="default: 10")
    shown = made.add_argument_group("What comes out")
    shown.add_argument(
        "--no-calls", action="store_true", help="do not look at system calls: times are then without strace"
    )
    shown.add_argument("--no-cost", action="store_true", help="do not repeat the stages to time them")
    shown.add_argument("--json", type=Path, metavar="FILE", help="everything that was seen")
    shown.add_argument(
        "--html", type=Path, metavar="FILE", help="one page to step through, which opens anywhere, offline"
    )
    shown.add_argument("--pcap", type=Path, metavar="FILE", help="the frames of the hop, for Wireshark")
    return made


def plan_of(words: argparse.Namespace) -> TracePlan:
    """The plan that the options make. Raises UsageError."""
    from lasthop.compare.plan import Request
    from lasthop.fronts import FRONTS
    from lasthop.trace.tracing import DEFAULT_TARGET, TracePlan

    links = list(dict.fromkeys(word.strip() for word in words.link.split(",") if word.strip()))
    if not links:
        raise UsageError("--link names nothing", f"one or more of {', '.join(LINKS)}")
    _known("--link", links, LINKS)
    if "remote" in links and words.front != "direct":
        raise UsageError("--link remote has no front: the client itself is the other host", "--front direct")
    attach = None
    if words.attach is not None:
        attach = _running(words)
        links = ["unix" if isinstance(attach, UnixAddress) else "tcp6" if ":" in attach.host else "tcp"]
    _known("--front", [words.front], ["direct", *FRONTS])
    if words.front != "direct" and FRONTS[words.front].executable() is None:
        raise FrontMissing(FRONTS[words.front].title, FRONTS[words.front].package)
    if not 1 <= words.requests <= MOST_REQUESTS:
        raise UsageError(f"--requests is {words.requests}, but must be from 1 to {MOST_REQUESTS}", "")
    if not 1 <= words.reply_timeout <= 3600:
        raise UsageError(f"--reply-timeout is {words.reply_timeout:g}, but must be from 1 to 3600", "")
    if not words.path.startswith("/") or any(c <= " " or c > "~" for c in words.path):
        raise UsageError(
            f"--path {words.path!r} must begin with / and be written as in a URL, with %20 for a blank", ""
        )
    body = b"x" * _size(words.body)
    method = words.method.upper() or ("POST" if body else "GET")
    if not method.isalpha() or not method.isascii():
        raise UsageError(f"--method {words.method!r} is no method", "GET, HEAD, POST, PUT, PATCH, DELETE")
    return TracePlan(
        target=words.attach or words.target or DEFAULT_TARGET, links=links, front=words.front, requests=words.requests,
        request=Request(method, words.path, (), body), slow=words.slow_reader,
        with_calls=not words.no_calls, with_cost=not words.no_cost, pcap=words.pcap,
        reply_seconds=words.reply_timeout, attach=attach,
    )  # fmt: skip


def _running(words: argparse.Namespace) -> UnixAddress | TcpAddress:
    if words.target is not None or words.front != "direct":
        what = words.target or "--front"
        raise UsageError(f"--attach asks what runs already, and {what} would be started", "one of the two")
    address = parse(words.attach)
    if isinstance(address, UnixAddress):
        return address._replace(path=str(Path(address.path).absolute()))
    if isinstance(address, TcpAddress) and address.port:
        try:
            ipaddress.ip_address(address.host)
        except ValueError:
            pass
        else:
            return address
    raise UsageError(
        f"--attach {words.attach}: that is no address that can be asked",
        "unix:/run/app.sock, or an IP address and a port, such as 127.0.0.1:8000",
    )


def _size(text: str) -> int:
    annotated: Any = kinds.BytesOrZero
    kind = annotated.__metadata__[0]
    try:
        size = int(kind.read(text))
    except kinds.Misfit as misfit:
        raise UsageError(f"--body {text!r}: {misfit.rule}", misfit.hint) from misfit
    if size > MOST_BODY:
        raise UsageError(
            f"--body is {size:,} bytes, but may be {MOST_BODY:,} at most", "more shows nothing else"
        )
    return size


def _known(option: str, words: list[str], known: Iterable[str]) -> None:
    names = list(known)
    for word in words:
        if word not in names:
            raise UsageError(
                f"{option} does not know {word!r}", did_you_mean(word, names) or f"one of {', '.join(names)}"
            )
