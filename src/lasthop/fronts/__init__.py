"""The web servers before an application: their configuration out of one description of the hop; start, stop, check.

`hop` is the description, `front` what every front can do, `nginx`, `apache`, `caddy`, `haproxy` the fronts, each with its template;
`writing` makes the text, `program` asks the program, `running` runs it. Knows no HTTP of its own.
"""

from __future__ import annotations

import difflib

from lasthop.errors import UnknownFront
from lasthop.fronts.apache import Apache
from lasthop.fronts.caddy import Caddy
from lasthop.fronts.front import Front
from lasthop.fronts.haproxy import Haproxy
from lasthop.fronts.nginx import Nginx

FRONTS: dict[str, Front] = {front.name: front for front in (Nginx(), Apache(), Caddy(), Haproxy())}
"""All fronts by name."""

__all__ = ["FRONTS", "find"]


def find(name: str) -> Front:
    """The front of this name."""
    if name not in FRONTS:
        raise UnknownFront(name, list(FRONTS), difflib.get_close_matches(name, FRONTS, n=2, cutoff=0.5))
    return FRONTS[name]
