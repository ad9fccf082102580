"""What can go wrong in a bench, apart from lasthop's own errors: the bench must run without lasthop installed."""

from __future__ import annotations


class BenchError(Exception):
    """A case or the whole bench could not be measured; the text says what to do."""


class ServerError(BenchError):
    """A server did not start, did not reply as it should, or died."""

    def __init__(self, name: str, what: str, said: str) -> None:
        self.name = name
        self.what = what
        self.said = said
        super().__init__(f"{name}: {what}" + (f"; it said last:\n{said}" if said else "; it said nothing"))
