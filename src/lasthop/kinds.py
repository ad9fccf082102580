"""What the value of a setting can be: how it is read from a text or from TOML, how it is written, and its rule.

One kind serves the command line, the environment, the settings file, Python and the reference page alike, so that a rule has
one wording and one meaning everywhere. Knows nothing of where a value came from.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple


class Misfit(ValueError):
    """A value that breaks its rule; `rule` goes after "but". `part` is the one of several values that does."""

    def __init__(self, rule: str, hint: str = "", part: object = None) -> None:
        self.rule = rule
        self.hint = hint
        self.part = part
        super().__init__(rule)


class Kind(NamedTuple):
    """A kind of value. `read` takes a text or a value of TOML or Python, and raises Misfit."""

    metavar: str
    read: Callable[[Any], Any]
    show: Callable[[Any], str] = str
    many: bool = False
    """The option can be given several times; in the environment the values are separated by commas or blanks."""
    switch: bool = False
    """The option takes no value: --NAME and --no-NAME."""


# Time

SECONDS_IN = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_SECONDS = 365 * 86400.0
"""Any time-out above is a mistake; and all of them fit in the engine's milliseconds."""

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d))+")
_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d)")


def _seconds(zero_is_allowed: bool) -> Callable[[Any], float]:
    least = "0 or more" if zero_is_allowed else "above 0"
    rule = f"it must be a number of seconds {least}, or a duration such as 1500ms, 30s, 2m or 1h30m"

    def read(value: Any) -> float:
        if isinstance(value, str):
            if _DURATION.fullmatch(value):
                value = sum(float(number) * SECONDS_IN[unit] for number, unit in _PART.findall(value))
            elif re.fullmatch(_NUMBER, value):
                value = float(value)
            else:
                raise Misfit(rule)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise Misfit(rule)
        if value == 0 and not zero_is_allowed:
            raise Misfit(rule)
        if value > LONGEST_SECONDS:
            raise Misfit("no more than 365d can be meant")
        return float(value)

    return read


def show_seconds(value: float) -> str:
    """Write a duration in the largest unit in which it is a whole number."""
    milliseconds = round(value * 1000)
    if milliseconds == 0:
        return "0"
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0 and (milliseconds > size or unit == "s"):
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


Seconds = Annotated[float, Kind("SECONDS", _seconds(zero_is_allowed=False), show_seconds)]
SecondsOrZero = Annotated[float, Kind("SECONDS", _seconds(zero_is_allowed=True), show_seconds)]

# Numbers

BYTES_IN = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
MOST_BYTES = 1 << 62
MOST = (1 << 31) - 1
"""Counts are C ints in the engine."""


def _bytes(least: int, most: int = MOST_BYTES) -> Callable[[Any], int]:
    reach = f"from {least} on" if most == MOST_BYTES else f"from {least} to {show_bytes(most)}"
    rule = f"it must be a number of bytes {reach}, such as 8190, 8k, 64KiB or 1GiB (k is 1024)"

    def read(value: Any) -> int:
        if isinstance(value, str):
            match = re.fullmatch(r"([0-9]{1,19})(?:([kmg])(?:ib)?)?", value.lower())
            if match is None:
                raise Misfit(rule)
            value = int(match[1]) * BYTES_IN[match[2] or ""]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Misfit(rule)
        return value

    return read


def show_bytes(value: int) -> str:
    """Write a number of bytes in the largest unit in which it is a whole number."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)


HeadBytes = Annotated[int, Kind("BYTES", _bytes(64, 16 << 20), show_bytes)]
"""Of a head, or a part of one: it lies in memory while it comes."""
BytesOrZero = Annotated[int, Kind("BYTES", _bytes(0), show_bytes)]
ByteCount = Annotated[int, Kind("BYTES", _bytes(1), show_bytes)]


def _whole(value: Any, least: int, most: int, rule: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Misfit(rule)
    if value > most:
        raise Misfit(f"no more than {most} can be meant")
    return value


def _count(least: int, most: int = MOST) -> Callable[[Any], int]:
    rule = f"it must be a whole number, {least} or more"
    return lambda value: _whole(value, least, most, rule)


Count = Annotated[int, Kind("N", _count(1))]
CountOrZero = Annotated[int, Kind("N", _count(0))]
Threads = Annotated[int, Kind("N", _count(1, 1024))]


def _workers(value: Any) -> int | str:
    return (
        "auto" if value == "auto" else _whole(value, 1, 4096, "it must be a whole number, 1 or more, or auto")
    )


Workers = Annotated[int | Literal["auto"], Kind("N", _workers)]


def _descriptor(value: Any) -> int | None:
    rule = "it must be the number of a file descriptor that lasthop inherits, 1 or more"
    return None if value in (None, "") else _whole(value, 1, MOST, rule)


Descriptor = Annotated[int | None, Kind("FD", _descriptor)]

# Words


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else value
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise Misfit("it must be true or false")


Switch = Annotated[bool, Kind("", _switch, lambda value: "true" if value else "false", switch=True)]

LEVELS = ("debug", "info", "warning", "error", "critical")


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if isinstance(value, str) and value.lower() in words:
            return value.lower()
        raise Misfit(f"it must be one of {', '.join(words)}")

    return read


Level = Annotated[Literal["debug", "info", "warning", "error", "critical"], Kind("LEVEL", _one_of(LEVELS))]
Interface = Annotated[Literal["auto", "wsgi", "asgi"], Kind("KIND", _one_of(("auto", "wsgi", "asgi")))]
Loop = Annotated[Literal["asyncio", "uvloop"], Kind("LOOP", _one_of(("asyncio", "uvloop")))]
SocketMissing = Annotated[
    Literal["restore", "warn", "exit"], Kind("POLICY", _one_of(("restore", "warn", "exit")))
]


def _lifespan(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"  # TOML's own words
    return _one_of(("auto", "on", "off"))(value)


Lifespan = Annotated[Literal["auto", "on", "off"], Kind("WHETHER", _lifespan)]


def _root_path(value: Any) -> str:
    if not isinstance(value, str) or (value and not value.startswith("/")):
        raise Misfit("it must be a path that begins with a slash, or nothing")
    if not value.isprintable():
        raise Misfit("it may have no control characters")
    return value.rstrip("/")


RootPath = Annotated[str, Kind("PATH", _root_path)]


def _proxy_protocol(value: Any) -> str:
    if value is False:
        return "off"  # TOML's own word
    if isinstance(value, str) and value.lower() in ("off", "v1", "v2", "on"):
        return value.lower()
    raise Misfit("it must be off, v1, v2 or on (either version)")


ProxyProtocol = Annotated[Literal["off", "v1", "v2", "on"], Kind("VERSION", _proxy_protocol)]


def _text(rule: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not value or "\0" in value:
            raise Misfit(rule)
        return value

    return read


def _optional(read: Callable[[Any], str]) -> Callable[[Any], str | None]:
    """An empty text turns off what a source of less weight has turned on."""
    return lambda value: None if value in (None, "") else read(value)


def _several(read: Callable[[Any], str], rule: str) -> Callable[[Any], tuple[str, ...]]:
    def read_all(value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, (list, tuple)):
            raise Misfit(rule)
        return tuple(read(each) for each in value)

    return read_all


def _address(value: Any) -> str:
    from lasthop.errors import AddressError
    from lasthop.link.address import parse

    if not isinstance(value, str):
        raise Misfit("it must be a text such as 127.0.0.1:8000 or unix:/run/app.sock")
    try:
        parse(value)
    except AddressError as error:
        raise Misfit(error.rule, error.hint, value) from error
    return value


def _addresses(value: Any) -> tuple[str, ...]:
    addresses = _several(_address, "it must be an address or a list of addresses")(value)
    if not addresses:
        raise Misfit("at least one address is needed")
    for at, address in enumerate(addresses):
        if address in addresses[:at]:
            raise Misfit(f"{address} stands there twice")
    return addresses


def _status_address(value: Any) -> str:
    from lasthop.link.address import AbstractAddress, TcpAddress, UnixAddress, parse

    if value is None or value is False or value == "":
        return "none"  # as an empty variable and TOML's false have it
    if isinstance(value, str) and value.lower() in ("auto", "none"):
        return value.lower()
    text = _address(value)
    if not isinstance(parse(text), (UnixAddress, AbstractAddress, TcpAddress)):
        raise Misfit(
            "it must be auto, none, unix:/PATH, unix:@NAME or HOST:PORT", "unix:/run/app/status.sock", value
        )
    return text


def _listed(read: Callable[[Any], str], rule: str) -> Callable[[Any], tuple[str, ...]]:
    """As `_several`, and a text may hold several, with commas between them: none of these values has one."""
    each = _several(read, rule)

    def read_all(value: Any) -> tuple[str, ...]:
        parts: list[Any] = []
        for one in (
            [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
        ):
            parts += [part.strip() for part in one.split(",")] if isinstance(one, str) else [one]
        return tuple(dict.fromkeys(each(parts)))

    return read_all


MOST_PEERS = 64
"""Of users, and of groups, that the engine compares each new connection with."""


def _peer(value: Any) -> str:
    from lasthop.errors import PeerError
    from lasthop.link.allowed import parse

    if not isinstance(value, str):
        raise Misfit("it must be a text such as www-data, uid:33, group:www-data or gid:33")
    try:
        return str(parse(value))
    except PeerError as error:
        raise Misfit(error.rule, error.hint, value) from error


def _peers(value: Any) -> tuple[str, ...]:
    peers = _listed(_peer, "it must be a user or a group, or a list of them")(value)
    if len(peers) > MOST_PEERS:
        raise Misfit(f"no more than {MOST_PEERS} can be named")
    return peers


MOST_PROXIES = 1024
"""Networks: each hop of a chain is compared with all of them."""


def _proxy(value: Any) -> str:
    import ipaddress

    if value == "unix":
        return "unix"
    try:
        # A number would be an address as well, and hardly the one that is meant.
        network = ipaddress.ip_network(value if isinstance(value, str) else "")
    except ValueError as error:
        rule = "it must be an IP address, a network such as 10.0.0.0/8 (no bit set after its prefix), or unix"
        raise Misfit(rule, _proxy_hint(value), value) from error
    return str(network.network_address if network.num_addresses == 1 else network)


def _proxy_hint(value: Any) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_network(value, strict=False))
    except (ValueError, TypeError):
        return (
            "" if value != "*" else "0.0.0.0/0 and ::/0 are everybody, and then anybody can say to be anyone"
        )


def _proxies(value: Any) -> tuple[str, ...]:
    proxies = _listed(_proxy, "it must be an address, a network or unix, or a list of them")(value)
    if len(proxies) > MOST_PROXIES:
        raise Misfit(f"no more than {MOST_PROXIES} can be named")
    return proxies


def _show_all(values: tuple[str, ...]) -> str:
    return " ".join(values)


_PATH_RULE = "it must be a path"

Text = Annotated[str, Kind("TEXT", _text("it must be a text that is not empty"))]
LogFile = Annotated[str, Kind("PATH", _text("it must be a path, or - for standard error"))]
OptionalLogFile = Annotated[
    str | None, Kind("PATH", _optional(_text("it must be a path, or - for standard output")))
]
OptionalPath = Annotated[str | None, Kind("PATH", _optional(_text(_PATH_RULE)))]
Directories = Annotated[
    tuple[str, ...],
    Kind("PATH", _several(_text(_PATH_RULE), "it must be a path or a list of paths"), _show_all, many=True),
]


def _file_mode(value: Any) -> str:
    """As a text: a number in TOML may be meant in octal digits or not, and a wrong guess would open the file to others."""
    from lasthop.link.address import file_mode

    if not isinstance(value, str):
        raise Misfit("it must be a text of octal digits such as '0660'", "'0660', in quotes")
    try:
        return f"{file_mode(value):04o}"
    except ValueError as error:
        raise Misfit(f"it must be a mode: {error}", "0660", value) from None


FileMode = Annotated[str | None, Kind("MODE", _optional(_file_mode))]
Owner = Annotated[str | None, Kind("NAME", _optional(_text("it must be a name or a number")))]
Addresses = Annotated[tuple[str, ...], Kind("ADDRESS", _addresses, _show_all, many=True)]
StatusAddress = Annotated[str, Kind("ADDRESS", _status_address)]
Peers = Annotated[tuple[str, ...], Kind("WHO", _peers, _show_all, many=True)]
Proxies = Annotated[tuple[str, ...], Kind("PROXY", _proxies, _show_all, many=True)]
"""What ``--trust-proxy`` takes."""
