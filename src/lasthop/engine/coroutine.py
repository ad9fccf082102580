# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A request becomes a coroutine of the ASGI application, and its task.

Knows in which task a coroutine runs (`standby`), what is kept of those that do not end at once, and which cycle serves a request: one that has served before,
unless the application kept a part of it. What the coroutine receives and sends is `cycle`'s.
"""

import asyncio

import cython
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_INCREF, Py_REFCNT
from cython.cimports.lasthop.engine.cycle import COMPLETE, UNSTARTED, Cycle
from cython.cimports.lasthop.engine.dialogue import ASKED, Dialogue, open_dialogue
from cython.cimports.lasthop.engine.ending import Holder, named
from cython.cimports.lasthop.engine.environ import build_environ
from cython.cimports.lasthop.engine.exchange import Exchange
from cython.cimports.lasthop.engine.lane import OUTDATED, UNSPOKEN, Lane, Service
from cython.cimports.lasthop.engine.poll import IN_APPLICATION, REQUESTS, clock_ns
from cython.cimports.lasthop.engine.scope import asks_for_websocket, build_scope, needs_environ
from cython.cimports.lasthop.engine.standby import ELSEWHERE, ENDED, WAITS, Standby, own_task, stand_by
from cython.cimports.lasthop.engine.weak import count_weak
from cython.cimports.libc.string import memcmp
from cython.cimports.posix.time import CLOCK_MONOTONIC

_MOST_SPARES = cython.declare(cython.int, 64)
"""Cycles that are kept to serve again."""


@cython.cfunc
@cython.exceptval(check=False)
def _references(cycle: Cycle) -> cython.Py_ssize_t:
    """How many references there are to a cycle and its methods: more than at first means that the application kept one."""
    receiver: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), cycle.receiver)
    sender: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), cycle.sender)
    return (
        Py_REFCNT(cycle) + receiver.ob_refcnt + sender.ob_refcnt + count_weak(receiver) + count_weak(sender)
    )


@cython.cfunc
def _fresh(lane: Lane) -> Cycle:
    cycle: Cycle = Cycle()
    cycle.lane = lane
    cycle.service = lane.service
    cycle.poll = lane.poll
    cycle.exchange = lane.fresh()
    cycle.exchange.retire_methods()
    cycle.receiver = cycle.receive
    cycle.sender = cycle.send
    return cycle


@cython.cfunc
@cython.exceptval(-1)
def _give_back(lane: Lane, cycle: Cycle) -> cython.int:
    """The coroutine has ended, and the reply is complete or nobody is there to read it: the cycle can serve again, unless the application kept it."""
    if cycle.exchange is None or lane.spares >= _MOST_SPARES or _references(cycle) > lane.references:
        cycle.receiver = None
        cycle.sender = None
        return 0
    cycle.scope = None
    cycle.environ = None
    cycle.next_spare = lane.spare
    lane.spare = cycle
    lane.spares += 1
    return 0


def baseline(lane):
    """How many references a cycle has that nobody but its lane knows."""
    cycle: Cycle = _fresh(lane)
    count = _references(cycle)
    cycle.receiver = None
    cycle.sender = None
    return count


def call_coroutine(lane, conn, base, took, size, whole):
    """Have the application serve the request whose head is the first `took` of the `size` bytes at `base`, and do with `conn` what follows.

    `whole`: the bytes are the whole request.
    """
    service: Service = lane.service
    cycle: Cycle
    dialogue: Dialogue
    exchange: Exchange
    is_head: cython.bint = lane.head.method_size == 4 and memcmp(base + lane.head.method, b"HEAD", 4) == 0
    has_ended: cython.bint
    environ: dict = None
    scope: dict
    if service.access is not None or needs_environ(service, cython.address(lane.head), conn):
        environ = build_environ(service, cython.address(lane.head), base, conn)
    is_websocket: cython.bint = asks_for_websocket(cython.address(lane.head), base)
    if is_websocket and lane.head.minor == 0:
        service.notice(OUTDATED, "outdated", {}, "")
        is_websocket = False
    if is_websocket and service.websocket is None:
        service.notice(UNSPOKEN, "unspoken", {}, "")
        is_websocket = False
    if is_websocket:
        scope = build_scope(service, cython.address(lane.head), base, conn, environ, True)
        lane.poll.count[REQUESTS] += 1
        lane.poll.count[IN_APPLICATION] += 1
        dialogue = open_dialogue(lane, conn, base, took, size, scope, environ)
        if dialogue.step == ASKED:
            _run(lane, dialogue, scope, dialogue.receive, dialogue.send, True)
        dialogue.begin()
        return 0
    if lane.spare is None:
        cycle = _fresh(lane)
    else:
        cycle = cython.cast(Cycle, lane.spare)
        lane.spare = cycle.next_spare
        cycle.next_spare = None
        lane.spares -= 1
    scope = build_scope(service, cython.address(lane.head), base, conn, environ, False)
    lane.poll.count[REQUESTS] += 1
    lane.poll.count[IN_APPLICATION] += 1
    exchange = cycle.exchange
    exchange.begin(conn, cython.address(lane.head), is_head)
    exchange.intake.begin(conn, cython.address(lane.head), base + took, size - took, whole)
    exchange.intake.hasty = True
    cycle.environ = environ
    cycle.scope = scope
    cycle.conn = conn
    cycle.stage = UNSTARTED
    cycle.in_turn = True
    cycle.body_taken = False
    cycle.left = conn.half_closed  # an event that told of it came with the request, and will not come again
    cycle.told = False
    cycle.lost = False
    cycle.with_trailers = False
    cycle.late = False
    cycle.taking = False
    cycle.copying = False
    cycle.pushed = False
    cycle.dropped = 0
    if service.access is not None:
        cycle.began = clock_ns(CLOCK_MONOTONIC)
    conn.holder = cython.cast(cython.p_void, cycle)
    Py_INCREF(cycle)
    has_ended = _run(lane, cycle, scope, cycle.receiver, cycle.sender, False)
    cycle.in_turn = False
    if cycle.conn == cython.NULL:  # the peer went meanwhile
        pass
    elif cycle.stage == COMPLETE:
        cycle._leave()
    elif exchange.intake.failure:
        cycle.give_up()
    else:
        exchange.intake.keep_source()
        cycle._rest()
    if has_ended:
        _give_back(lane, cycle)
    return 0


@cython.cfunc
@cython.exceptval(-1)
def _run(
    lane: Lane, holder: Holder, scope: dict, receiver: object, sender: object, waits: cython.bint
) -> cython.int:
    """Let the application begin: has it ended already? `waits`: it will wait in any case, and takes a task of its own, which is smaller."""
    standby: Standby
    error: object = None
    begun: cython.int = ELSEWHERE
    application: object = lane.service.application
    if lane.stands_by and not waits:
        standby = lane.standby
        lane.standby = None
        if standby is not None and not standby.is_free():
            if standby.is_idle():
                standby.leave()
            standby = None
        if standby is None:
            standby = stand_by(lane.service.loop, lane.context)
        begun = standby.begin(application, scope, receiver, sender)
        if begun == WAITS:
            _keep(lane, standby.task, holder, standby.context)
            standby.go_on()
            return 0
        if begun == ENDED:
            error = standby.error
        if standby.stands or begun == ELSEWHERE:
            standby.error = None
            lane.standby = standby
        else:
            standby.leave()
    if begun == ELSEWHERE:
        try:
            if lane.stands_by and waits:
                task = own_task(lane.service.loop, lane.context, application, scope, receiver, sender)
            else:
                task = lane.service.loop.create_task(_call(application, scope, receiver, sender))
            if not task.done():
                _keep(lane, task, holder, lane.context)
                return 0
            error = _error_of(task)
        except BaseException as raised:
            error = raised
    holder.finish(error)
    return 1


@cython.cfunc
@cython.exceptval(-1)
def _keep(lane: Lane, task: object, holder: Holder, context: object) -> cython.int:
    """See it to its end, which is told of in `context`: what the log is told may ask who the request's user was."""
    task.add_done_callback(lane.on_done, context=context)
    lane.tasks[task] = holder
    return 0


@cython.cfunc
def _error_of(task: object) -> object:
    """What the coroutine of a task that is done has raised, or None."""
    try:
        return task.exception()
    except asyncio.CancelledError as cancelled:
        return cancelled


def what_runs(lane):
    """The requests of the tasks that have not ended, for the log."""
    holder: Holder
    names: list = []
    for holder in lane.tasks.values():
        name = named(holder.scope)
        if isinstance(holder, Cycle) and cython.cast(Cycle, holder).stage == COMPLETE:
            name += " (after its reply)"
        names.append(name)
    return names


def task_done(lane, task):
    """A coroutine that did not end at once has ended."""
    holder: Holder = lane.tasks.pop(task, None)
    if holder is None:
        return
    holder.finish(_error_of(task))
    lane.settle()
    if isinstance(holder, Cycle):
        cycle: Cycle = cython.cast(Cycle, holder)
        holder = None
        _give_back(lane, cycle)


def push_late(lane):
    """Send what was given in this round."""
    late: list = lane.late
    cycle: Cycle
    if not late:
        return 0
    lane.late = []
    for cycle in late:
        cycle.late = False
        if cycle.conn != cython.NULL and cycle.stage != COMPLETE and not cycle.in_turn:
            cycle.push()
    return 0


async def _call(application, scope, receive, send):
    """The application, called by its own task."""
    await application(scope, receive, send)
