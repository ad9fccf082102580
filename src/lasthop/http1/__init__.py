"""HTTP/1 without a socket: bytes in, requests out; replies in, bytes out. Knows no loop, thread, log or clock."""

from lasthop.http1.limits import Limits
from lasthop.http1.reader import RequestReader
from lasthop.http1.refusals import REFUSALS

__all__ = ["REFUSALS", "Limits", "RequestReader"]
