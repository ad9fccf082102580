"""`lasthop front`: the configuration of a web server before the application, printed, written to a file, tested by the server itself.

The front tests what is printed in surroundings like those of a production machine, in a directory that is gone afterwards.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from lasthop import kinds
from lasthop.cli.words import Parser
from lasthop.errors import AddressError, FileDiffers, FrontMissing, SettingError, UsageError
from lasthop.link.address import TcpAddress, parse
from lasthop.settings import default_of

USAGE = "lasthop front nginx|apache|caddy|haproxy [option ...]"

DESCRIPTION = """\
Print a complete, commented configuration of a web server before the application, for the hop that the options describe.
Sizes: 8190, 8k, 1GiB."""


def main(arguments: list[str]) -> int:
    """Print, write, test."""
    words = parser().read(arguments)
    # Only now: asking for help works where jinja2 is not installed.
    from lasthop.fronts import find
    from lasthop.fronts.hop import Hop

    front = find(words.front)
    if words.check and front.executable() is None:
        raise FrontMissing(front.title, front.package)
    text = front.site(Hop(**_options(words)))
    if words.write is None:
        if not words.check:
            print(text, end="")
            return 0
        with tempfile.TemporaryDirectory(prefix="lasthop-front-") as directory:
            file = Path(directory) / f"{front.name}.conf"
            file.write_text(text, "utf-8")
            said = front.check_site(file, Path(directory))
        print(text, end="")
    else:
        file = Path(words.write)
        write(file, text, words.force)
        said = ""
        if words.check:
            with tempfile.TemporaryDirectory(prefix="lasthop-front-") as directory:
                said = front.check_site(file.absolute(), Path(directory))
    if words.check:
        print(said, file=sys.stderr)
        print(f"{front.title} {front.version()} takes it.", file=sys.stderr)
    return 0


def parser() -> Parser:
    """All options."""
    made = Parser("lasthop front", USAGE)
    made.description = DESCRIPTION
    made.add_argument("front", metavar="FRONT", help="nginx, apache, caddy or haproxy")
    hop = made.add_argument_group("The hop")
    bind = default_of("bind")
    assert isinstance(bind, tuple)
    hop.add_argument(
        "-b", "--bind", metavar="ADDRESS", default=bind[0],
        help=f"where the application listens, as for lasthop serve (default: {bind[0]})",
    )  # fmt: skip
    hop.add_argument(
        "--keep-alive", metavar="N",
        help="idle connections to the application that each process of the front keeps; 0: a connection a request (default: 32)",
    )  # fmt: skip
    hop.add_argument(
        "--no-forwarded", action="store_true",
        help="do not tell the application who asked (X-Forwarded-For, -Proto, -Host, X-Real-IP)",
    )  # fmt: skip
    site = made.add_argument_group("The site")
    site.add_argument(
        "--listen", metavar="HOST:PORT", help="where the front listens (default: :80, on all IPv4 addresses)"
    )
    site.add_argument(
        "--server-name",
        metavar="NAME",
        help="the site's name, such as shop.example.org or *.example.org (default: any)",
    )
    site.add_argument(
        "--upload-limit", metavar="BYTES", help="the longest body of a request; 0: any length (default: 1GiB)"
    )
    site.add_argument(
        "--websocket", action=argparse.BooleanOptionalAction, default=False,
        help="let clients change from HTTP to WebSocket (default: not)",
    )  # fmt: skip
    site.add_argument(
        "--static", metavar="URL=DIRECTORY", action="append", default=[],
        help="a path of URLs whose files the front serves from a directory, such as /static/=/srv/shop/static; any number of times",
    )  # fmt: skip
    output = made.add_argument_group("What becomes of it")
    output.add_argument("--write", metavar="PATH", help="write it to a file instead of printing it")
    output.add_argument(
        "--force", action="store_true", help="with --write: overwrite a file that says something else"
    )
    output.add_argument(
        "--check", action="store_true",
        help="have the front itself test it, and exit with 1 when it refuses; with --write, after writing",
    )  # fmt: skip
    return made


def write(file: Path, text: str, force: bool) -> None:
    """Write the file as a whole or not at all; one that says something else stays, unless forced."""
    try:
        there = file.read_bytes()
    except FileNotFoundError:
        there = None
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}", "the path of a file") from error
    if there == text.encode():
        print(f"{file} is as it should be.", file=sys.stderr)
        return
    if there is not None and not force:
        raise FileDiffers(str(file))
    target = file.resolve()  # a link, as in sites-enabled, stays one
    try:
        number, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as made:
                made.write(text)
            Path(name).chmod(target.stat().st_mode & 0o7777 if there is not None else 0o666 & ~_umask())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"cannot write {file}: {error.strerror}", "a file in a directory that you may write to"
        ) from error
    print(f"{file} is written.", file=sys.stderr)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _options(words: argparse.Namespace) -> dict[str, Any]:
    """What the hop is made of; what was not given is the hop's own default."""
    given: dict[str, Any] = {"forwarded": not words.no_forwarded, "websocket": words.websocket}
    given["application"] = parse(words.bind)
    if words.listen is not None:
        entrance = parse(words.listen)
        if not isinstance(entrance, TcpAddress):
            raise AddressError(words.listen, "clients come to a front over TCP", ":80 or 127.0.0.1:8080")
        given["entrance"] = entrance
    if words.server_name is not None:
        given["server_name"] = words.server_name
    if words.keep_alive is not None:
        given["keep_alive"] = _read("--keep-alive", words.keep_alive, kinds.CountOrZero)
    if words.upload_limit is not None:
        given["upload_bytes"] = _read("--upload-limit", words.upload_limit, kinds.BytesOrZero)
    given["static"] = dict(_static(text) for text in words.static)
    if len(given["static"]) < len(words.static):
        raise UsageError("--static has the same path of URLs twice", "each once")
    return given


def _read(option: str, text: str, annotated: Any) -> Any:
    kind = annotated.__metadata__[0]
    try:
        return kind.read(text)
    except kinds.Misfit as misfit:
        raise SettingError(option, text, "command line", misfit.rule, misfit.hint) from misfit


def _static(text: str) -> tuple[str, str]:
    url, equals, directory = text.partition("=")
    if not equals or not url or not directory:
        raise UsageError(
            f"--static {text!r} does not say which directory", "--static /static/=/srv/shop/static"
        )
    return url if url.endswith("/") else f"{url}/", directory
