# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One WebSocket connection between bytes and ASGI messages (RFC 6455, RFC 7692), without socket, loop or clock.

Whoever has the socket feeds what comes, writes what `take` gives, and closes it once `ended`; whoever calls the application takes messages and gives its
own to `send`. Both directions are one object, used by one thread: this
module is long because an end, a pong, a broken message of one direction is the other's business.

**Two ways to read a frame.** Messages and their fragments, masked and within bounds, are read here, and so are pings and pongs: that is nearly all
traffic, and the library spends 4 us on an echo of 64 bytes where this spends 0.5. A compressed message goes straight to the library's extension.
All else, and whatever a peer may not send, goes to the library frame by frame: it judges, and chooses close codes. Its parser, 1.4 KB, is made when it
is needed and let go of when nothing hangs on it: not in the midst of compressed fragments, not after a close frame. Nothing is judged here but
UTF-8, which the library leaves to whoever puts fragments together. tests/engine/test_websocket_agreement.py holds both ways to the same verdicts.

**What a peer can make us hold** is bounded: a message by `Terms.max_size`, also decompressed; messages that the application has not taken by MOST_HELD and
one more, after which bytes are left undigested; those bytes by whoever feeds, who looks at `held` and stops. What it can make us write are pongs: while much
waits for it (`clogged`) the last ping alone is to be answered (RFC 6455, 5.5.3).
"""

import cython
from cython.cimports.cpython.buffer import PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.cpython.mem import PyMem_Free, PyMem_Realloc
from cython.cimports.cpython.unicode import PyUnicode_1BYTE_DATA
from cython.cimports.lasthop.engine.frame import (
    COMPRESSED,
    FINAL,
    FINAL_BINARY,
    FINAL_PING,
    FINAL_PONG,
    FINAL_TEXT,
    FIRST_BINARY,
    FIRST_TEXT,
    LARGE,
    ODD,
    PART,
    Frame,
    PyUnicode_IS_ASCII,
    frame_head,
    framed,
    gathered,
    measure,
    unmasked,
    unmasked_text,
)
from cython.cimports.lasthop.engine.inbox import Inbox
from cython.cimports.libc.string import memcpy, memmove

MOST_HELD = 65536
_most_held = cython.declare(cython.Py_ssize_t, MOST_HELD)
"""From this much on, what has come is left undigested until messages are taken: 64 KiB of compressed frames can be 64 MiB of messages."""
_DEFLATED = cython.declare(cython.Py_ssize_t, 32)
"""Shorter messages leave as they are: an empty deflate block alone takes half of it."""


# They come with the first session: the library is an extra, and takes 4 MB.
handshake = None
library = None


class Session(Inbox):
    """One connection, from a request that asks for it to its end. MissingExtra is raised where the library is not installed."""

    def __init__(self, headers, target, *, settings):
        global handshake, library
        if library is None:
            from lasthop.engine import handshake, library
        self._handshake = handshake.Handshake(headers, target, settings)
        self.terms = settings
        self._most = settings.max_size
        self.subprotocols = self._handshake.subprotocols
        self.refusal = self._handshake.refusal
        self.fault = self._handshake.fault
        self.alive = True
        self._state = OPENING

    def __dealloc__(self):
        PyMem_Free(self._rest)

    @property
    def accepted(self):
        """Has a 101 been made for it?"""
        return self._handshake is None

    @property
    def ended(self):
        """Nothing more to write or to read: the connection can be closed.

        What the peer has sent meanwhile may be unread, and closing would tell it so by a reset, which can overtake our close frame: end the
        writing side first.
        """
        return self._state == CLOSED and self._out is None

    def accept(self, subprotocol, headers):
        """All header fields of the reply of 101. From now on frames may come.

        ValueError or TypeError for what may not be sent: then nothing is accepted. OSError: the peer is gone.
        """
        if self._state == CLOSED and self._handshake is not None:
            raise OSError("the peer went away before websocket.accept")
        if self._state != OPENING or self.refusal is not None:
            raise RuntimeError("websocket.accept: this WebSocket has been accepted or refused before")
        fields = self._handshake.reply(subprotocol, headers)
        self._deflate = self._handshake.deflate
        self._handshake = None
        self._state = OPEN
        return fields

    # From the peer

    def feed(self, data):
        """Bytes from the peer, after `accept`. Anything with a buffer."""
        view: Py_buffer
        PyObject_GetBuffer(data, cython.address(view), PyBUF_SIMPLE)
        try:
            self.feed_raw(cython.cast(cython.p_const_uchar, view.buf), view.len)
        finally:
            PyBuffer_Release(cython.address(view))

    def feed_raw(self, data, size):
        """`feed` for callers in C: the bytes are not kept."""
        used: cython.Py_ssize_t
        if self._state == CLOSED or size == 0:
            return 0
        if self._state == OPENING:
            raise RuntimeError("a WebSocket was fed before it was accepted")
        self.alive = True
        if self._rest_size:
            self._keep(data, size)
            self._resume()
            return 0
        used = self._digest(data, size)
        if used < size and self._state != CLOSED:
            self._keep(data + used, size - used)
        return 0

    def feed_eof(self):
        """The peer has ended its side, or is gone."""
        if self._eof or self._state == CLOSED:
            return
        self._eof = True
        if not self._stalled:
            self._finish_eof()

    def lost(self):
        """The connection is broken, nothing can be written any more: what was not digested is dropped."""
        self._eof = True
        self._out = None
        self._finish_eof()

    def _finish_eof(self):
        if self._state != CLOSED:
            self._end(1006, "")
        return 0

    def _keep(self, data, size):
        wanted: cython.Py_ssize_t = self._rest_size + size
        if wanted > self._rest_room:
            # Twice as much, so that nothing is copied often; but no more than the largest frame takes, and one piece behind it.
            room: cython.Py_ssize_t = min(self._rest_room * 2, self._most + 65536)
            room = max(room, wanted)
            made: cython.p_void = PyMem_Realloc(self._rest, cython.cast(cython.size_t, room))
            if made == cython.NULL:
                raise MemoryError
            self._rest = cython.cast(cython.p_uchar, made)
            self._rest_room = room
        memcpy(self._rest + self._rest_size, data, cython.cast(cython.size_t, size))
        self._rest_size = wanted
        return 0

    def _resume(self):
        """Digest what was kept."""
        used: cython.Py_ssize_t = self._digest(self._rest, self._rest_size)
        if self._state == CLOSED:
            used = self._rest_size
        if used < self._rest_size:
            if used:
                memmove(self._rest, self._rest + used, cython.cast(cython.size_t, self._rest_size - used))
                self._rest_size -= used
            return 0
        PyMem_Free(self._rest)
        self._rest = cython.NULL
        self._rest_size = 0
        self._rest_room = 0
        return 0

    def _digest(self, data, size):
        """Read whole frames: how many bytes they are."""
        frame: Frame
        at: cython.Py_ssize_t = 0
        most: cython.Py_ssize_t
        extent: cython.int
        self._stalled = False
        while at < size:
            if self._state != OPEN or self._astray:
                if self._state != CLOSED:
                    self._judge(data + at, size - at)
                return size
            if self.held >= _most_held:
                self._stalled = True
                break
            most = self._most if self._parts is None else self._most - len(self._parts)
            extent = measure(cython.address(frame), data + at, size - at, most)
            if extent == PART:
                break
            if extent == ODD:
                # The library refuses it; it gets all that follows too, for it may want the whole frame before it does.
                self._astray = True
                self._judge(data + at, size - at)
                return size
            if not self._read(frame.head, data + at + frame.at, frame.size):
                self._judge(data + at, frame.at + frame.size)
            at += frame.at + frame.size
        if self._library is not None and self._parts is None and self._state == OPEN and not self._astray:
            self._library = None
        return at

    def _read(self, head, payload, size):
        """Read a whole frame of the usual kinds: was it one?"""
        if head == FINAL_PING:
            if self.clogged:
                self._owed = unmasked(payload, size)
            else:
                self._write(framed(FINAL_PONG, unmasked(payload, size), size))
        elif head == FINAL_PONG:
            return True
        elif self._parts is not None:
            if head & ~FINAL or self._library is not None:
                return False
            self._parts += unmasked(payload, size)
            if head == FINAL:
                self._finish_parts()
        elif head == FINAL_BINARY:
            self._deliver(False, unmasked(payload, size))
        elif head == FINAL_TEXT:
            try:
                text: str = unmasked_text(payload, size)
            except UnicodeDecodeError as error:
                self._refuse_text(error)
            else:
                self._deliver(True, text)
        elif head == FIRST_TEXT or head == FIRST_BINARY:
            self._is_text = head == FIRST_TEXT
            self._parts = bytearray(unmasked(payload, size))
        elif self._deflate is not None and head == FINAL_TEXT | COMPRESSED:
            self._inflate(payload, size, True)
        elif self._deflate is not None and head == FINAL_BINARY | COMPRESSED:
            self._inflate(payload, size, False)
        else:
            return False
        return True

    def _inflate(self, payload, size, is_text):
        """A compressed message in one frame, as browsers send them: the library's extension reads it without the library's parser."""
        opcode = library.Opcode.TEXT if is_text else library.Opcode.BINARY
        frame = library.Frame(opcode, unmasked(payload, size), True, True)
        try:
            data: bytes = self._deflate.decode(frame, max_size=self._most).data
            return self._deliver(is_text, data.decode() if is_text else data)
        except UnicodeDecodeError as error:
            return self._refuse_text(error)
        except library.ProtocolError as error:
            return self._refuse(library.CloseCode.PROTOCOL_ERROR, str(error))
        except library.PayloadTooBig as error:
            return self._refuse(library.CloseCode.MESSAGE_TOO_BIG, str(error))

    def _refuse_text(self, error):
        return self._refuse(library.CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")

    def _refuse(self, code, reason):
        self._need_library()
        self._library.fail(code, reason)
        return self._collect()

    def _need_library(self):
        if self._library is None:
            self._library = library.Protocol(
                library.Side.SERVER, state=library.State.OPEN, max_size=self._most, logger=handshake.LOGGER
            )
            if self._deflate is not None:
                self._library.extensions = [self._deflate]
            if self._parts is not None:
                # It has to know of the fragments that it did not see. Once in a connection, for nothing good comes of a frame between them.
                head = bytearray(frame_head(FIRST_TEXT if self._is_text else FIRST_BINARY, len(self._parts)))
                head[1] |= 0x80
                self._library.receive_data(bytes(head) + bytes(4) + self._parts)
                self._library.events_received()
        return 0

    def _judge(self, data, size):
        """Let the library read: one whole frame, or, when it will refuse or has sent a close frame, all that comes."""
        self._need_library()
        self._library.receive_data(PyBytes_FromStringAndSize(cython.cast(cython.p_char, data), size))
        for frame in self._library.events_received():
            if self._state == OPEN:
                self._take_frame(frame)
        return self._collect() if self._library is not None else 0

    def _take_frame(self, frame):
        opcode = frame.opcode
        if opcode is library.Opcode.CONT:
            self._parts += frame.data
        elif opcode is library.Opcode.TEXT or opcode is library.Opcode.BINARY:
            self._is_text = opcode is library.Opcode.TEXT
            self._parts = bytearray(frame.data)
        else:
            return 0
        return self._finish_parts() if frame.fin else 0

    def _finish_parts(self):
        parts: bytearray = self._parts
        self._parts = None
        if not self._is_text:
            return self._deliver(False, bytes(parts))
        try:
            text: str = parts.decode()
        except UnicodeDecodeError as error:
            return self._refuse_text(error)
        return self._deliver(True, text)

    def _collect(self):
        """Take what the library wants written, and its verdict on the connection."""
        over: cython.bint = False
        for piece in self._library.data_to_send():
            if piece:
                self._write(piece)
            else:
                over = True  # the library would end the writing side here: both close frames have gone, or it refused
        if over and self._state != CLOSED:
            close = self._library.close_rcvd if self._library.parser_exc is None else None
            if close is None:
                close = self._library.close_sent
            self._end(close.code, close.reason)
        return 0

    # To the application

    def _deliver(self, is_text, payload):
        message: dict
        if is_text:
            message = {"type": "websocket.receive", "text": payload}
        else:
            message = {"type": "websocket.receive", "bytes": payload}
        return self._queue(message)

    def receive(self):
        """The next message for the application: websocket.receive, at last one websocket.disconnect; None while there is none.

        Taking a message may make room for what was left undigested: look whether `take` has something.
        """
        message: dict = self._next()
        if self._stalled and self._first is None:
            self._resume()
            if self._eof and not self._stalled:
                self._finish_eof()
        return message

    def _end(self, code, reason):
        """Nothing more will be read. The application hears of it, unless it has."""
        self._state = CLOSED
        self._library = None
        self._deflate = None
        self._parts = None
        self._stalled = False
        self._tell_end(code, reason)
        return 0

    def _tell_end(self, code, reason):
        if self.disconnect is None:
            self.disconnect = {"type": "websocket.disconnect", "code": int(code), "reason": reason}
            self._queue(self.disconnect.copy())
        return 0

    # From the application

    def send(self, message):
        """websocket.send or websocket.close, once accepted.

        TypeError, ValueError, RuntimeError: not a message, or not now. OSError: the peer has closed, or we have for the server's sake.
        """
        kind = message["type"]
        if kind == "websocket.send":
            if self._state != OPEN:
                self._refuse_send(kind)
            payload = message.get("bytes")
            if payload is not None:
                self._put(False, payload)
                return
            payload = message.get("text")
            if payload is None:
                raise ValueError("websocket.send: 'bytes' or 'text' must say what to send")
            self._put(True, payload)
        elif kind == "websocket.close":
            if self._state == OPENING or self._by_application:
                self._refuse_send(kind)
            code = message.get("code")
            reason = message.get("reason")
            if self._state != OPEN:
                return  # the peer was first
            self._close(1000 if code is None else code, "" if reason is None else reason)
            self._by_application = True
        else:
            raise ValueError(
                f"{kind!r} is no message for an accepted WebSocket: websocket.send or websocket.close is"
            )

    def _refuse_send(self, kind):
        if self._state == OPENING:
            raise RuntimeError(f"{kind} came before websocket.accept")
        if self._by_application:
            raise RuntimeError(f"{kind} came after websocket.close")
        raise OSError("the WebSocket is closed: websocket.disconnect says why")

    def _put(self, is_text, payload):
        data: bytes
        head: cython.uchar = FINAL_TEXT if is_text else FINAL_BINARY
        if is_text:
            if not isinstance(payload, str):
                raise TypeError(f"websocket.send: 'text' is a {type(payload).__name__}, not a str")
            if self._deflate is None and len(payload) < LARGE and PyUnicode_IS_ASCII(payload):
                # ASCII is UTF-8 as it stands: framed without a bytes object between.
                return self._write(
                    framed(
                        head, cython.cast(cython.p_const_uchar, PyUnicode_1BYTE_DATA(payload)), len(payload)
                    )
                )
            data = payload.encode()
        elif type(payload) is bytes:
            data = payload
        elif isinstance(payload, (bytes, bytearray, memoryview)):
            data = bytes(payload)
        else:
            raise TypeError(f"websocket.send: 'bytes' is a {type(payload).__name__}, not bytes")
        if self._deflate is not None and PyBytes_GET_SIZE(data) >= _DEFLATED:
            opcode = library.Opcode.TEXT if is_text else library.Opcode.BINARY
            data = bytes(self._deflate.encode(library.Frame(opcode, data)).data)
            head |= COMPRESSED
            self._warm = True
        if PyBytes_GET_SIZE(data) < LARGE:
            start: cython.p_const_uchar = cython.cast(cython.p_const_uchar, PyBytes_AS_STRING(data))
            return self._write(framed(head, start, PyBytes_GET_SIZE(data)))
        self._write(frame_head(head, PyBytes_GET_SIZE(data)))
        return self._write(data)

    # From the server

    def close(self, code, reason=""):
        """The server's own wish: 1001 when it stops, 1011 when the application failed. Nothing, if it is closed already."""
        if self._state == OPEN:
            self._close(code, reason)
        elif self._state == OPENING:
            raise RuntimeError("a WebSocket that was not accepted is answered by HTTP")

    def _close(self, code, reason):
        if not isinstance(code, int) or not isinstance(reason, str):
            raise TypeError(
                f"websocket.close: 'code' is an int and 'reason' a str, not {code!r} and {reason!r}"
            )
        self._need_library()
        try:
            self._library.send_close(code, reason)
        except library.ProtocolError as error:
            if self._parts is None:
                self._library = None
            raise ValueError(f"websocket.close: code {code} and reason {reason!r}: {error}") from None
        self._state = CLOSING
        self._parts = None
        self._tell_end(code, reason)
        self._collect()
        if self._rest_size:
            self._resume()
        if self._eof:
            self._finish_eof()
        return 0

    def ping(self):
        """Ask the peer whether it is there: `alive` is false until something comes from it.

        If nothing was compressed since the last ping, the compressor is let go of: a new one makes the next message a little larger, no more.
        """
        if self._state != OPEN:
            return
        self.alive = False
        self._write(b"\x89\x00")
        if self._deflate is not None and not self._warm:
            self._deflate.rest()
        self._warm = False

    # To the peer

    def _write(self, piece):
        if self._out is None:
            self._out = [piece]
        else:
            self._out.append(piece)
        return 0

    def take(self):
        """What is to be written now, in order; small pieces are put together."""
        out: list
        if self._owed is not None and not self.clogged:
            if self._state == OPEN:
                self._write(framed(FINAL_PONG, self._owed, len(self._owed)))
            self._owed = None
        out = self._out
        if out is None:
            return []
        self._out = None
        return out if len(out) == 1 else gathered(out)
