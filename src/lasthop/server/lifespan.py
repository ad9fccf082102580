"""The lifespan of an ASGI application in a worker: its start before the first request, its end after the last (ASGI 3.0, "Lifespan Protocol").

Knows one coroutine of the application and the four messages that it exchanges with it; nothing of connections. It is run in the worker's own loop, in one
task from the beginning to the end, as a context manager of the application may be open in between.
"""

import asyncio
from collections.abc import Awaitable, Callable
from logging import getLogger
from typing import Any, Literal

from lasthop.engine.patience import wait_for
from lasthop.errors import ApplicationFailed
from lasthop.server.target import users_traceback

Mode = Literal["auto", "on", "off"]
Message = dict[str, Any]
Application = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Any]

CLEARING_SECONDS = 0.4
"""Of the time that a worker has for its end, what is kept for ending an application that does not end."""

_KINDS = [f"lifespan.{kind}.{end}" for kind in ("startup", "shutdown") for end in ("complete", "failed")]

LONG_SECONDS = 10.0
"""How long a start takes before it is said that it has not ended."""

log = getLogger("lasthop")


class Lifespan:
    """One application's, in one worker."""

    def __init__(self, application: Application, text: str, mode: Mode) -> None:
        self.state: dict[str, Any] = {}
        """What the application put there at its start: each request gets a shallow copy."""
        self._application = application
        self._text = text
        self._mode = mode
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._phase = "startup"
        """What the application is to answer; empty while requests are served."""
        self._told_of = False

    async def start(self) -> None:
        """Let the application begin. Raises ApplicationFailed with what it said, or raised."""
        if self._mode == "off":
            return
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._answer: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()
        self._messages.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._run(), name="lifespan")
        await wait_for([self._answer], LONG_SECONDS)
        if not self._answer.done():
            log.warning(
                "the application's lifespan has been starting for %g s; nothing is served before it has",
                LONG_SECONDS,
            )
            await wait_for([self._answer], None)
        answer = self._answer.result()
        self._phase = ""
        if answer is None:
            error = self._failure
            self._task = None
            if self._mode == "auto":
                # Whoever does not know the scope raises, or returns: it has no lifespan. Whoever meant to have one must learn of it.
                if error is not None:
                    log.info("served without a lifespan: the application raised %r at its start", error)
            elif error is None:
                raise ApplicationFailed(
                    self._text, "its lifespan ended before it had begun (--lifespan on)", ""
                )
            else:
                raise ApplicationFailed(
                    self._text, "its lifespan failed at its start", users_traceback(error)
                ) from error
        elif answer["type"] == "lifespan.startup.failed":
            await self._end()
            raise ApplicationFailed(
                self._text, "its lifespan says that it cannot start", str(answer.get("message", ""))
            )

    async def stop(self, seconds: float) -> None:
        """Let the application end, for at most so many seconds."""
        if self._task is None:
            return
        self._phase = "shutdown"
        self._answer = asyncio.get_running_loop().create_future()
        if self._task.done():
            self._answer.set_result(None)
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        await wait_for([self._answer], max(seconds - CLEARING_SECONDS, 0.1))
        if not self._answer.done():
            log.error(
                "the application's lifespan has not ended within %g s; it is cancelled", round(seconds, 1)
            )
        else:
            answer = self._answer.result()
            if answer is None and self._failure is not None and not self._told_of:
                log.error("the application's lifespan failed at its end", exc_info=self._failure)
            elif answer is not None and answer["type"] == "lifespan.shutdown.failed":
                log.error(
                    "the application's lifespan says that it failed to end: %s", answer.get("message", "")
                )
        await self._end()

    async def _end(self) -> None:
        """See the task out. What it has to say after its last message is not awaited for long."""
        task, self._task = self._task, None
        if task is None:
            return
        await wait_for([task], CLEARING_SECONDS / 4)
        task.cancel()
        await wait_for([task], CLEARING_SECONDS / 4)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._application(scope, self._messages.get, self._send)
        except asyncio.CancelledError as error:
            self._failure = error
            raise
        except BaseException as error:  # whatever it is, whoever waits is told
            self._failure = error
            if not self._phase:
                self._told_of = True
                log.error("the application's lifespan failed while requests are served", exc_info=error)
            elif isinstance(error, (SystemExit, KeyboardInterrupt)):
                log.error("the application's lifespan raised %s", type(error).__name__)
        finally:
            if not self._answer.done():
                self._answer.set_result(None)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind not in _KINDS:
            raise RuntimeError(f"a lifespan has no message of type {kind!r}")
        if self._answer.done() or not kind.startswith(f"lifespan.{self._phase}"):
            raise RuntimeError(f"{kind!r} was sent when it answers nothing")
        self._answer.set_result(message)
