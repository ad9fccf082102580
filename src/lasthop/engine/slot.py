"""What an engine tells of itself while it runs: numbers in memory that the supervisor shares.

One slot a worker: 64-bit unsigned integers in the machine's byte order, field i at byte 8*i. One writer (the engine), any number of
readers; each number is written whole, the numbers together are not a snapshot.
"""

from typing import Final

SLOT_FIELDS: Final[tuple[str, ...]] = (
    "requests",  # handed to the application since the start
    "connections",  # open now
    "accepted",  # connections since the start
    "busy",  # threads in the application now
    "errors",  # requests whose application failed
    "refused",  # requests that broke a rule and were answered with the rule's status
    "timed_out",  # connections closed because their peer was too slow, or idle for too long
    "turned_ns",  # CLOCK_MONOTONIC, in ns, of the last sign that the worker is not stuck
    "sent_bytes",  # of replies
    "held",  # replies held back to be sent in one go
    "promoted",  # parked threads woken because those running were blocked
    "rescued",  # connections accepted by the attendant because all threads were busy
    "strangers",  # connections of peers that --allow-peer does not name, closed unread
)
SLOT_SIZE: Final = 8 * 32
"""Bytes of a slot: room for fields to come."""
BOARD_SIZE: Final = 64 * 256
"""Bytes of the board, by which workers share the load: a cache line for each of 255, and one before them (balance.pxd)."""
