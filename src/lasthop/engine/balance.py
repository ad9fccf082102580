# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Even load: which worker leaves a new connection to the others.

All workers accept from the same queue, and the kernel wakes the one that came to wait last: left to itself, most of the work lands on few of
them. So each keeps a `Share` on a board that all can read, and one that is ahead of another takes its listeners out of its epoll set.

Knows numbers only; what follows from them is done in `poll` and by the attendant. The numbers are read without a lock: one that is a moment old sends a
connection to the second best, and nothing worse. Nothing here is trusted to be kept up: a worker that is stuck or killed may look ready for
ever, so whoever holds back also looks whether the queue is served (`attendant`).
"""

import cython
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_SEQ_CST,
    __atomic_compare_exchange_n,
    __atomic_load_n,
    __atomic_store_n,
)
from cython.cimports.libc.stdint import int64_t

_BEHIND = cython.declare(int64_t, 64)
"""How far behind the others one may be: what it did not take while it was busy is not made up for in one go."""

_FEW = cython.declare(int64_t, 200)
"""Requests a second that are too few to move a connection for."""


def open_share(board, mine):
    """Take part: with no connection, and as if given as many as the others."""
    number: cython.int = cython.cast(cython.int, mine - board)
    used: cython.int = __atomic_load_n(cython.address(board.used), __ATOMIC_SEQ_CST)
    close_share(mine)
    mine.open = 0
    mine.surcharge = 0
    mine.rate = 0
    mine.taken = _most_taken(board, mine)
    while used < number and not __atomic_compare_exchange_n(
        cython.address(board.used), cython.address(used), number, False, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST
    ):
        pass


def close_share(mine):
    """Let nobody leave anything to this worker."""
    __atomic_store_n(cython.address(mine.listens), 0, __ATOMIC_SEQ_CST)
    __atomic_store_n(cython.address(mine.ready), 0, __ATOMIC_SEQ_CST)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _in_use(board: cython.pointer(Share)) -> cython.int:
    """How many shares to look at. The board is memory that any worker's application could have written to."""
    used: cython.int = __atomic_load_n(cython.address(board.used), __ATOMIC_SEQ_CST)
    return MOST_SHARES if used > MOST_SHARES else used


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _most_taken(board: cython.pointer(Share), mine: cython.pointer(Share)) -> int64_t:
    i: cython.int
    most: int64_t = 0
    for i in range(1, _in_use(board) + 1):
        if board + i != mine and board[i].taken > most:
            most = board[i].taken
    return most


def taken_by_all(board):
    """How many connections all workers together have taken: as long as it moves, somebody takes them."""
    i: cython.int
    total: int64_t = 0
    for i in range(1, _in_use(board) + 1):
        total += board[i].taken
    return total


def level_share(board, mine):
    """Do not be further behind the others than `_BEHIND`."""
    most: int64_t = _most_taken(board, mine) - _BEHIND
    if mine.taken < most:
        mine.taken = most


def leaves_to_another(board, mine):
    """Is there one that waits for connections, and should have the next before this worker?"""
    i: cython.int
    other: cython.pointer(Share)
    load: cython.int = mine.open + mine.surcharge
    for i in range(1, _in_use(board) + 1):
        other = board + i
        if (
            other != mine
            and __atomic_load_n(cython.address(other.listens), __ATOMIC_SEQ_CST)
            and __atomic_load_n(cython.address(other.ready), __ATOMIC_SEQ_CST)
            and (
                other.open + other.surcharge + SLACK < load
                or (other.open + other.surcharge <= load and other.taken + TAKEN_SLACK < mine.taken)
            )
        ):
            return True
    return False


def another_has_fewer(board, mine):
    """Is there one, perhaps because it has left the accepting to this worker, that could have the next before it?"""
    i: cython.int
    other: cython.pointer(Share)
    for i in range(1, _in_use(board) + 1):
        other = board + i
        if (
            other != mine
            and __atomic_load_n(cython.address(other.ready), __ATOMIC_SEQ_CST)
            and other.open + other.surcharge + SLACK < mine.open + mine.surcharge
        ):
            return True
    return False


def another_is_ready(board, mine):
    """Is there another that is not busy? If the accepting is not its turn now, it takes its turn when this one is busy."""
    i: cython.int
    for i in range(1, _in_use(board) + 1):
        if board + i != mine and __atomic_load_n(cython.address(board[i].ready), __ATOMIC_SEQ_CST):
            return True
    return False


def is_asked_more(board, mine):
    """Do this worker's connections bring a tenth more requests than the mean of those that are not busy?

    The answer is kept in the surcharge: as long as it is yes, a connection more is counted each time, up to as many as any worker has open, so
    that a few busy ones weigh as much as another's many that rest.
    """
    i: cython.int
    workers: int64_t = 1
    total: int64_t = mine.rate
    most: int64_t = mine.open
    for i in range(1, _in_use(board) + 1):
        if board + i != mine and __atomic_load_n(cython.address(board[i].ready), __ATOMIC_SEQ_CST):
            workers += 1
            total += board[i].rate
            most = max(most, board[i].open)
    if mine.rate > _FEW and mine.rate * workers * 10 > total * 11:
        if mine.surcharge < most:
            mine.surcharge += 1
        return True
    if mine.surcharge > 0 and mine.rate * workers < total:
        mine.surcharge -= 1
    return False
