"""The compiled part: connections, readiness, and the meeting of HTTP/1 with sockets and applications."""

from lasthop.engine.slot import SLOT_FIELDS, SLOT_SIZE
from lasthop.engine.wsgi import Engine
from lasthop.http1.limits import Limits

__all__ = ["SLOT_FIELDS", "SLOT_SIZE", "Engine", "Limits"]
