"""The compiled part: connections, readiness, and the meeting of HTTP/1 with sockets and applications."""

from lasthop.engine.slot import BOARD_SIZE, SLOT_FIELDS, SLOT_SIZE
from lasthop.http1 import Limits

try:
    from lasthop.engine.wsgi import Engine
except ImportError as error:
    from lasthop.errors import NotCompiled

    raise NotCompiled("lasthop.engine") from error

__all__ = ["BOARD_SIZE", "SLOT_FIELDS", "SLOT_SIZE", "Engine", "Limits"]
