"""Shared pages."""

import os
import struct

from lasthop.server.slots import BOARD_BYTES, PAGE_BYTES, Slots, board, page


def test_what_a_fork_writes_is_read_here() -> None:
    slots = Slots()
    number = slots.take()
    pid = os.fork()
    if pid == 0:
        struct.pack_into("=Q", page(slots.descriptor, number), 16, 42)
        os._exit(0)
    os.waitpid(pid, 0)
    assert 42 == slots.read(number, 16)
    slots.close()


def test_a_page_made_after_a_fork_is_seen_by_the_fork() -> None:
    slots = Slots()
    slots.take()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        number = int(os.read(read, 8))
        struct.pack_into("=Q", page(slots.descriptor, number), 0, 7)
        os._exit(0)
    number = slots.take()
    os.write(write, b"%d" % number)
    os.waitpid(pid, 0)
    assert 7 == slots.read(number, 0)
    for descriptor in (read, write):
        os.close(descriptor)
    slots.close()


def test_pages_do_not_share_a_byte() -> None:
    slots = Slots()
    first, second = slots.take(), slots.take()
    page(slots.descriptor, first)[:] = b"\xff" * PAGE_BYTES
    assert 0 == slots.read(second, 0)
    slots.close()


def test_a_page_that_was_given_back_is_empty_when_it_is_given_out_again() -> None:
    slots = Slots()
    number = slots.take()
    page(slots.descriptor, number)[:] = b"\xff" * PAGE_BYTES
    slots.give_back(number)
    assert (number, 0) == (slots.take(), slots.read(number, 0))
    slots.close()


def test_the_board_is_one_for_all_and_no_page_reaches_into_it() -> None:
    slots = Slots()
    seen = board(slots.descriptor)
    board(slots.descriptor)[64] = 7
    page(slots.descriptor, slots.take())[:] = b"\xff" * PAGE_BYTES
    assert (BOARD_BYTES, 7, 7) == (len(seen), seen[64], sum(seen[:]))
    slots.close()


def test_whoever_is_gone_leaves_nothing_on_the_board() -> None:
    slots = Slots()
    first, second = slots.take(), slots.take()
    seen = board(slots.descriptor)
    for number in (first, second):
        seen[(number + 1) * 64 : (number + 2) * 64] = b"\1" * 64
    slots.give_back(first)
    assert bytes(64) + b"\1" * 64 == seen[64 : 3 * 64]
    slots.close()
