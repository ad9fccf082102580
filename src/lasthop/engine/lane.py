# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What the threads of an engine share (`Service`), and what each has for itself (`Lane`). Plain holders: they know no order of doing things."""

import traceback

import cython
from cython.cimports.cpython.mem import PyMem_RawFree, PyMem_RawMalloc
from cython.cimports.cpython.ref import Py_REFCNT
from cython.cimports.lasthop.engine.exchange import Exchange
from cython.cimports.lasthop.http1.field import Field


class Service:
    def log_error(self, text):
        """Write `text` and the traceback of the exception that is being handled."""
        if self.log is not None:
            self.log.disabled = (
                False  # logging.config in the application disables every logger that it does not know
            )
            self.log.exception(text)  # noqa: LOG004 - called from handlers only
        else:
            traceback.print_exc()

    def log_failure(self, text, error):
        """Write `text` and the traceback of `error`, if there is one."""
        if self.log is None:
            if error is not None:
                traceback.print_exception(error)
            return
        self.log.disabled = False
        self.log.error(text, exc_info=error)

    def notice(self, bit, kind, environ, more):
        """Tell whoever set the engine up what was seen for the first time."""
        if self.noticed & bit:
            return
        self.noticed |= bit
        if self.on_notice is None:
            return
        try:
            self.on_notice(kind, environ, more)
        except Exception:
            self.log_error("a notice could not be told")


@cython.cfunc
@cython.exceptval(check=False)
def _references(exchange: Exchange) -> cython.Py_ssize_t:
    """How many references there are to the exchange and its parts: more than at first means that the application kept one."""
    return (
        Py_REFCNT(exchange)
        + Py_REFCNT(exchange.intake)
        + Py_REFCNT(exchange.starter)
        + Py_REFCNT(exchange.writer)
    )


class Lane:
    def __cinit__(self, service: Service):
        self.service = service
        self.poll = cython.address(service.poll)
        self.buf = cython.cast(cython.p_uchar, PyMem_RawMalloc(BUFFER))
        self.head.fields = cython.cast(
            cython.pointer(Field), PyMem_RawMalloc(max(service.bounds.fields, 1) * cython.sizeof(Field))
        )
        if self.buf == cython.NULL or self.head.fields == cython.NULL:
            raise MemoryError
        exchange: Exchange = self.fresh()
        self.exchange = exchange
        self.references = _references(self.exchange)  # with the one that whoever serves a request has

    def __dealloc__(self):
        PyMem_RawFree(self.buf)
        PyMem_RawFree(self.head.fields)

    def fresh(self):
        """A new exchange."""
        exchange: Exchange = Exchange()
        exchange.poll = self.poll
        exchange.intake.poll = self.poll
        exchange.intake.bounds = cython.address(self.service.bounds)
        return exchange

    def give_back(self, exchange):
        """The lane's exchange is over: it serves the next request too, unless the application kept a part of it.

        What the application kept must never reach another request, so the whole exchange is left to it, and answers no more.
        """
        exchange.forget()
        if _references(self.exchange) > self.references:
            exchange.retire()
            self.exchange = self.fresh()

    def settle(self):
        """Something was done outside of a turn: see that what follows from it is done in the loop's next round."""
        if (
            not self.turning
            and not self.due
            and (self.poll.first != cython.NULL or self.poll.draining or self.late)
            and self.service.loop is not None
        ):
            self.due = True
            # Not in the context of whoever sent something: what the turn begins for others would inherit it.
            self.service.loop.call_soon(self.turn, context=self.context)
        return 0
