"""The corpus as data: what a file of `tests/corpus` sends, and the events that must come of it.

Knows the files' format (tests/corpus/README.md) and the shape of the reader's events; never how a request is read. Strict: a file that
could be misread by a person, with blanks at a line's end or bytes that do not print, is an error and not a case.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lasthop.http1 import REFUSALS, Limits

CORPUS = Path(__file__).parent.parent / "corpus"
RULE = "----------"

Event = tuple[Any, ...]
Events = list[Event]

_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}
_HEAD = re.compile(
    r"head (\S+) (.+) HTTP/1\.([01]) (no-body|chunked|length=[0-9]+) (keep|close)( expect-continue)?"
)
_REFUSED = re.compile(r"refused ([0-9]{3}) ([a-z0-9_]+)")
_TIMES = re.compile(r"([1-9][0-9]*) times (.*)")
_LIMIT = re.compile(r"(line|fields|field_size|head|body)=([0-9]+)")


@dataclass(frozen=True)
class Case:
    """One file: why it is there, what is sent under which limits, and what must be seen."""

    name: str
    why: str
    limits: Limits
    sent: bytes
    expected: Events
    waits: bool
    """The bytes end within a request (or before one): nothing more is seen, and nothing is refused."""

    @property
    def refused(self) -> bool:
        return bool(self.expected) and self.expected[-1][0] == "refused"


def cases() -> Iterator[Case]:
    """All files, in the order of their names."""
    for path in sorted(CORPUS.rglob("*.http")):
        yield parse(path.relative_to(CORPUS).with_suffix("").as_posix(), path.read_text("ascii"))


def parse(name: str, text: str) -> Case:
    sections: list[list[str]] = [[]]
    for number, line in enumerate(text.splitlines(), 1):
        if not all(" " <= c <= "~" for c in line) or line != line.rstrip(" "):
            raise ValueError(
                f"{name}:{number}: a byte that does not print, or blanks at the end: write them as escapes"
            )
        if line == RULE:
            sections.append([])
        else:
            sections[-1].append(line)
    if len(sections) != 3:
        raise ValueError(
            f"{name}: {len(sections)} sections where three are wanted: why, what is sent, what is seen"
        )
    about, sent, seen = sections
    why = " ".join(line for line in about if not line.startswith("limits:"))
    if not re.search(r"\w[.?!]$|[`).]\.$|`$|\)$", why):
        raise ValueError(
            f"{name}: the first section is a sentence that says why, with its full stop: {why!r}"
        )
    limits: dict[str, int] = {}
    for line in about:
        if line.startswith("limits:"):
            for word in line.removeprefix("limits:").split():
                matched = _LIMIT.fullmatch(word)
                if matched is None:
                    raise ValueError(f"{name}: not a limit: {word!r}")
                limits[matched[1]] = int(matched[2])
    expected, waits = _expectation(name, seen)
    return Case(name, why, Limits(**limits), unescape("".join(sent)), expected, waits)


def unescape(text: str) -> bytes:
    r"""The bytes that `text` stands for: `\r \n \t \\ \xHH`, and `\{N TEXT}` for N times TEXT, which may hold escapes again."""
    data, end = _unescape(text, 0, within=False)
    if end != len(text):
        raise ValueError(f"nothing is open that could be closed at {text[end : end + 20]!r}")
    return data


def _unescape(text: str, at: int, *, within: bool) -> tuple[bytes, int]:
    data = bytearray()
    while at < len(text):
        c = text[at]
        if c == "}" and within:
            return bytes(data), at
        if c != "\\":
            data += c.encode("ascii")
            at += 1
            continue
        kind = text[at + 1 : at + 2]
        if kind in _ESCAPES:
            data += _ESCAPES[kind]
            at += 2
        elif kind == "x":
            data += bytes.fromhex(text[at + 2 : at + 4])
            at += 4
        elif kind == "{":
            space = text.index(" ", at)
            times = int(text[at + 2 : space])
            part, at = _unescape(text, space + 1, within=True)
            data += part * times
            at += 1
        else:
            raise ValueError(f"unknown escape at {text[at : at + 20]!r}")
    if within:
        raise ValueError("a repetition is not closed")
    return bytes(data), at


def _expectation(name: str, lines: list[str]) -> tuple[Events, bool]:
    events: Events = []
    waits = False
    for line in lines:
        if waits or (events and events[-1][0] == "refused"):
            raise ValueError(f"{name}: nothing comes after {'`waits`' if waits else 'a refusal'}: {line!r}")
        if line.startswith("  "):
            times, field = 1, line[2:]
            if (counted := _TIMES.fullmatch(field)) is not None:
                times, field = int(counted[1]), counted[2]
            key, colon, value = field.partition(":")
            if not colon or not (value.startswith(" ") or not value) or events[-1][0] != "head":
                raise ValueError(f"{name}: not `  Name: value` below a head: {line!r}")
            events[-1][4].extend([(unescape(key), unescape(value[1:]))] * times)
        elif (head := _HEAD.fullmatch(line)) is not None:
            method, target, minor, framing, keep, expect = head.groups()
            size = {"no-body": None, "chunked": "chunked"}.get(framing, framing)
            events.append((
                "head", unescape(method), unescape(target), (1, int(minor)), [],
                int(size.removeprefix("length=")) if isinstance(size, str) and size != "chunked" else size,
                keep == "keep", expect is not None,
            ))  # fmt: skip
        elif line.startswith("body "):
            events.append(("data", unescape(line[5:])))
        elif line == "end":
            events.append(("end",))
        elif line == "waits":
            waits = True
        elif (refusal := _REFUSED.fullmatch(line)) is not None:
            status, reason = int(refusal[1]), refusal[2]
            if REFUSALS[reason][0] != status:
                raise ValueError(f"{name}: {reason} is {REFUSALS[reason][0]}, not {status}")
            events.append(("refused", status, reason))
        else:
            raise ValueError(f"{name}: no event: {line!r}")
    if not waits and (not events or events[-1][0] not in ("end", "refused")):
        raise ValueError(f"{name}: ends neither with `end` nor with a refusal: say `waits` if that is meant")
    return events, waits
