# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One WebSocket of an ASGI application: the coroutine's `receive` and `send` on one side, a connection on the other, a `Session` between them.

Knows the handshake as ASGI has it (accept, close, or a reply of the application's own), when to read and when not to, pings and how long their answers may
take. What frames are is the session's; it knows no socket. Written is at once: a message mostly is an answer somebody waits for.

This module is long because, as in `cycle`, what is said, what is heard and the connection under both are one state machine.
"""

import asyncio

import cython
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.lasthop.engine.connection import (
    CALLED,
    CALLED_BODY,
    CALLED_SENDING,
    READY,
    Conn,
)
from cython.cimports.lasthop.engine.ending import begin_linger, end, named, only_parent, seize, wake_all
from cython.cimports.lasthop.engine.exchange import GONE, Exchange, as_bytes
from cython.cimports.lasthop.engine.lane import BUFFER, Service
from cython.cimports.lasthop.engine.later import later
from cython.cimports.lasthop.engine.linux import (
    __ATOMIC_RELEASE,
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    __atomic_store_n,
    recv,
)
from cython.cimports.lasthop.engine.poll import (
    ERRORS,
    IN_APPLICATION,
    SENT_BYTES,
    clock_ns,
    push,
    rest,
    rest_until,
)
from cython.cimports.lasthop.engine.ready import NOTHING
from cython.cimports.lasthop.engine.websocket import OPEN
from cython.cimports.lasthop.http1.reply import DATE_SIZE, free_out, put, put_raw_field, put_start
from cython.cimports.libc.errno import EAGAIN, EINTR, errno
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.posix.time import CLOCK_MONOTONIC

_AHEAD = cython.declare(int64_t, 65536)
"""Bytes that may wait for the peer before `send` waits too."""
_LOW = cython.declare(int64_t, 16384)
_HELD = cython.declare(cython.Py_ssize_t, 65536)
"""Memory of messages that the application has not taken: beyond, nothing more is read."""
_READS = cython.declare(cython.int, 4)
"""How often is read in one turn before others have theirs."""
_ANSWERS = cython.declare(
    tuple, ("websocket.close", "websocket.http.response.start", "websocket.http.response.body")
)
"""To a handshake, which is denied with them. When its peer has gone they come to nothing, as with a plain request."""
_CLOSING_NS = cython.declare(int64_t, 10000000000)
"""How long the peer has to answer a close frame."""


def open_dialogue(lane, conn, base, took, size, scope, environ):
    """A dialogue for the handshake whose head is the first `took` of the `size` bytes at `base`. If it is refused already, no application is asked."""
    service: Service = lane.service
    dialogue: Dialogue = Dialogue()
    exchange: Exchange = lane.fresh()
    exchange.retire_methods()
    exchange.begin(conn, cython.address(lane.head), False)
    exchange.intake.begin(conn, cython.address(lane.head), base + took, size - took, True)
    exchange.keep_alive = False
    target = scope["raw_path"] + b"?" + scope["query_string"]
    dialogue.session = service.websocket(scope["headers"], target.decode("latin-1"))
    scope["subprotocols"] = dialogue.session.subprotocols
    dialogue.lane = lane
    dialogue.service = service
    dialogue.poll = lane.poll
    dialogue.conn = conn
    dialogue.exchange = exchange
    dialogue.scope = scope
    dialogue.environ = environ
    dialogue.in_turn = True
    dialogue.step = ASKED
    dialogue.began = clock_ns(CLOCK_MONOTONIC)
    conn.holder = cython.cast(cython.p_void, dialogue)
    Py_INCREF(dialogue)
    lane.dialogues.add(dialogue)
    if dialogue.session.refusal is not None:
        if service.log is not None:
            service.log.info(
                "refused a WebSocket handshake with %d: %s",
                dialogue.session.refusal[0],
                dialogue.session.fault,
            )
        status, headers, body = dialogue.session.refusal
        dialogue._refuse(status, headers, body)
    return dialogue


class Dialogue:
    def begin(self):
        """The application has begun, and perhaps ended: go on with the connection."""
        intake = self.exchange.intake
        self.in_turn = False
        if self.conn == cython.NULL:
            return 0
        intake.keep_source()
        if self.conn.half_closed:
            # The event that told of it came with the handshake, and will not come again.
            if self.step == ASKED:
                end(self.service, self.conn)
                return 0
            self.conn.drained = False
        if self.step == TALKING and intake.source_end != intake.source_at:
            self.session.feed_raw(intake.source + intake.source_at, intake.source_end - intake.source_at)
            intake.source_at = intake.source_end
            intake.keep_source()
            if self.unheard:
                self._drop()
            wake_all(self.reading)
            self.reading = None
        self._collect()
        return self._rest()

    # What the application calls.

    def receive(self):
        """The next message: websocket.connect, then what the peer says, at last websocket.disconnect."""
        return later(self, True)

    def take(self, message):
        """A message: websocket.accept, websocket.send, websocket.close, or a reply to a handshake that is denied."""
        kind = message["type"]
        if kind == "websocket.accept":
            return self._accept(message)
        if self.lost and kind in _ANSWERS:
            return NOTHING
        if self.step == TALKING or self.step == OVER:
            if self.step == OVER and not self.session.accepted:
                raise RuntimeError(f"{kind!r} was sent after the handshake had been denied")
            self.session.send(message)
            self._write()
            if self.exchange.unsent > _AHEAD:
                return later(self, False)
            return NOTHING
        if kind == "websocket.close":
            return self._deny(message)
        if kind == "websocket.http.response.start" or kind == "websocket.http.response.body":
            return self._denial(message)
        raise RuntimeError(f"{kind!r} was sent before websocket.accept")

    def message(self):
        if not self.connected:
            self.connected = True
            return {"type": "websocket.connect"}
        message = self.session.receive()
        if self.session._out is not None:
            self._write()  # what was left undigested has been read
        if message is None and self.session.disconnect is not None:
            message = self.session.disconnect
        if message is None and (self.step == OVER or self.conn == cython.NULL):
            message = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        if message is not None and self.full and self.session.held < _HELD:
            self.full = False
            self._resume()
        return message

    def has_room(self):
        return self.conn == cython.NULL or self.exchange.unsent <= _LOW

    # The handshake.

    def _accept(self, message):
        exchange: Exchange = self.exchange
        fields = self.session.accept(message.get("subprotocol"), message.get("headers", ()))
        if self.step != ASKED:
            raise RuntimeError("websocket.accept was sent a second time, or too late")
        put(cython.address(exchange.out), b"HTTP/1.1 101 Switching Protocols\r\n", 34)
        for name, value in fields:
            put_raw_field(cython.address(exchange.out), cython.NULL, name, value)
        names = {name.lower() for name, _ in fields}
        if b"date" not in names:
            put(cython.address(exchange.out), self.poll.date, DATE_SIZE)
        if b"server" not in names:
            put(cython.address(exchange.out), b"Server: lasthop\r\n", 17)
        put(cython.address(exchange.out), b"\r\n", 2)
        exchange.reply.status = 101
        self.step = TALKING
        self.due = clock_ns(CLOCK_MONOTONIC) + cython.cast(int64_t, self.session.terms.ping_interval_s * 1e9)
        self._push_head()
        if self.poll.draining:
            self.leave(1012)
        if not self.in_turn and exchange.intake.source_end != exchange.intake.source_at:
            self._feed_rest()
        return NOTHING

    def _deny(self, message):
        if self.step != ASKED:
            raise RuntimeError("websocket.close was sent after the handshake had been denied")
        self._refuse(403, (), b"")
        return NOTHING

    def _denial(self, message):
        exchange: Exchange = self.exchange
        body: bytes = as_bytes(message.get("body", b""), "the body of a reply")
        if message["type"] == "websocket.http.response.start":
            if self.step != ASKED:
                raise RuntimeError("websocket.http.response.start was sent a second time")
            put_start(
                cython.address(exchange.out),
                cython.address(exchange.reply),
                message["status"],
                message.get("headers", ()),
            )
            exchange.unfinished = exchange.out.size
            exchange.started = True
            self.step = DENYING
            return NOTHING
        if self.step != DENYING:
            raise RuntimeError("websocket.http.response.body was sent before websocket.http.response.start")
        if message.get("more_body", False):
            exchange.check_piece(len(body), False)
            exchange.give(body)
            self._push_head()
            return later(self, False) if exchange.unsent > _AHEAD else NOTHING
        exchange.check_piece(len(body), True)
        if not exchange.head_out:
            exchange.end_head(len(body))
        exchange.give(body)
        exchange.give_end()
        self._finish_reply()
        return NOTHING

    def _refuse(self, status, headers, body):
        exchange: Exchange = self.exchange
        exchange.out.size = 0
        exchange.out_at = 0
        exchange.unfinished = 0
        put_start(cython.address(exchange.out), cython.address(exchange.reply), status, headers)
        exchange.started = True
        exchange.end_head(len(body))
        exchange.give(body)
        exchange.give_end()
        self._finish_reply()
        return 0

    def _finish_reply(self):
        """The handshake is denied: the reply is complete, and the connection ends with it."""
        self.step = OVER
        self._push_head()

    # The connection.

    def _write(self):
        """Hand on what the session wants written."""
        if self.conn != cython.NULL:
            self._collect()
            self._push_head()
        return 0

    def _collect(self):
        """Take what the session wants written."""
        piece: bytes
        self.session.clogged = self.exchange.unsent > _AHEAD
        for piece in self.session.take():
            self.exchange._queue(piece)
            self.exchange.body_bytes += len(piece)
        return 0

    def _push_head(self):
        """Send what the peer takes, if the connection can be touched; else its turn does."""
        if self.conn == cython.NULL or self.in_turn:
            return
        if seize(self.conn):
            if self._push() != GONE:
                self._rest()
            self.lane.settle()

    def _push(self):
        """Send what the peer takes: SENT, BLOCKED, or GONE, and then the connection is closed."""
        exchange: Exchange = self.exchange
        conn: cython.pointer(Conn) = self.conn
        before: int64_t = exchange.pending()
        sent: cython.int = exchange.flush()
        if sent == GONE:
            end(self.service, conn)
            return sent
        if conn.phase == CALLED_SENDING and exchange.pending() < before:
            conn.deadline = self.poll.now + self.poll.reply_ns
        if self.writing is not None and self.exchange.unsent <= _LOW:
            wake_all(self.writing)
            self.writing = None
        return sent

    def _read(self):
        """Read what has come, as far as the application takes it. The connection is BUSY, and ours."""
        conn: cython.pointer(Conn) = self.conn
        n: cython.Py_ssize_t
        reads: cython.int = 0
        while self.step == TALKING and not self.full and not conn.drained:
            if self.session._state != OPEN and self.exchange.unsent > _AHEAD:
                break  # it asks more than it listens, and who closes still answers each ping
            n = recv(conn.fd, self.lane.buf, BUFFER, 0)
            if n < 0:
                if errno == EINTR:
                    continue
                conn.drained = True
                if errno != EAGAIN:
                    self.session.lost()
                break
            if n == 0:
                conn.drained = True
                conn.half_closed = True
                self.session.feed_eof()
                break
            conn.drained = n < BUFFER and not conn.half_closed
            self.session.feed_raw(self.lane.buf, n)
            if self.unheard:
                self._drop()
            self.full = self.session.held >= _HELD
            reads += 1
            if reads == _READS:
                break
        return 0

    def _drop(self):
        """Nobody takes messages any more."""
        while self.session.receive() is not None:
            pass
        return 0

    def _feed_rest(self):
        """What came with the handshake's head: frames of a peer that did not wait."""
        intake = self.exchange.intake
        size: cython.Py_ssize_t = intake.source_end - intake.source_at
        self.session.feed_raw(intake.source + intake.source_at, size)
        intake.source_at = intake.source_end
        intake.keep_source()
        self._write()
        wake_all(self.reading)
        self.reading = None

    def _resume(self):
        """Messages were taken: read on."""
        if seize(self.conn):
            self._read()
            self._collect()
            if self._push() != GONE:
                self._rest()
            self.lane.settle()

    def _rest(self):
        """The connection waits for what comes next. It is BUSY, and ours."""
        exchange: Exchange = self.exchange
        conn: cython.pointer(Conn) = self.conn
        if self.session._owed is not None:
            self._collect()
        if exchange.pending():
            if self._push() == GONE:
                return 0
        if self.step == TALKING and not exchange.pending():
            # What the handshake took is needed no more: there may be many of us, who mostly wait.
            free_out(cython.address(exchange.out))
            if exchange.intake.source_at == exchange.intake.source_end:
                exchange.intake = self.lane.exchange.intake
        if exchange.pending():
            if conn.phase == CALLED_SENDING:
                rest_until(self.poll, conn, CALLED_SENDING, conn.deadline)
            else:
                rest(self.poll, conn, CALLED_SENDING, self.poll.reply_ns)
        elif self.step == OVER or self.session.ended:
            self._part()
        elif self.step == TALKING and self.session._state != OPEN:
            if not conn.drained and not self.full:
                conn.events |= EPOLLIN  # there is more, and it will not be told of again
            if conn.phase == CALLED_BODY:
                rest_until(self.poll, conn, CALLED_BODY, conn.deadline)
            else:
                rest(self.poll, conn, CALLED_BODY, _CLOSING_NS)
        elif not conn.drained and not self.full and self.step == TALKING:
            conn.phase = CALLED
            __atomic_store_n(cython.address(conn.state), READY, __ATOMIC_RELEASE)
            push(self.poll, conn)
        else:
            rest_until(self.poll, conn, CALLED, conn.deadline)
        return 0

    def _part(self):
        """Nothing more is to be written: our side ends, the peer's is awaited for a while."""
        conn: cython.pointer(Conn) = self.conn
        conn.holder = cython.NULL
        self.conn = cython.NULL
        self.exchange.forget()
        self._leave()
        begin_linger(self.poll, conn)
        Py_DECREF(self)

    def _leave(self):
        """The connection is no longer ours."""
        self.step = OVER
        self.lane.dialogues.discard(self)
        wake_all(self.reading)
        wake_all(self.writing)
        self.reading = None
        self.writing = None
        self._account()

    def wake(self, events):
        """It is the connection's turn."""
        conn: cython.pointer(Conn) = self.conn
        if events & (EPOLLHUP | EPOLLERR) and self.step != TALKING:
            end(self.service, conn)
            return 0
        conn.drained = False
        if self.step == ASKED and conn.half_closed:
            # Whoever is asked for a WebSocket hears that nobody is there any more.
            end(self.service, conn)
            return 0
        self._read()
        self._collect()
        if self._push() == GONE:
            return 0
        if self.full and conn.phase == CALLED_BODY and conn.deadline <= self.poll.now:
            # The peer's close frame is not seen behind messages that nobody takes.
            end(self.service, conn)
            return 0
        if self.reading is not None and (self.session.held or self.session.disconnect is not None):
            wake_all(self.reading)
            self.reading = None
        return self._rest()

    def lose(self):
        """The connection is closed."""
        self.conn = cython.NULL
        self.lost = self.step == ASKED or self.step == DENYING
        self.session.lost()
        self.exchange.intake.source_at = 0
        self.exchange.intake.source_end = 0
        self.exchange.forget()
        self._leave()

    # Time, and the end.

    def keep_alive(self, now):
        """Ask a quiet peer whether it is there; close the connection of one that did not answer in time."""
        terms = self.session.terms
        if self.step != TALKING or self.conn == cython.NULL or not terms.ping_interval_s or now < self.due:
            return 0
        if self.pinged and not self.session.alive and not self.full and not self.exchange.pending():
            if seize(self.conn):
                end(self.service, self.conn)
                self.lane.settle()
            return 0
        if self.pinged:
            self.pinged = False
            self.due = now + cython.cast(int64_t, terms.ping_interval_s * 1e9)
            return 0
        self.session.ping()
        self.pinged = True
        self.due = now + cython.cast(int64_t, terms.ping_timeout_s * 1e9)
        self._write()
        return 0

    def leave(self, code):
        """The server stops: say so to the peer."""
        if self.step == TALKING:
            self.session.close(code)
            self._write()
            wake_all(self.reading)
            self.reading = None
        return 0

    def finish(self, error):
        """The coroutine has ended, with `error` or None: what it left undone is done for it."""
        only_parent(self.service)
        if error is not None and not (
            (self.conn == cython.NULL or self.poll.stopping)
            and isinstance(error, (OSError, asyncio.CancelledError))
        ):
            self.poll.count[ERRORS] += 1
            self.service.log_failure(f"the application failed: {named(self.scope)}", error)
        if self.conn == cython.NULL:
            return 0
        if self.step == ASKED:
            if error is None:
                self.poll.count[ERRORS] += 1
                self.service.log_failure(
                    f"the application returned without an answer to the handshake: {named(self.scope)}",
                    None,
                )
            self._refuse(500, (), b"")
        elif self.step == DENYING:
            if error is None:
                self.poll.count[ERRORS] += 1
                self.service.log_failure(
                    f"the application returned before its reply was complete: {named(self.scope)}",
                    None,
                )
            if self.exchange.head_out:
                self._finish_reply()  # as far as it came
            else:
                self._refuse(500, (), b"")
        elif self.step == TALKING:
            self.session.close(1000 if error is None else 1011)
            self.unheard = True
            self._drop()
            self._write()
            if self.full:
                self.full = False
                self._resume()
        return 0

    def _account(self):
        service: Service = self.service
        self.poll.count[IN_APPLICATION] -= 1
        self.poll.count[SENT_BYTES] += cython.cast(uint64_t, self.exchange.body_bytes)
        if service.access is not None and self.environ is not None:
            try:
                service.access(
                    self.environ,
                    self.exchange.reply.status or 499,
                    self.exchange.body_bytes,
                    (clock_ns(CLOCK_MONOTONIC) - self.began) * 1e-9,
                )
            except Exception:
                service.log_error("the access log cannot be written")
        return 0
