"""Memory that the supervisor shares with its workers: one page for each, in which a worker's engine counts.

A memory file rather than an anonymous mapping, because a worker that a loader forks must find pages made after the loader was.
The supervisor does not know what an engine counts: a ready worker tells it where its last sign of life stands.
"""

import mmap
import os
import struct

PAGE_BYTES = mmap.PAGESIZE

BOARD_BYTES = 16_384
"""Before the pages: one part that all workers see, by which they share the load evenly. A line of it belongs to each page."""

_LINE_BYTES = 64

_UNSIGNED = struct.Struct("=Q")


class Slots:
    """Pages given out and taken back by number."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("lasthop-slots", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, BOARD_BYTES)
        self._board = board(self.descriptor)
        self._pages: list[mmap.mmap] = []
        self._free: list[int] = []

    def take(self) -> int:
        """The number of an empty page."""
        if not self._free:
            number = len(self._pages)
            os.ftruncate(self.descriptor, BOARD_BYTES + (number + 1) * PAGE_BYTES)
            self._pages.append(page(self.descriptor, number))
            return number
        number = self._free.pop()
        self._pages[number][:] = bytes(PAGE_BYTES)
        return number

    def give_back(self, number: int) -> None:
        """The worker is gone: nobody writes there any more, and nobody must wait for it."""
        line = (number + 1) * _LINE_BYTES
        if line < BOARD_BYTES:
            self._board[line : line + _LINE_BYTES] = bytes(_LINE_BYTES)
        self._free.append(number)

    def read(self, number: int, offset: int) -> int:
        """One of the counters of a page."""
        return int(_UNSIGNED.unpack_from(self._pages[number], offset)[0])

    def close(self) -> None:
        for each in (self._board, *self._pages):
            each.close()
        os.close(self.descriptor)


def page(descriptor: int, number: int) -> mmap.mmap:
    """One page of the shared file."""
    return mmap.mmap(descriptor, PAGE_BYTES, offset=BOARD_BYTES + number * PAGE_BYTES)


def board(descriptor: int) -> mmap.mmap:
    """The part that all workers see."""
    return mmap.mmap(descriptor, BOARD_BYTES)
