"""The engine of an ASGI application, with the event loop and the lifespan that belong to it, as a worker runs any engine.

Knows how a loop is made and ended; nothing of connections (the engine's) and of signals (the worker's). One loop from the start of the lifespan to its end, in
the worker's main thread.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from logging import getLogger
from typing import TYPE_CHECKING, Any

from lasthop.errors import MissingExtra
from lasthop.server.lifespan import Lifespan

if TYPE_CHECKING:
    from lasthop.settings import Settings

log = getLogger("lasthop.engine")

ENDING_SECONDS = 3.0
"""Of the graceful time-out, but at most a quarter of it, what is kept for tasks that are cancelled and for the lifespan's end: whatever
requests do, the application can end in order."""
BEAT_SECONDS = 0.25
"""How often a loop says that it turns, while the application begins."""
MOST_NAMED = 10
"""Of those that are cancelled."""


class Looped:
    """What `worker.Engine` asks for."""

    def __init__(
        self,
        application: Any,
        text: str,
        settings: "Settings",
        make: Callable[..., Any],
        turned: Callable[[], None],
    ) -> None:
        """Make the loop, and let the application begin; `turned` is called from time to time meanwhile. Raises ApplicationFailed, or MissingExtra."""
        self._graceful_s = settings.graceful_timeout
        self._ending_s = min(ENDING_SECONDS, self._graceful_s / 4)
        self._runner = asyncio.Runner(loop_factory=_factory(settings.loop))
        self._lifespan = Lifespan(application, text, settings.lifespan)
        try:
            self._runner.get_loop().set_exception_handler(_log)
            self._go_on_with(self._begin(turned))
            self._engine = make(
                application,
                state=self._lifespan.state,
                root_path=settings.root_path,
                pathsend=settings.pathsend,
                websocket=_websocket(settings),
                cancelled_seconds=self._ending_s / 3,
            )
        except BaseException:
            self._runner.close()
            raise
        self._until = float("inf")

    async def _begin(self, turned: Callable[[], None]) -> None:
        """The lifespan's start, however long it takes: the loop turns."""
        self._beat(turned)
        try:
            await self._lifespan.start()
        finally:
            self._next_beat.cancel()

    def _beat(self, turned: Callable[[], None]) -> None:
        turned()
        self._next_beat = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat, turned)

    def serve(self) -> None:
        """Serve, then let the application end."""
        try:
            self._go_on_with(self._serving())
        except BaseException:
            self._engine.stop()  # else its task would go on when the runner cancels it
            raise
        finally:
            left = min(self._graceful_s, max(0.0, self._until - time.monotonic()))
            self._go_on_with(self._lifespan.stop(left))

    async def _serving(self) -> None:
        """The engine's own coroutine is compiled: tools that list tasks want to see a line of a file."""
        await self._engine.serve()

    def _go_on_with(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it to its end, whatever the application does to the loop: SystemExit in one request, or loop.stop(), is not the end of all others, nor of the lifespan."""
        loop = self._runner.get_loop()
        task = loop.create_task(coroutine)
        while not task.done():
            try:
                loop.run_until_complete(task)
            except BaseException as error:
                stopped = isinstance(error, SystemExit | KeyboardInterrupt | RuntimeError)
                if task.done() or loop.is_closed() or not stopped:
                    raise  # whatever else comes out of a loop says that it cannot turn any more
                log.error("the application stopped the event loop (%r); it goes on", error)

    def drain(self, linger: float) -> None:
        """Take no more connections, finish, close what is idle after ``linger`` seconds."""
        first = self._until == float("inf")
        self._until = min(self._until, time.monotonic() + self._graceful_s)
        left = self._graceful_s - self._ending_s
        self._engine.drain(min(linger, left))
        if first:
            # A little later, so that those who are idle to the last end as idle ones.
            loop = self._runner.get_loop()
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                loop.call_soon_threadsafe(loop.call_later, left + self._ending_s / 12, self._cut_off)

    def _cut_off(self) -> None:
        """What has not ended in its time is cancelled."""
        self._name_unfinished("requests and tasks that have not ended in time are cancelled")
        self._engine.stop()

    def _name_unfinished(self, what: str) -> None:
        if left := self._engine.unfinished():
            named = ", ".join(left[:MOST_NAMED]) + (", ..." if len(left) > MOST_NAMED else "")
            log.warning("%s: %d: %s", what, len(left), named)

    def stop(self) -> None:
        """End soon: what still runs is cancelled."""
        self._until = min(self._until, time.monotonic() + 1)
        with contextlib.suppress(RuntimeError):  # it has ended meanwhile
            self._runner.get_loop().call_soon_threadsafe(
                self._name_unfinished, "the server ends at once: requests and tasks are cancelled"
            )
        self._engine.stop()

    def close(self) -> None:
        """Free everything, once nobody serves any more."""
        self._engine.close()
        self._runner.close()


def _factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name != "uvloop":
        return None
    try:
        import uvloop
    except ImportError as error:
        raise MissingExtra("--loop uvloop", "uvloop", "uvloop") from error
    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made


def _websocket(settings: "Settings") -> Callable[..., Any] | None:
    """What makes a session of a handshake; None where the library for it is not installed: handshakes are answered as requests then."""
    try:
        from lasthop.engine.handshake import Terms
    except MissingExtra as missing:
        cause = missing.__cause__
        if isinstance(cause, ImportError) and cause.name != "websockets":
            log.warning(
                "no WebSockets are served: the library websockets that is installed is too old (%s): "
                "pip install 'lasthop[websocket]'",
                cause,
            )
        return None
    from lasthop.engine.websocket import Session

    terms = Terms(
        settings.ws_max_size,
        settings.ws_per_message_deflate,
        settings.ws_ping_interval,
        settings.ws_ping_timeout,
    )
    make: Callable[..., Any] = Session
    return lambda headers, target: make(headers, target, settings=terms)


def _log(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What happens in the loop and belongs to no request."""
    if isinstance(context.get("exception"), SystemExit | KeyboardInterrupt):
        return  # told of when it came out of the loop
    log.error("%s", context.get("message", "an error in the event loop"), exc_info=context.get("exception"))
