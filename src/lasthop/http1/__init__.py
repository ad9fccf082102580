"""HTTP/1 without a socket: bytes in, requests out; replies in, bytes out. Knows no loop, thread, log or clock."""

from lasthop.http1.limits import Limits
from lasthop.http1.refusals import REFUSALS

try:
    from lasthop.http1.reader import RequestReader
except ImportError as error:
    # The sources are there, what the compiler makes of them is not: `import cython` fails, or the names that only C has.
    from lasthop.errors import NotCompiled

    raise NotCompiled("lasthop.http1") from error

__all__ = ["REFUSALS", "Limits", "RequestReader"]
