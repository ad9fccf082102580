"""What is to be measured: the cells that the factors make, the request, the time that it may take.

Plain data and arithmetic: nothing here starts, asks or measures anything.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from lasthop.compare.results import Cell

DEFAULT_SECONDS = 60.0
THOROUGH_SECONDS = 600.0
LEAST_ROUNDS = 3
AGAIN = " (again)"
"""What a twin's name ends with."""


@dataclass(frozen=True)
class Request:
    """What is asked, of every cell alike."""

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def text(self, *, keep_alive: bool) -> bytes:
        """The bytes of it; without `keep_alive` it asks for the connection to be closed."""
        fields = list(self.headers)
        names = {name.lower() for name, _ in fields}
        if "host" not in names:
            fields.insert(0, ("Host", "localhost"))
        if "user-agent" not in names:
            fields.append(("User-Agent", "lasthop-compare"))
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            fields.append(("Content-Length", str(len(self.body))))
        if not keep_alive:
            fields.append(("Connection", "close"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"{self.method} {self.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + self.body


STRETCH = 1.75
"""How many times as long as was asked for it may take where the machine is too busy for the rounds that an answer needs."""

SECRET = re.compile(
    r"auth|cookie|token|key|secret|session|passw|credential|signature|csrf|xsrf", re.IGNORECASE
)
"""In the names of headers whose values are nobody's business: results and pages are passed on."""
NOT_SHOWN = "(not shown)"


def value_shown(name: str, value: str) -> str:
    """What may be written of a header's value."""
    return NOT_SHOWN if SECRET.search(name) else value


def hushed(text: str, request: Request) -> str:
    """A text that a server wrote, without the secrets of the request, which it may have got to know."""
    for name, value in request.headers:
        if value_shown(name, value) != value:
            for secret in (value, *value.split()):
                if len(secret) >= LEAST_SECRET:
                    text = text.replace(secret, NOT_SHOWN)
    return text


LEAST_SECRET = 5
"""Characters: shorter words are those of any text."""


def command_shown(words: Sequence[str], request: Request) -> str:
    """A command line without the request's secrets: values of headers, and the body."""
    secrets = [value for name, value in request.headers if value_shown(name, value) != value]
    secrets.append(request.body.decode(errors="replace"))
    shown = []
    for word in words:
        secret = next((each for each in secrets if each and word.endswith(each)), "")
        shown.append(word.removesuffix(secret) + NOT_SHOWN * bool(secret))
    return shlex.join(shown)


@dataclass(frozen=True)
class Plan:
    """A comparison before it is run."""

    cells: dict[str, Cell]
    request: Request = field(default_factory=Request)
    seconds: float = DEFAULT_SECONDS
    """How long the rounds may take together."""
    slice_seconds: float = 0.0
    """How long a cell is measured before the next has its turn; 0: as short as its replies allow, seen in the first round."""
    warm_seconds: float = 0.01
    """Before each slice, left out of it; at least, where the length of slices is seen."""
    most_rounds: int = 0
    """0: as many as the time allows."""
    seed: int = 1
    workers: int = 1
    threads: int = 16
    burst: int = 0
    """Connections at the same moment; 0: no burst."""
    expect_status: int = 0
    """The status that replies must have; 0: any of 2xx and 3xx."""
    any_status: bool = False
    """Whatever the application replies will do; a front's own 502 will not."""
    start_seconds: float = 20.0
    reply_seconds: float = 10.0
    """How long a reply may take."""


@dataclass(frozen=True)
class Factors:
    """The levels of each factor; every combination is a cell."""

    targets: Sequence[str]
    links: Sequence[str] = ("unix", "tcp")
    fronts: Sequence[str] = ("direct",)
    servers: Sequence[str] = ("lasthop",)
    keep_alive: Sequence[bool] = (True, False)
    connections: Sequence[int] = (32,)
    bodies: Sequence[int] = (0,)
    rates: Sequence[float] = (0.0,)


def cells_of(factors: Factors, *, twin: bool = True) -> dict[str, Cell]:
    """The cells by name, and a twin of the first one. Names say what differs, and the link in any case."""
    combinations = itertools.product(
        factors.targets,
        factors.servers,
        factors.fronts,
        factors.keep_alive,
        factors.connections,
        factors.bodies,
        factors.rates,
        factors.links,
    )
    named: dict[str, Cell] = {}
    for target, server, front, keep, connections, body, rate, link in combinations:
        words = [target] if len(factors.targets) > 1 else []
        words += [server] if len(factors.servers) > 1 else []
        words += [front] if len(factors.fronts) > 1 or front != "direct" else []
        words += [link]
        words += [
            ("kept alive" if keep else "a connection a request")
            if len(factors.keep_alive) > 1 or not keep
            else ""
        ]
        words += [f"{connections} connections"] if len(factors.connections) > 1 else []
        words += [f"{body} bytes"] if len(factors.bodies) > 1 else []
        words += [f"{rate:g}/s" if rate else "closed loop"] if len(factors.rates) > 1 else []
        named[", ".join(word for word in words if word)] = Cell(
            target, link, front, server, keep, connections, body, rate
        )
    if twin and named:
        first = next(iter(named))
        named[first + AGAIN] = dataclasses.replace(named[first], twin=True)
    return named
