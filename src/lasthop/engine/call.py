# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A request becomes a call of the application, and what it returns becomes a reply (PEP 3333).

Knows applications: what they may return, how they fail, what they are owed (`close`). How the connection goes on afterwards is not its
business: it tells how far the reply got, and the exchange says the rest.
"""

import contextlib
import os
import sys
import traceback

import cython
from cython.cimports.cpython.bytes import PyBytes_GET_SIZE
from cython.cimports.cpython.list import PyList_GET_SIZE
from cython.cimports.lasthop.engine.environ import build_environ
from cython.cimports.lasthop.engine.exchange import AHEAD, BLOCKED, GONE, SENT, Exchange
from cython.cimports.lasthop.engine.forks import generation
from cython.cimports.lasthop.engine.hold import hold
from cython.cimports.lasthop.engine.intake import PEER_GONE, Intake
from cython.cimports.lasthop.engine.lane import Service
from cython.cimports.lasthop.engine.poll import (
    ERRORS,
    IN_APPLICATION,
    REFUSED,
    REQUESTS,
    SENT_BYTES,
    Poll,
    clock_ns,
    end_by_reset,
)
from cython.cimports.lasthop.http1.reply import BY_CLOSE, BY_LENGTH, put_refusal
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.libc.string import memcmp
from cython.cimports.posix.time import CLOCK_MONOTONIC

from lasthop.engine.filewrapper import FileWrapper
from lasthop.engine.input import Input

_INPUT = cython.declare(str, "wsgi.input")


def call_application(lane, conn, base, took, size, gathered):
    """Serve the request whose head is the first `took` of the `size` bytes at `base`: SENT, BLOCKED, GONE or ON_HOLD.

    `gathered`: the bytes are the whole request. The lane's exchange is used, and says afterwards how the connection goes on.
    """
    service: Service = lane.service
    poll: cython.pointer(Poll) = lane.poll
    exchange: Exchange = lane.exchange
    environ: dict
    result: object = None
    sent: cython.int
    began: int64_t = 0
    retiring: cython.bint
    is_head: cython.bint = lane.head.method_size == 4 and memcmp(base + lane.head.method, b"HEAD", 4) == 0
    exchange.begin(conn, cython.address(lane.head), is_head)
    exchange.intake.begin(conn, cython.address(lane.head), base + took, size - took, gathered)
    environ = build_environ(service, cython.address(lane.head), base, conn)
    if not exchange.intake.ended:
        environ[_INPUT] = Input(exchange.intake)
    if service.access is not None:
        began = clock_ns(CLOCK_MONOTONIC)
    poll.count[REQUESTS] += 1
    retiring = poll.count[REQUESTS] == service.retire_after
    poll.count[IN_APPLICATION] += 1
    try:
        result = service.application(environ, exchange.starter)
        sent = _answer(service, exchange, result)
    except BaseException as error:
        if generation() != service.generation:
            leave_child(error)
        sent = _fail(service, exchange)
    exchange.finish()
    if generation() != service.generation:
        leave_child(None)
    exchange.intake.settle(exchange.keep_alive)
    if sent != GONE:
        if poll.holding and hold(poll, exchange):
            sent = ON_HOLD
        else:
            sent = exchange.flush()
    if type(result) is not list:
        if sent == BLOCKED and exchange.file is not None:
            exchange.closing = result  # the file is read until the reply is sent
        else:
            close_result(service, result)
    result = None
    poll.count[IN_APPLICATION] -= 1
    poll.count[SENT_BYTES] += cython.cast(uint64_t, exchange.body_bytes)
    if service.access is not None:
        try:
            service.access(
                environ,
                exchange.reply.status,
                exchange.body_bytes,
                (clock_ns(CLOCK_MONOTONIC) - began) * 1e-9,
            )
        except Exception:
            service.log_error("the access log cannot be written")
    if retiring and service.on_retire is not None:
        try:
            service.on_retire()
        except Exception:
            service.log_error("the worker cannot be retired")
    return sent


def leave_child(error):
    """The application forked, and this is the child that came back from it: it has no business with the parent's connections."""
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    elif error is not None:
        traceback.print_exception(error)
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status & 255)


@cython.cfunc
@cython.exceptval(-2)
def _answer(service: Service, exchange: Exchange, result: object) -> cython.int:
    """Give the application's result to the exchange: SENT (all of it is given), or GONE. Iterables are sent piece by piece."""
    total: int64_t = 0
    piece: bytes
    kind = type(result)
    if kind is list and PyList_GET_SIZE(result) == 1:
        body = cython.cast(list, result)[0]
        if type(body) is not bytes:
            raise TypeError(f"the application's iterable must give bytes, not {type(body).__name__}")
        piece = body
        if not exchange.head_out:
            exchange.end_head(PyBytes_GET_SIZE(piece))
        exchange.give(piece)
    elif kind is list or kind is tuple:
        for body in result:
            if type(body) is not bytes:
                raise TypeError(f"the application's iterable must give bytes, not {type(body).__name__}")
            total += len(body)
        if not exchange.head_out:
            exchange.end_head(total)
        for body in result:
            exchange.give(body)
    elif kind is FileWrapper and exchange.give_file(result):
        pass
    elif kind is bytes or kind is str:
        raise TypeError(
            f"the application must return an iterable of bytes, such as a list, not {kind.__name__} itself"
        )
    else:
        single: cython.bint = not exchange.head_out and hasattr(kind, "__len__") and len(result) == 1
        for body in result:
            if type(body) is not bytes:
                raise TypeError(f"the application's iterable must give bytes, not {type(body).__name__}")
            piece = body
            if len(piece) == 0:
                continue
            if single and not exchange.head_out:
                exchange.end_head(len(piece))  # PEP 3333, "Handling the Content-Length Header"
            exchange.give(piece)
            if exchange.flush_within(AHEAD) == GONE:
                return GONE
            if exchange.silent or exchange.overrun:
                break  # nothing more of it can be sent, and it may be endless
    exchange.give_end()
    if exchange.overrun:
        _complain(
            service,
            f"the application gave more than its Content-Length of {exchange.promised} bytes; the rest was dropped",
        )
    elif exchange.framing == BY_LENGTH and exchange.left > 0 and not exchange.silent:
        exchange.keep_alive = False  # only the end of the connection can tell the peer
        _complain(
            service,
            f"the application gave {exchange.left} bytes less than its Content-Length of {exchange.reply.length}",
        )
    return SENT


@cython.cfunc
def _complain(service: Service, text: str) -> object:
    if service.log is not None:
        service.log.warning(text)


def close_result(service, result):
    """Call the result's close(), if it has one: it is owed that whatever became of the reply."""
    try:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    except BaseException:
        service.poll.count[ERRORS] += 1
        service.log_error("the close() of the application's iterable failed")


@cython.cfunc
@cython.exceptval(-2)
def _fail(service: Service, exchange: Exchange) -> cython.int:
    """The application raised: give a 500 if that can still be told, else GONE. The peer learns no more than that."""
    status: cython.int = 500
    if exchange.intake.failure == PEER_GONE:
        # The peer went while its body was read or its reply written: nobody is left to be told. 499 is nginx's word for it in the log.
        if not exchange.head_out:
            exchange.reply.status = 499
        return GONE
    if exchange.intake.failure:
        status = exchange.intake.failure  # the body was at fault, not the application
        service.poll.count[REFUSED] += 1
    else:
        service.poll.count[ERRORS] += 1
        service.log_error("the application failed")
    exchange.file = None
    if exchange.head_out:
        if exchange.framing == BY_CLOSE:
            end_by_reset(exchange.conn)
        return GONE
    exchange.out.size = 0
    exchange.out_at = 0
    exchange.reply.status = status
    if status != 500:
        exchange.keep_alive = False
        exchange.head_out = True
        put_refusal(cython.address(exchange.out), status, service.poll.date)
    else:
        exchange.started = False
        exchange.start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
        exchange.end_head(22)
        exchange.give(b"Internal Server Error\n")
    return SENT


def no_input():
    """The body of requests that have none: always at its end, so all may share it."""
    intake: Intake = Intake()
    intake.ended = True
    return Input(intake)
