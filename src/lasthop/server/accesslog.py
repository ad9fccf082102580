r"""The access log: a format read once into functions, then one line and one write for each reply.

Everything that a peer chose is escaped (``"``, ``\``, control bytes and bytes above 0x7e as ``\xHH``), so no request can end a line
or a quotation and forge the next. The atoms are gunicorn's.
"""

import base64
import binascii
import json
import os
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from lasthop.errors import AccessFormatError

Environ = dict[str, Any]
Access = Callable[[Environ, int, int, float], None]
"""What the engine calls after each reply: environ, status, bytes of the body, seconds."""

Reply = tuple[Environ, int, int, float]
Atom = Callable[[Reply], str]

COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

NAMED = {"combined": COMBINED}

_ATOM = re.compile(r"%(?:%|\((?P<name>[^)]*)\)(?P<kind>.?))")
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")


def make(fmt: str, write: Callable[[str], None]) -> Access:
    """The function that logs one reply in a format: ``combined``, ``json`` or one of the user's own."""
    if fmt == "json":
        return lambda environ, status, size, seconds: write(_json((environ, status, size, seconds)))
    template, atoms = compile_format(NAMED.get(fmt, fmt))

    def access(environ: Environ, status: int, size: int, seconds: float) -> None:
        reply = (environ, status, size, seconds)
        write(template % tuple([atom(reply) for atom in atoms]))

    return access


def check(fmt: str) -> None:
    """Raise AccessFormatError for a format that cannot be followed, or says nothing of a request."""
    make(fmt, lambda _line: None)
    if fmt not in ("combined", "json") and not compile_format(fmt)[1]:
        raise AccessFormatError(
            fmt,
            "it has no atom, so each line would be the same",
            "combined, json, or e.g. '%(h)s %(r)s %(s)s'",
        )


def compile_format(fmt: str) -> tuple[str, list[Atom]]:
    """A %-template that ends its line, and the function for each of its places."""
    atoms: list[Atom] = []
    template: list[str] = []
    at = 0
    for match in _ATOM.finditer(fmt):
        template.append(_constant(fmt, fmt[at : match.start()]))
        at = match.end()
        if match["name"] is None:
            template.append("%%")
        elif match["kind"] == "s":
            template.append("%s")
            atoms.append(_atom(fmt, match["name"]))
        else:
            raise AccessFormatError(fmt, f"%({match['name']}) is not followed by s", f"%({match['name']})s")
    return "".join(template) + _constant(fmt, fmt[at:]) + "\n", atoms


def _constant(fmt: str, text: str) -> str:
    if "%" in text:
        raise AccessFormatError(fmt, f"a % stands alone in {text!r}", "%% for a percent sign")
    return text


def _atom(fmt: str, name: str) -> Atom:
    if name.startswith("{") and name.endswith(("}i", "}e")):
        key = name[1:-2]
        if name.endswith("i"):
            key = key.upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        return lambda reply: escaped(reply[0].get(key))
    if name.startswith("{") and name.endswith("}o"):
        raise AccessFormatError(
            fmt,
            f"%({name})s: headers of the reply are not kept for the log",
            f"leave it out; %({name[:-1]}i)s is the request's header of that name",
        )
    if name not in ATOMS:
        raise AccessFormatError(
            fmt,
            f"there is no %({name})s",
            "there are " + " ".join(f"%({each})s" for each in [*ATOMS, "{header}i", "{variable}e"]),
        )
    return ATOMS[name]


def escaped(value: object) -> str:
    """A value for a log line; ``-`` when there is none."""
    if value is None or value == "":
        return "-"
    text = str(value)
    return _UNSAFE.sub(_escape, text) if _UNSAFE.search(text) else text


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return f"\\{character}" if character in '"\\' else "".join(f"\\x{byte:02x}" for byte in _bytes(character))


def _bytes(character: str) -> bytes:
    # WSGI's strings are bytes read as Latin-1; a str that an application put there may be more.
    return bytes([ord(character)]) if ord(character) < 256 else character.encode("utf-8", "backslashreplace")


def target_of(environ: Environ) -> str:
    """The request's target as it was sent, or put together again where the engine did not keep it."""
    for key in ("RAW_URI", "REQUEST_URI"):
        if raw := environ.get(key):
            return str(raw)
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    query = environ.get("QUERY_STRING")
    return f"{path}?{query}" if query else path


def user_of(environ: Environ) -> str | None:
    """The name that a peer gave by basic authentication, which nobody has checked here."""
    scheme, _, word = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(word.strip(), validate=True).split(b":", 1)[0].decode("latin-1")
    except (binascii.Error, ValueError):
        return None


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""English whatever the locale, as log readers expect."""


class _Clock:
    """The time in words, made once a second."""

    def __init__(self, words: Callable[[int], str]) -> None:
        self._words = words
        self._made = (0, "")

    def __call__(self, _reply: Reply) -> str:
        second, text = self._made
        now = int(time.time())
        if now != second:
            text = self._words(now)
            self._made = (now, text)  # one assignment: threads see the old pair or the new one
        return text


def _common(now: int) -> str:
    """``[22/Nov/2026:15:37:00 +0000]``."""
    local = time.localtime(now)
    return time.strftime(f"[%d/{MONTHS[local.tm_mon - 1]}/%Y:%H:%M:%S %z]", local)


def _rfc_3339(now: int) -> str:
    """``2026-11-22T15:37:00+00:00``."""
    return datetime.fromtimestamp(now).astimezone().isoformat()


json_clock = _Clock(_rfc_3339)


def _line(reply: Reply) -> str:
    environ = reply[0]
    return escaped(f"{environ.get('REQUEST_METHOD')} {target_of(environ)} {environ.get('SERVER_PROTOCOL')}")


ATOMS: dict[str, Atom] = {
    "h": lambda reply: escaped(reply[0].get("REMOTE_ADDR")),
    "l": lambda _reply: "-",
    "u": lambda reply: escaped(user_of(reply[0])),
    "t": _Clock(_common),
    "r": _line,
    "m": lambda reply: escaped(reply[0].get("REQUEST_METHOD")),
    "U": lambda reply: escaped(reply[0].get("PATH_INFO")),
    "q": lambda reply: escaped(reply[0].get("QUERY_STRING")),
    "H": lambda reply: escaped(reply[0].get("SERVER_PROTOCOL")),
    "s": lambda reply: str(reply[1]),
    "B": lambda reply: str(reply[2]),
    "b": lambda reply: str(reply[2] or "-"),
    "f": lambda reply: escaped(reply[0].get("HTTP_REFERER")),
    "a": lambda reply: escaped(reply[0].get("HTTP_USER_AGENT")),
    "T": lambda reply: str(int(reply[3])),
    "D": lambda reply: str(int(reply[3] * 1_000_000)),
    "M": lambda reply: str(int(reply[3] * 1_000)),
    "L": lambda reply: f"{reply[3]:.6f}",
    "p": lambda _reply: f"<{os.getpid()}>",
}
"""gunicorn's atoms: host, login, user, time, request line, method, path, query, protocol, status, bytes (B: as a number), referer,
agent, seconds, microseconds, milliseconds, decimal seconds, pid."""


def _json(reply: Reply) -> str:
    """One object a line; json's own escapes keep it one line, and everything beyond ASCII is escaped too."""
    environ, status, size, seconds = reply
    return (
        json.dumps(
            {
                "time": json_clock(reply),
                "peer": environ.get("REMOTE_ADDR", ""),
                "method": environ.get("REQUEST_METHOD"),
                "target": target_of(environ),
                "protocol": environ.get("SERVER_PROTOCOL"),
                "status": status,
                "bytes": size,
                "seconds": round(seconds, 6),
                "host": environ.get("HTTP_HOST"),
                "referer": environ.get("HTTP_REFERER"),
                "agent": environ.get("HTTP_USER_AGENT"),
                "pid": os.getpid(),
            }
        )
        + "\n"
    )
