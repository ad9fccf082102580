"""A worker: the process that loads the application and runs an engine, from its fork to its end.

It knows its own engine, its signals and one channel to the supervisor; it knows nothing of other workers. When the channel ends the
supervisor is gone, and the worker finishes and goes too.
"""

import contextlib
import faulthandler
import functools
import gc
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from logging import getLogger
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lasthop.errors import ApplicationFailed, LasthopError, TargetError
from lasthop.link.listener import Listener
from lasthop.server import exits, logs, openfiles, slots
from lasthop.server.interface import interface_of
from lasthop.server.logs import ErrorStream, Sink
from lasthop.server.signals import Signals, ended_with, hold, release
from lasthop.server.target import Application, Target
from lasthop.server.trust import Trust

if TYPE_CHECKING:
    from lasthop.server.accesslog import Access
    from lasthop.settings import Settings

IDLE_LINGER_SECONDS = 1.0
"""How long an idle kept-alive connection may still bring a request when the whole server stops. A front that sees it closed
opens another; one that sends at that very moment would lose a request."""

FAILED_SECONDS = 1.0
"""What a process that could not load the application, or begin, has for its end."""

LONGEST_MESSAGE = 32_768
"""Bytes of a message on the channel: a packet must fit into the socket's buffer."""

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1)

log = getLogger("lasthop")


class Engine(Protocol):
    """What a worker asks of its engine. The engine is compiled, and its types are not to be read."""

    def serve(self) -> None:
        """Serve in this thread until drained or stopped."""

    def drain(self, linger: float) -> None:
        """Take no more connections, finish, close what is idle after ``linger`` seconds."""

    def stop(self) -> None:
        """End after the requests in hand."""

    def close(self) -> None:
        """Free everything, once nobody serves any more."""


class Post(NamedTuple):
    """What a worker gets from the supervisor."""

    channel: socket.socket
    slots: int
    """The descriptor of the shared pages."""
    slot: int
    listeners: list[Listener]
    target: Target
    settings: "Settings"
    connections: int
    multiprocess: bool
    error_log: Sink
    access_log: Sink | None
    trust: Trust


def work(post: Post, application: Application | None = None) -> int:
    """Be a worker until told to leave. Called in a fresh fork with all signals held; returns the exit code."""
    faulthandler.enable(post.error_log.descriptor)
    # Sent to the whole group, as a terminal does, they are meant for the supervisor. Ignored they would be in programs that the application starts, too;
    # but who handles TTIN or TTOU goes round in circles when it reads a terminal that is not its own, where who ignores them gets an error.
    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, _leave_to_the_supervisor)
        signal.siginterrupt(number, False)
    for number in (signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    # While it boots a worker has nothing to finish: TERM, INT and QUIT end it as they end any program. USR1 is kept until then.
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1})
    with contextlib.suppress(BrokenPipeError):
        post.channel.send(b"pid %d" % os.getpid())
        try:
            with ended_with(post.channel):
                booted = _boot(post, application or post.target.load())
        except (ApplicationFailed, TargetError) as error:
            return tell_failure(post.channel, exits.LOAD_FAILED, error)
        except LasthopError as error:
            return tell_failure(post.channel, exits.BOOT_FAILED, error)
        for name in ("lasthop", "lasthop.engine"):
            getLogger(
                name
            ).disabled = False  # logging.config in the application disables loggers that it does not know
        # What is loaded now stays for ever. A collector that goes through all of it holds every request up.
        gc.collect()
        gc.freeze()
        from lasthop.engine import SLOT_FIELDS

        return _Serving(post, booted).run(
            b"ready %d %d %s" % (booted.turned_at, booted.shown, ",".join(SLOT_FIELDS).encode())
        )
    return exits.STOPPED  # the supervisor went while we booted


def _leave_to_the_supervisor(number: int, frame: FrameType | None) -> None:
    pass


def tell_failure(channel: socket.socket, code: int, error: Exception) -> int:
    """Say why nothing can be served, and end soon: a thread that the application left running would keep this process, and so the reason, back."""
    channel.send(b"failed %d " % code + str(error).encode("utf-8", "backslashreplace")[-LONGEST_MESSAGE:])
    with contextlib.suppress(RuntimeError):  # no thread is to be had
        threading.Thread(target=_end_soon, args=(code,), daemon=True).start()
    return code


def _end_soon(code: int) -> None:
    time.sleep(FAILED_SECONDS)
    os._exit(code)


class Booted(NamedTuple):
    """An engine that is ready to serve."""

    engine: Engine
    threads: int
    """How many are to call its serve()."""
    shown: int
    """How many requests it has room for, as the status tells it; 0: it runs an event loop."""
    turned_at: int
    """Where in the slot it notes when it last turned."""


def _boot(post: Post, application: Application) -> Booted:
    """Make the engine that the application asks for."""
    from lasthop import engine as compiled

    settings = post.settings
    openfiles.make_room(post.connections)
    assert compiled.SLOT_SIZE <= slots.PAGE_BYTES
    assert compiled.BOARD_SIZE == slots.BOARD_BYTES
    kind = settings.interface
    if kind == "auto":
        kind = interface_of(application, post.target.text)
    listeners = [
        (each.socket.fileno(), each.server_name, each.server_port, post.trust.believes(each))
        for each in post.listeners
    ]
    options = {
        "limits": compiled.Limits(
            line=settings.limit_request_line,
            fields=settings.limit_request_fields,
            field_size=settings.limit_request_field_size,
            head=settings.limit_request_head,
            body=settings.limit_request_body,
        ),
        "head_timeout": settings.head_timeout,
        "body_timeout": settings.body_timeout,
        "reply_timeout": settings.reply_timeout,
        "keep_alive": settings.keep_alive,
        "max_connections": post.connections,
        "max_requests": _requests_until_retired(settings.max_requests, settings.max_requests_jitter),
        "on_retire": lambda: _tell(post.channel, b"retire"),
        "access": _access(settings.access_logformat, post.access_log),
        "log": getLogger("lasthop.engine"),
        "allow_peer": post.trust.allowed,
        "trust_proxy": post.trust.proxies,
        "proxy_protocol": settings.proxy_protocol,
        "on_notice": post.trust.notice,
        "board": slots.board(post.slots),
        "place": post.slot,
        "slot": memoryview(slots.page(post.slots, post.slot))[: compiled.SLOT_SIZE],
    }
    engine: Engine
    if kind == "asgi":
        # WSGI applications do without asyncio.
        from lasthop.engine import asgi
        from lasthop.server.looping import Looped

        make = functools.partial(asgi.Engine, listeners=listeners, **options)
        turned = functools.partial(_tell, post.channel, b"turned")
        engine = Looped(application, post.target.text, settings, make, turned)
    else:
        engine = compiled.Engine(
            application,
            listeners,
            threads=settings.threads,
            multiprocess=post.multiprocess,
            errors=ErrorStream(post.error_log) if post.error_log.path is not None else None,
            **options,
        )
    threads, shown = (settings.threads, settings.threads) if kind == "wsgi" else (1, 0)
    return Booted(engine, threads, shown, 8 * compiled.SLOT_FIELDS.index("turned_ns"))


def _access(fmt: str, sink: Sink | None) -> "Access | None":
    if sink is None:
        return None
    from lasthop.server import accesslog

    return accesslog.make(fmt, sink.write)


def _requests_until_retired(requests: int, jitter: int) -> int:
    """Each worker's own number, so that workers started together do not leave together."""
    if requests == 0 or jitter == 0:
        return requests
    return requests + int.from_bytes(os.urandom(8), "little") % (jitter + 1)


def _tell(channel: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody there: the channel's end will be seen
        channel.send(message)


class _Serving:
    """The time from ready to the end: the engine's threads, and one loop that hears signals and the supervisor."""

    def __init__(self, post: Post, booted: Booted) -> None:
        self._post = post
        self._engine = booted.engine
        self._code = exits.STOPPED
        self._ended = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        self._serving = booted.threads
        self._drained = False
        self._give_up: float | None = None

    def run(self, ready: bytes) -> int:
        # A child that the application forks must not keep our listeners open when we have let them go.
        os.register_at_fork(after_in_child=self._let_go_of_listeners)
        in_main_thread = self._serving == 1
        self._signals = Signals(HEARD, wakeup_fd_is_taken=in_main_thread)
        if in_main_thread:
            control = _start(self._control, "lasthop-control")
            release()
            self._post.channel.send(ready)
            self._serve()
            control.join()
        else:
            # Before the threads: a request that is waiting already may be the end of this process, and that is no failure to start.
            self._post.channel.send(ready)
            for number in range(self._serving):
                _start(self._serve, f"lasthop-{number}")
            release()
            self._control()
        self._engine.close()
        return self._code

    def _serve(self) -> None:
        """One thread's life."""
        try:
            self._engine.serve()
        except BaseException:
            log.critical("the engine failed; this worker ends", exc_info=True)
            self._code = exits.FAILED
            self._engine.stop()
        finally:
            os.eventfd_write(self._ended, 1)

    def _control(self) -> None:
        """Hear what is said from outside until every serving thread has ended."""
        poll = select.poll()
        for descriptor in (self._signals.fileno(), self._post.channel.fileno(), self._ended):
            poll.register(descriptor, select.POLLIN)
        while self._serving:
            left = None if self._give_up is None else max(0.0, self._give_up - time.monotonic()) * 1000
            ready = {descriptor for descriptor, _ in poll.poll(left)}
            if self._give_up is not None and time.monotonic() >= self._give_up:
                log.error("the supervisor is gone and requests have not ended in time; leaving them")
                os._exit(exits.FAILED)
            if self._ended in ready:
                os.eventfd_read(self._ended)
                self._serving -= 1
            if self._signals.fileno() in ready:
                for number in self._signals.take():
                    self._on_signal(number)
            if self._post.channel.fileno() in ready:
                message = self._heard()
                if not message:
                    poll.unregister(self._post.channel)
                    self._orphaned()
                elif message.startswith(b"drain "):
                    self._drain(float(message[6:]))

    def _heard(self) -> bytes:
        try:
            return self._post.channel.recv(LONGEST_MESSAGE)
        except ConnectionError:
            return b""

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGUSR1:
            self._reopen_logs()
        elif number == signal.SIGTERM and not self._drained:
            self._drain(min(IDLE_LINGER_SECONDS, self._post.settings.graceful_timeout))
        else:
            self._engine.stop()

    def _drain(self, linger: float) -> None:
        self._engine.drain(linger)
        if not self._drained:
            self._drained = True
            self._let_go_of_listeners()
            _tell(self._post.channel, b"closed")

    def _let_go_of_listeners(self) -> None:
        """A listener is open for peers until the last process has closed it, and we accept nobody any more.

        The numbers stay taken, by a socket that leads nowhere: the engine knows them.
        """
        with socket.socket(socket.AF_UNIX) as nowhere:
            for listener in self._post.listeners:
                os.dup2(nowhere.fileno(), listener.socket.fileno(), inheritable=False)

    def _orphaned(self) -> None:
        """The supervisor is gone, and with it whoever would end us in time."""
        log.warning("the supervisor is gone; finishing and leaving")
        self._give_up = time.monotonic() + self._post.settings.graceful_timeout
        self._drain(min(IDLE_LINGER_SECONDS, self._post.settings.graceful_timeout))

    def _reopen_logs(self) -> None:
        logs.reopen((self._post.error_log, self._post.access_log))


def _start(target: Callable[[], Any], name: str) -> threading.Thread:
    """A thread that gets no signals: the main thread, or the wake-up pipe, has them."""
    hold()
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
