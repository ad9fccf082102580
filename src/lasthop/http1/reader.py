# cython: language_level=3
"""One connection's requests out of its bytes, as Python events: the compiled readers for people, tests and fuzzers.

The engine calls `read_head` and `read_body` itself, in the same order; this class adds a buffer and turns their results into tuples.
No socket, no clock. `feed` never raises for any bytes: a peer can only make it refuse.
"""

import cython
from cython.cimports.cpython.mem import PyMem_Free, PyMem_Malloc
from cython.cimports.lasthop.http1.body import BODY_DATA, BODY_END, Body, begin_body, read_body
from cython.cimports.lasthop.http1.field import Bounds, Field
from cython.cimports.lasthop.http1.head import Head, Progress, read_head
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.string import memset

from lasthop.http1.limits import Limits
from lasthop.http1.refusals import refusal_of


@cython.cclass
class RequestReader:
    """Feed it bytes as they come, cut anywhere; it tells what they say.

    Events are tuples: ("head", method, target, (1, minor), [(name, value), …], None | length | "chunked", keep_alive, expect_continue),
    ("data", content), ("end",), ("refused", status, reason). After a refusal nothing comes any more and `closed` is True.
    """

    closed = cython.declare(cython.bint, visibility="readonly")
    _pending: bytes
    _in_body: cython.bint
    _bounds: Bounds
    _head: Head
    _progress: Progress
    _body: Body

    def __init__(self, limits: Limits | None = None):
        limits = Limits() if limits is None else limits
        self._bounds.line = limits.line
        self._bounds.fields = limits.fields
        self._bounds.field_size = limits.field_size
        self._bounds.head = limits.head
        self._bounds.body = limits.body
        PyMem_Free(self._head.fields)
        self._head.fields = cython.cast(
            cython.pointer(Field), PyMem_Malloc(max(limits.fields, 1) * cython.sizeof(Field))
        )
        if self._head.fields == cython.NULL:
            raise MemoryError
        memset(cython.address(self._progress), 0, cython.sizeof(Progress))
        self._pending = b""
        self._in_body = False
        self.closed = False

    def __dealloc__(self):
        PyMem_Free(self._head.fields)

    def feed(self, data: bytes) -> list:
        """The events that `data` completes. Nothing of `data` is needed again."""
        events: list = []
        if self.closed:
            return events
        self._pending += data
        buf: cython.p_const_uchar = self._pending
        size: cython.Py_ssize_t = len(self._pending)
        at: cython.Py_ssize_t = 0
        took: cython.Py_ssize_t
        place: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t = 0
        result: cython.int
        while True:
            if not self._in_body:
                if at == size:
                    break
                took = read_head(
                    cython.address(self._head),
                    cython.address(self._progress),
                    buf + at,
                    size - at,
                    cython.address(self._bounds),
                )
                if took == 0:
                    break
                if took < 0:
                    self._refuse(events, took)
                    break
                events.append(self._describe(self._pending[at : at + took]))
                at += took
                begin_body(cython.address(self._body), cython.address(self._head))
                self._in_body = True
            took = 0
            result = read_body(
                cython.address(self._body), buf + at, size - at, cython.address(self._bounds),
                cython.address(took), cython.address(place), cython.address(count),
            )  # fmt: skip
            if result < 0:
                self._refuse(events, result)
                break
            if result == BODY_DATA:
                events.append(("data", self._pending[at + place : at + place + count]))
            at += took
            if result == BODY_END:
                events.append(("end",))
                self._in_body = False
            elif result != BODY_DATA:
                break
        self._pending = self._pending[at:]
        return events

    @cython.cfunc
    def _refuse(self, events: list, code: cython.Py_ssize_t) -> cython.void:
        name, status, _ = refusal_of(code)
        events.append(("refused", status, name))
        self.closed = True

    @cython.cfunc
    def _describe(self, text: bytes) -> tuple:
        head: cython.pointer(Head) = cython.address(self._head)
        fields: list = []
        field: cython.pointer(Field)
        i: uint32_t
        for i in range(head.nfields):
            field = cython.address(head.fields[i])
            fields.append(
                (
                    text[field.name : field.name + field.name_size],
                    text[field.value : field.value + field.value_size],
                )
            )
        framing: object = "chunked" if head.chunked else None if head.length < 0 else head.length
        return (
            "head",
            text[head.method : head.method + head.method_size],
            text[head.target : head.target + head.target_size],
            (1, head.minor),
            fields,
            framing,
            bool(head.keep_alive),
            bool(head.expect_continue),
        )
