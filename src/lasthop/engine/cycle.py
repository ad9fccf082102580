# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One request of an ASGI application and its reply: the coroutine's `receive` and `send` on one side, a connection on the other.

Knows the messages of ASGI ("HTTP & WebSocket ASGI Message Format", 2.3, and the extensions that the scope names), in which order they make sense, and what
is owed when they do not. The bytes of the reply are an `Exchange`'s, those of the body an `Intake`'s, as for WSGI.

**Two ways through.** Mostly the coroutine runs to its end at once (`standby`): then all happens in the connection's turn, nothing waits, and no future is
made. Else the connection hangs on the cycle as its `Holder`: the turn tells it what happens, and a message that completes the reply lets go of the
connection wherever the coroutine runs. In between `seize` says whether the connection may be touched: it may not while its own turn is still to come.

This module is long because the messages of a reply, their order, and the connection under them are one state machine.

**Who waits** gets a future that says no more than "look again", so that a message is never lost with a cancelled `receive`.
"""

import asyncio
import os

import cython
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.cpython.unicode import PyUnicode_1BYTE_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND
from cython.cimports.lasthop.engine.connection import (
    CALLED,
    CALLED_BODY,
    CALLED_SENDING,
    SENDING,
    Conn,
)
from cython.cimports.lasthop.engine.ending import (
    Holder,
    close_sent,
    end,
    go_on,
    named,
    only_parent,
    refuse_late,
    seize,
    wake_all,
)
from cython.cimports.lasthop.engine.exchange import BLOCKED, GONE, Exchange, as_bytes
from cython.cimports.lasthop.engine.hold import hold
from cython.cimports.lasthop.engine.intake import PEER_GONE
from cython.cimports.lasthop.engine.lane import Service
from cython.cimports.lasthop.engine.later import later
from cython.cimports.lasthop.engine.linux import (
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    next_entry,
)
from cython.cimports.lasthop.engine.poll import (
    ERRORS,
    IN_APPLICATION,
    REQUESTS,
    SENT_BYTES,
    clock_ns,
    end_by_reset,
    rest,
    rest_until,
)
from cython.cimports.lasthop.engine.ready import NOTHING
from cython.cimports.lasthop.http1.reply import (
    BY_CHUNKS,
    BY_CLOSE,
    Out,
    free_out,
    put,
    put_raw_field,
    put_start,
)
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.libc.string import memcmp, memset
from cython.cimports.posix.time import CLOCK_MONOTONIC

_AHEAD = cython.declare(int64_t, 65536)
"""Bytes of a reply that may wait for the peer before `send` waits too, as uvicorn has it."""
_LOW = cython.declare(int64_t, 16384)
"""How few have to be left before it goes on."""
_PIECE = cython.declare(cython.Py_ssize_t, 65536)
"""Of a request's body, in one message."""
_BROKEN = cython.declare(str, "the reply broke off when the sending of its file was given up")
_COPYING = cython.declare(
    str, "a file is being sent: nothing can follow it before http.response.zerocopysend is done"
)
_NO_TRAILERS = cython.declare(
    frozenset,
    frozenset(
        b"transfer-encoding content-length host connection keep-alive proxy-connection te trailer upgrade content-encoding content-type"
        b" content-range authorization proxy-authorization www-authenticate proxy-authenticate set-cookie cache-control age date expires"
        b" location retry-after vary".split()
    ),
)
"""What frames, routes, or has to be known before the body (RFC 9110, 6.5.1)."""
_DROPPED = cython.declare(cython.int, 16)
"""Messages that are passed over after the peer has gone: whoever listens for http.disconnect has the time to stop. Whoever does not is stopped by an OSError."""
_KEYS = cython.declare(tuple, ("type", "status", "headers", "trailers", "body", "more_body"))
"""Of most messages; below, the same as they are where nobody has made them anew."""
_TYPE = cython.declare(cython.pointer(PyObject), cython.cast(cython.pointer(PyObject), "type"))
_STATUS = cython.declare(cython.pointer(PyObject), cython.cast(cython.pointer(PyObject), "status"))
_HEADERS = cython.declare(cython.pointer(PyObject), cython.cast(cython.pointer(PyObject), "headers"))
_TRAILERS = cython.declare(cython.pointer(PyObject), cython.cast(cython.pointer(PyObject), "trailers"))
_BODY = cython.declare(cython.pointer(PyObject), cython.cast(cython.pointer(PyObject), "body"))
_MORE_BODY = cython.declare(cython.pointer(PyObject), cython.cast(cython.pointer(PyObject), "more_body"))


class Cycle:
    # What the application calls.

    def receive(self):
        """The next message: a piece of the request's body, or that the peer has gone or has all of its reply."""
        return later(self, True)

    def take(self, message):
        """A message of the reply. The peer may not have it yet, but no more than _AHEAD bytes wait for it when the awaitable is done."""
        parts: Parts
        plain: dict = message
        if not _take_apart(plain, cython.address(parts)):
            plain = {key: message[key] for key in _KEYS if key in message}
            _take_apart(plain, cython.address(parts))
        if parts.kind == cython.NULL:
            raise KeyError("type")
        kind = cython.cast(object, parts.kind)
        if self.lost:
            return self._drop()
        if not isinstance(kind, str):
            raise TypeError(f"the type of a message must be a str, not {type(kind).__name__}")
        # Nothing of the application's has run so far: what is borrowed is there.
        if _is(kind, "http.response.body"):
            return self._body(
                b"" if parts.body == cython.NULL else cython.cast(object, parts.body),
                False if parts.more_body == cython.NULL else cython.cast(object, parts.more_body),
            )
        if _is(kind, "http.response.start"):
            if parts.status == cython.NULL:
                raise KeyError("status")
            return self._start(
                cython.cast(object, parts.status),
                () if parts.headers == cython.NULL else cython.cast(object, parts.headers),
                False if parts.trailers == cython.NULL else cython.cast(object, parts.trailers),
            )
        if _is(kind, "http.response.pathsend"):
            return self._file(message, True)
        if _is(kind, "http.response.zerocopysend"):
            return self._file(message, False)
        if _is(kind, "http.response.early_hint"):
            return self._hint(message)
        if _is(kind, "http.response.trailers"):
            return self._trailers(message)
        raise RuntimeError(f"an HTTP reply has no message of type {kind!r}")

    # Receiving.

    def message(self):
        if self.conn == cython.NULL or self.stage == COMPLETE:
            return {"type": "http.disconnect"}
        if not self.body_taken:
            intake = self.exchange.intake
            try:
                block = intake.read_now(_PIECE)
            except OSError:
                self._refuse_body()
                return {"type": "http.disconnect"}
            if block is None:
                return None
            self.body_taken = intake.ended
            return {"type": "http.request", "body": block, "more_body": not intake.ended}
        if not self.left:
            return None
        self.told = True
        return {"type": "http.disconnect"}

    def wait(self, receiving):
        future = Holder.wait(self, receiving)
        if receiving and not self.body_taken and not self.in_turn and seize(self.conn):
            self._rest()
        return future

    def leave_off(self, receiving):
        Holder.leave_off(self, receiving)
        if (
            self.reading is None
            and self.conn != cython.NULL
            and self.conn.phase == CALLED_BODY
            and not self.in_turn
            and seize(self.conn)
        ):
            self._rest()  # nobody waits for the body now: it may take its time
        return 0

    def overdue(self):
        self.exchange.intake.failure = 408
        return self.give_up()

    def _refuse_body(self):
        """The body breaks a rule, or breaks off: nothing more can be understood on this connection."""
        if self.in_turn or not seize(self.conn):
            self.left = True  # the turn that goes on, or is to come, sees the failure and ends the connection
            return 0
        self.give_up()
        self.lane.settle()
        return 0

    def give_up(self):
        """The body cannot be understood: say so if nothing else was said yet, and end the connection, which is BUSY and ours."""
        failure: cython.int = self.exchange.intake.failure
        if failure != PEER_GONE and not self.exchange.head_out:
            refuse_late(self.service, self.conn, failure)
        end(self.service, self.conn)
        return 0

    # Sending.

    def _start(self, status, headers, trailers):
        exchange: Exchange = self.exchange
        if self.stage != UNSTARTED:
            raise RuntimeError("http.response.start was sent a second time")
        with_trailers: cython.bint = bool(trailers)
        before: cython.Py_ssize_t = exchange.out.size
        put_start(
            cython.address(exchange.out),
            cython.address(exchange.reply),
            status,
            headers,
        )
        self.stage = STARTED
        self.with_trailers = with_trailers
        exchange.unfinished = exchange.out.size - before  # it is made when the body begins
        exchange.started = True
        self.trailer = b""
        return NOTHING

    def _body(self, body, more_body):
        exchange: Exchange = self.exchange
        more: cython.bint = more_body
        piece: bytes
        if self.stage == UNSTARTED:
            raise RuntimeError("http.response.body was sent before http.response.start")
        if self.stage == BROKEN:
            raise RuntimeError(_BROKEN)
        if self.stage > BODY:
            raise RuntimeError("http.response.body was sent after the last one (without more_body)")
        if self.copying:
            raise RuntimeError(_COPYING)
        piece = body if type(body) is bytes else as_bytes(body, "the body of a reply")
        exchange.check_piece(PyBytes_GET_SIZE(piece), not more)
        if not more and not exchange.head_out and not self.with_trailers:
            exchange.end_head(PyBytes_GET_SIZE(piece))
        exchange.give(piece)
        if more:
            self.stage = BODY
            return self._pushed()
        if self.with_trailers:
            self.stage = TRAILERS
            return self._pushed()
        exchange.give_end()
        self._complete()
        return NOTHING

    def _hint(self, message):
        exchange: Exchange = self.exchange
        if self.stage != UNSTARTED:
            raise RuntimeError("http.response.early_hint was sent after http.response.start")
        if exchange.minor == 0:
            return NOTHING  # RFC 9110, 15.2: an HTTP/1.0 peer does not understand it
        links = [as_bytes(link, "a link") for link in message["links"]]
        before: cython.Py_ssize_t = exchange.out.size
        try:
            put(cython.address(exchange.out), b"HTTP/1.1 103 Early Hints\r\n", 26)
            for link in links:
                put_raw_field(cython.address(exchange.out), cython.NULL, b"Link", link)
            put(cython.address(exchange.out), b"\r\n", 2)
        except BaseException:
            exchange.out.size = before
            raise
        return self._pushed()

    def _trailers(self, message):
        exchange: Exchange = self.exchange
        if self.stage != TRAILERS:
            raise RuntimeError("http.response.trailers was sent before the body was, or was not promised")
        lines = _trailer_lines(message.get("headers", ()))
        # RFC 9110, 6.5.1: only to a peer that says it wants them.
        if lines and any(name == b"te" and b"trailers" in value for name, value in self.scope["headers"]):
            self.trailer += lines
        if not message.get("more_trailers", False):
            exchange.give_trailer(self.trailer)
            self._complete()
        return NOTHING

    def _file(self, message, whole):
        """A file by sendfile(2). `whole`: the message names it, and it is all of the reply."""
        exchange: Exchange = self.exchange
        if not whole:
            return self._copy(message["file"], message)
        if self.stage != STARTED:
            raise RuntimeError(
                "http.response.pathsend is all of the body: it follows http.response.start, and nothing follows it"
            )
        file = open(os.fspath(message["path"]), "rb", buffering=0, opener=_open)  # noqa: PTH123, SIM115 - closed when it is sent
        if self.with_trailers:
            return self._copy_and_close(file)
        try:
            exchange.check_piece(os.fstat(file.fileno()).st_size, True)
            exchange.give_descriptor(file, file.fileno(), 0, -1, True)
            exchange.check_length()
        except BaseException:
            exchange.file = None
            file.close()
            raise
        exchange.closing = file
        self._complete()
        return NOTHING

    async def _copy_and_close(self, file):
        with file:
            await self._copy(file, {})

    async def _copy(self, file, message):
        """Send a part of the body from a file. Nothing else can be sent meanwhile, and whoever gives up breaks the reply: half of a chunk is none."""
        exchange: Exchange = self.exchange
        if self.lost:
            return await self._drop()
        # First what may be code of the application's, then what it may have changed.
        number: cython.int = file if isinstance(file, int) else file.fileno()
        offset = message.get("offset")
        count = message.get("count")
        begin: int64_t = os.lseek(number, 0, os.SEEK_CUR) if offset is None else offset
        most: int64_t = -1 if count is None else count
        more: cython.bint = message.get("more_body", False)
        if begin < 0 or (count is not None and most < 0):
            raise ValueError(f"a file cannot be sent from {begin} on, {most} bytes of it")
        if self.stage == BROKEN:
            raise RuntimeError(_BROKEN)
        if self.stage == UNSTARTED or self.stage > BODY:
            raise RuntimeError("a file was sent before http.response.start, or after the end")
        if self.copying:
            raise RuntimeError(_COPYING)
        exchange.give_descriptor(file, number, begin, most, False)
        is_chunk: cython.bint = exchange.file is not None and exchange.framing == BY_CHUNKS
        self.stage = BODY
        self.copying = True
        try:
            while not self.lost and self.stage == BODY and exchange.file is not None:
                if self.push() == BLOCKED and exchange.file is not None:
                    await self.wait(False)
        finally:
            self.copying = False
            if not self.lost and self.stage == BODY and exchange.file is not None:
                self.stage = BROKEN
                exchange.file = None
                exchange.file_left = 0
        if self.lost or self.stage != BODY:
            return None  # the peer is gone, or the application's coroutine has ended
        if is_chunk:
            exchange.give_break()
        if more:
            return await self._pushed()
        exchange.check_length()
        if self.with_trailers:
            self.stage = TRAILERS
            return await self._pushed()
        exchange.give_end()
        self._complete()
        return None

    def _drop(self):
        """The peer is gone: nothing can be sent any more."""
        self.dropped += 1
        if self.dropped > _DROPPED:
            raise BrokenPipeError("the peer closed the connection before it had read the reply")
        return asyncio.sleep(0)

    def _pushed(self):
        """Some of the reply is given: it leaves at the end of this round, or now if it is much; who gives too much waits."""
        exchange: Exchange = self.exchange
        if exchange.pending() < _LOW:
            if not self.late:
                self.late = True
                self.lane.late.append(self)
                self.lane.settle()
            return NOTHING
        if self.push() == BLOCKED and exchange.pending() > _AHEAD:
            return later(self, False)
        return NOTHING

    def has_room(self):
        exchange: Exchange = self.exchange
        return self.lost or self.stage == COMPLETE or exchange.pending() <= _LOW

    def push(self):
        """Send what the peer takes of what is given: SENT, BLOCKED, or GONE, and then nothing can be sent any more."""
        seized: cython.bint = False
        sent: cython.int
        conn: cython.pointer(Conn) = self.conn
        if not self.in_turn:
            seized = seize(self.conn)
        sent = self.exchange.flush()
        self._note_pushed()
        if sent == GONE:
            if seized:
                end(self.service, conn)
                self.lane.settle()
            else:
                self.exchange.intake.failure = PEER_GONE
                self.lost = True  # its turn ends it
            return sent
        if self.writing is not None and self.has_room():  # another task of the application waits
            wake_all(self.writing)
            self.writing = None
        if seized:
            self._rest()
        return sent

    def _note_pushed(self):
        """May something have left that cannot be taken back? A whole hint is of no account."""
        if self.exchange.head_out or self.exchange.pending():
            self.pushed = True

    # The connection.

    def _rest(self):
        """The connection waits for what the coroutine or the peer does next. It is BUSY, and ours."""
        exchange: Exchange = self.exchange
        conn: cython.pointer(Conn) = self.conn
        if self.lost:
            end(self.service, conn)
        elif exchange.pending() or exchange.file is not None:
            if self.late:
                rest_until(self.poll, conn, CALLED, conn.deadline)
            elif conn.phase == CALLED_SENDING:
                rest_until(self.poll, conn, CALLED_SENDING, conn.deadline)
            else:
                rest(self.poll, conn, CALLED_SENDING, self.poll.reply_ns)
        elif self.reading is not None and not self.body_taken:
            rest(self.poll, conn, CALLED_BODY, self.poll.body_ns)
        else:
            rest_until(self.poll, conn, CALLED, conn.deadline)
        return 0

    def wake(self, events):
        """It is the connection's turn."""
        exchange: Exchange = self.exchange
        conn: cython.pointer(Conn) = self.conn
        before: int64_t = exchange.pending() + exchange.file_left
        left: int64_t
        if events & (EPOLLHUP | EPOLLERR) or self.lost:
            end(self.service, conn)
            return 0
        if events & EPOLLIN:
            conn.drained = False
        if conn.half_closed:
            self.left = True
        if self.stage == COMPLETE:
            return self._leave()
        if exchange.intake.failure and self.reading is None:
            return self.give_up()
        if before and not self.late:
            if exchange.flush() == GONE:
                end(self.service, conn)
                return 0
            self._note_pushed()
            left = exchange.pending() + exchange.file_left
            if left < before and conn.phase == CALLED_SENDING:
                conn.deadline = self.poll.now + self.poll.reply_ns
            if left <= _LOW or exchange.file is not None or left == 0:
                wake_all(self.writing)
                self.writing = None
        if self.reading is not None and (not self.body_taken or self.left):
            wake_all(self.reading)
            self.reading = None
        return self._rest()

    def lose(self):
        """The connection is closed: the coroutine is told, and whatever it still sends is dropped."""
        self.conn = cython.NULL
        if self.stage != COMPLETE:
            self.lost = True
            if self.exchange.reply.status == 0 or not self.exchange.head_out:
                self.exchange.reply.status = 499  # nginx's word for it in the log
            self.exchange.finish()
            self._account()
        self.exchange.intake.source_at = 0
        self.exchange.intake.source_end = 0
        self.exchange.intake.failure = PEER_GONE
        close_sent(self.service, self.exchange)
        self.exchange.forget()
        wake_all(self.reading)
        wake_all(self.writing)
        self.reading = None
        self.writing = None

    # The end.

    def _complete(self):
        """The application has given all of its reply."""
        exchange: Exchange = self.exchange
        self.stage = COMPLETE
        exchange.finish()
        exchange.intake.settle(exchange.keep_alive)
        self._account()
        if self.reading is not None:
            wake_all(self.reading)
            self.reading = None
        if self.writing is not None:  # another task of the application waits
            wake_all(self.writing)
            self.writing = None
        if not self.in_turn and seize(self.conn):
            self._leave()
            self.lane.settle()
        return 0

    def _account(self):
        """Count the reply, and log it."""
        service: Service = self.service
        exchange: Exchange = self.exchange
        self.poll.count[IN_APPLICATION] -= 1
        self.poll.count[SENT_BYTES] += cython.cast(uint64_t, exchange.body_bytes)
        if service.access is not None and self.environ is not None:
            try:
                service.access(
                    self.environ,
                    exchange.reply.status,
                    exchange.body_bytes,
                    (clock_ns(CLOCK_MONOTONIC) - self.began) * 1e-9,
                )
            except Exception:
                service.log_error("the access log cannot be written")
        if (
            service.retire_after
            and self.poll.count[REQUESTS] >= service.retire_after
            and service.on_retire is not None
        ):
            retire = service.on_retire
            service.retire_after = 0
            try:
                retire()
            except Exception:
                service.log_error("the worker cannot be retired")
        return 0

    def _leave(self):
        """The reply is complete: send it, and go on with the connection, which is BUSY and ours. The cycle has nothing to do with it any more."""
        service: Service = self.service
        exchange: Exchange = self.exchange
        conn: cython.pointer(Conn) = self.conn
        sent: cython.int
        conn.holder = cython.NULL
        self.conn = cython.NULL
        if self.lane.turning and self.poll.holding and hold(self.poll, exchange):
            exchange.forget()
            Py_DECREF(self)
            return 0
        sent = exchange.flush()
        if sent == BLOCKED:
            self.exchange = None
            Py_INCREF(exchange)
            conn.exchange = cython.cast(cython.p_void, exchange)
            rest(self.poll, conn, SENDING, self.poll.reply_ns)
        else:
            close_sent(service, exchange)
            if sent == GONE or exchange.intake.failure == PEER_GONE:
                end(service, conn)
            else:
                go_on(self.lane, conn, exchange)
            exchange.forget()
        Py_DECREF(self)
        return 0

    def finish(self, error):
        """The coroutine has ended, with `error` or None: what it left undone is done for it."""
        service: Service = self.service
        exchange: Exchange = self.exchange
        only_parent(service)
        # A complete reply that the peer does not take yet has the exchange with it.
        lost: cython.bint = self.lost or (
            self.stage != COMPLETE and (self.told or exchange.intake.failure != 0)
        )
        if error is not None and isinstance(error, asyncio.CancelledError) and self.poll.stopping:
            pass  # it had its time; how many are cancelled is told
        elif error is not None and not (lost and _is_of_loss(error)):
            self.poll.count[ERRORS] += 1
            service.log_failure(f"the application failed: {named(self.scope)}", error)
        elif error is None and self.stage != COMPLETE and not lost:
            self.poll.count[ERRORS] += 1
            service.log_failure(
                f"the application returned before its reply was complete: {named(self.scope)}", None
            )
        if self.stage == COMPLETE or self.conn == cython.NULL or exchange.intake.failure:
            return 0
        if self.told:
            # The peer has ended its side, and the application took that for the end, as it may.
            exchange.intake.failure = PEER_GONE
            if not self.in_turn and seize(self.conn):
                self.give_up()
                self.lane.settle()
            return 0
        exchange.file = None
        exchange.file_left = 0
        if exchange.head_out and not self.pushed:
            exchange.take_back()
        if exchange.head_out:
            # The peer must not take what it has for the whole.
            exchange.keep_alive = False
            if exchange.framing == BY_CLOSE:
                end_by_reset(self.conn)
            exchange.intake.failure = PEER_GONE
            self._complete()
            return 0
        exchange.out.size -= exchange.unfinished
        exchange.unfinished = 0
        self.stage = STARTED
        put_start(
            cython.address(exchange.out),
            cython.address(exchange.reply),
            500,
            ((b"content-type", b"text/plain; charset=utf-8"),),
        )
        exchange.started = True
        exchange.end_head(22)
        exchange.give(b"Internal Server Error\n")
        exchange.give_end()
        self._complete()
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def _take_apart(message: dict, parts: cython.pointer(Parts)) -> cython.bint:
    """Find all that is in a message in one go, as its keys are interned: half the work of looking each up. False: there are others."""
    place: cython.Py_ssize_t = 0
    key: cython.pointer(PyObject) = cython.NULL
    value: cython.pointer(PyObject) = cython.NULL
    entries: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), message)
    memset(parts, 0, cython.sizeof(Parts))
    while next_entry(entries, cython.address(place), cython.address(key), cython.address(value)):
        if key == _TYPE:
            parts.kind = value
        elif key == _BODY:
            parts.body = value
        elif key == _MORE_BODY:
            parts.more_body = value
        elif key == _STATUS:
            parts.status = value
        elif key == _HEADERS:
            parts.headers = value
        elif key == _TRAILERS:
            parts.trailers = value
        else:
            return False
    return True


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _is(kind: object, word: str) -> cython.bint:
    """Is it this text? `==` takes three times as long. `word` is ASCII."""
    return kind is word or (
        PyUnicode_GET_LENGTH(kind) == PyUnicode_GET_LENGTH(word)
        and PyUnicode_KIND(kind) == 1
        and memcmp(
            PyUnicode_1BYTE_DATA(kind),
            PyUnicode_1BYTE_DATA(word),
            cython.cast(cython.size_t, PyUnicode_GET_LENGTH(word)),
        )
        == 0
    )


def _open(path, flags):
    """Without waiting: a FIFO would hold up the loop until somebody writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)


@cython.cfunc
def _trailer_lines(headers: object) -> bytes:
    """The field lines, checked as those of a head are."""
    out: Out
    memset(cython.address(out), 0, cython.sizeof(Out))
    try:
        for name, value in headers:
            name = as_bytes(name, "the name of a trailer")
            if name.lower() in _NO_TRAILERS:
                raise ValueError(f"{name.decode('latin-1')} may not be a trailer (RFC 9110, 6.5.1)")
            put_raw_field(cython.address(out), cython.NULL, name, as_bytes(value, "the value of a trailer"))
        return PyBytes_FromStringAndSize(cython.cast(cython.p_const_char, out.data), out.size)
    finally:
        free_out(cython.address(out))


@cython.cfunc
def _is_of_loss(error: object) -> cython.bint:
    """Is it what an application may well raise when its peer has gone?"""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of_loss(each) for each in error.exceptions)
    return isinstance(error, (OSError, asyncio.CancelledError)) or type(error).__name__ == "ClientDisconnect"
