"""Writing a configuration: a template, and the rule that nothing gets into it unquoted.

Everything that a template prints is a number or `Written`, that is, a text that a front's own quoting has made. Anything else is
refused while it is being printed, so that a forgotten filter is an error and not a directive smuggled in by a path.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path

from lasthop.errors import MissingExtra
from lasthop.fronts.hop import EVERYWHERE, Hop, refuse_controls
from lasthop.link.address import TcpAddress

TEMPLATES = Path(__file__).parent / "templates"


LONGEST_SLUG = 32
"""nginx has little room for the names of variables (variables_hash_bucket_size), in which it is used."""

STRANGERS = (
    "Forwarded",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    # It would become HTTP_PROXY in the application, which some libraries take for a setting.
    "Proxy",
)
"""What a client must not say of itself, besides what a front sets: frameworks believe some of these."""


class Written(str):
    """A text as it may stand in a configuration."""

    __slots__ = ()


def write(template: str, quoted: Callable[[str], Written], hop: Hop, **facts: object) -> str:
    """The text of a template. `quoted` is the front's way of writing any text as one word; it refuses what it cannot."""
    try:
        import jinja2
    except ImportError:
        raise MissingExtra("the configuration of a front", "jinja2", "front") from None
    environment = jinja2.Environment(  # noqa: S701 - a configuration is no HTML: each front quotes in its own way
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_only_written,
    )
    environment.filters.update(quoted=quoted, comment=comment)
    text: str = environment.get_template(template).render(
        hop=hop,
        is_tcp=isinstance(hop.application, TcpAddress),
        strangers=[Written(name) for name in STRANGERS],
        **facts,
    )
    return text


def _only_written(value: object) -> object:
    if isinstance(value, (Written, int)):
        return value
    raise TypeError(f"a template prints {value!r}, which nobody has quoted")


def comment(value: object) -> Written:
    """A text in a comment: it ends with the line, and there is no other way out of it."""
    text = str(value)
    refuse_controls("the text", text)
    return Written(text)


def slug(hop: Hop) -> Written:
    """A word for what must have another name in another site's file: `shop_example_org`, `run_shop_sock_1f2e3d4c`."""
    place = hop.server_name or str(hop.application).removeprefix("unix:")
    if hop.server_name and hop.entrance.port != EVERYWHERE.port:
        place += f".{hop.entrance.port}"  # one name may have a site on each port
    words = re.sub(r"[^a-z0-9]+", "_", place.lower()).strip("_")
    if words == place.replace(".", "_") and len(words) <= LONGEST_SLUG:
        return Written(words)
    # Two places may differ in nothing but what such a word cannot hold.
    return Written(f"{words[: LONGEST_SLUG - 9].strip('_')}_{zlib.crc32(place.encode()):08x}")
