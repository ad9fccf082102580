"""ASGI applications that look at their task, keep it, or change it: what they do must reach no other request."""

import asyncio
import contextvars
import gc
import io
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from tests.asgi.applications import Receive, Scope, Send, reply, tell

who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
always: contextvars.ContextVar[str] = contextvars.ContextVar("always", default="unset")
kept: list[asyncio.Task[Any]] = []
of_task: weakref.WeakKeyDictionary[asyncio.Task[Any], str] = weakref.WeakKeyDictionary()


def current() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def name(scope: Scope, receive: Receive, send: Send) -> None:
    assert current() in asyncio.all_tasks()
    await reply(send, current().get_name().encode())


async def keeps_it(scope: Scope, receive: Receive, send: Send) -> None:
    kept.append(current())
    await reply(send, b"kept")


async def keeps_it_and_fails(scope: Scope, receive: Receive, send: Send) -> None:
    kept.append(current())
    raise ValueError("as it should")


async def what_was_kept(scope: Scope, receive: Receive, send: Send) -> None:
    """How each has ended."""
    await asyncio.sleep(0.01)
    assert current() not in kept
    said = [repr(each.exception()) if each.done() else "runs" for each in kept]
    await reply(send, f"{' '.join(said)} {len(set(kept))}".encode())


async def remembers_weakly(scope: Scope, receive: Receive, send: Send) -> None:
    before = of_task.get(current(), "nothing")
    of_task[current()] = "anna"
    await reply(send, before.encode())


async def asks_to_be_called(scope: Scope, receive: Receive, send: Send) -> None:
    current().add_done_callback(lambda task: tell("done:", task.result()))
    await reply(send, b"asked")


async def sets_who(scope: Scope, receive: Receive, send: Send) -> None:
    before = who.get()
    who.set("anna")
    await reply(send, f"{before} {always.get()}".encode())


async def sets_always(scope: Scope, receive: Receive, send: Send) -> None:
    before = always.get()
    always.set("never")
    await reply(send, before.encode())


async def own_context(scope: Scope, receive: Receive, send: Send) -> None:
    """The context is the task's, before it waits and afterwards, and that of whatever it begins."""
    who.set("anna")
    if sys.version_info >= (3, 12):
        assert current().get_context()[who] == "anna"

    async def child() -> str:
        return who.get()

    if scope["query_string"]:
        await asyncio.sleep(0.01)
    who.set("berta")
    await reply(send, (await asyncio.create_task(child())).encode())


async def cancels_itself(scope: Scope, receive: Receive, send: Send) -> None:
    current().cancel()
    await reply(send, b"cancelled")


async def thinks_better_of_it(scope: Scope, receive: Receive, send: Send) -> None:
    """Cancelled before its first wait, which hears of it."""
    current().cancel("a reason")
    try:
        await asyncio.sleep(3600) if scope["query_string"] == b"future" else await asyncio.sleep(0)
    except asyncio.CancelledError as cancelled:
        current().uncancel()
        await reply(send, f"{cancelled} {current().cancelling()}".encode())


async def standing_by() -> list[asyncio.Task[Any]]:
    """The other tasks that have the same kind of coroutine as ours, as soon as there are any."""
    ours = current()
    while True:
        await asyncio.sleep(0.01)
        kind_of = type(ours.get_coro())
        others = [
            each for each in asyncio.all_tasks() if each is not ours and type(each.get_coro()) is kind_of
        ]
        if others:
            return others


async def cancels_who_stands_by(scope: Scope, receive: Receive, send: Send) -> None:
    others = await standing_by()
    for task in others:
        task.cancel()
    await reply(send, str(len(others)).encode())


async def thinks_better_of_it_in_its_context(scope: Scope, receive: Receive, send: Send) -> None:
    """Cancelled before its first wait, which is over already: it goes on in its own context."""
    token = who.set("anna")
    current().cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        current().uncancel()
    before = who.get()
    who.set("berta")
    who.reset(token)
    await reply(send, f"{before} {who.get()}".encode())


async def cancels_later_what_stood_by(scope: Scope, receive: Receive, send: Send) -> None:
    """What was there before another request began is not that request's."""
    others = await standing_by()
    tell("found")
    await asyncio.sleep(0.5)
    for task in others:
        task.cancel()
    await reply(send, b"cancelled")


async def waits_a_while(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(1.5)
    await reply(send, b"waited")


async def leaves_its_task(scope: Scope, receive: Receive, send: Send) -> None:
    asyncio.tasks._leave_task(asyncio.get_running_loop(), current())
    await reply(send, b"left")


async def awaits_what_calls_back_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    """A future of its own kind sees the request's context when it is asked to call back."""

    class Own:
        _asyncio_future_blocking = False
        seen = ""

        def get_loop(self) -> asyncio.AbstractEventLoop:
            return asyncio.get_running_loop()

        def add_done_callback(self, callback: Callable[[Any], None], *, context: Any = None) -> None:
            self.seen = who.get()
            self.get_loop().call_soon(callback, self, context=context)

        def result(self) -> None: ...

        def __await__(self) -> Any:
            self._asyncio_future_blocking = True
            yield self

    who.set("anna")
    own = Own()
    await own
    await reply(send, own.seen.encode())


async def looks_like(scope: Scope, receive: Receive, send: Send) -> None:
    """What a debugger sees of it while it waits."""
    task = current()
    seen: list[str] = []

    def look() -> None:
        seen.append(repr(task))
        seen.extend(traceback.format_stack(task.get_stack()[-1]))

    asyncio.get_running_loop().call_soon(look)
    await asyncio.sleep(0.01)
    await reply(send, "".join(seen).encode())


async def timeouts(scope: Scope, receive: Receive, send: Send) -> None:
    """Cancelled by a time-out that began in the first step, and by a group of which one fails."""
    said = []
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(3600)
    except TimeoutError:
        said.append("timeout")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3600))
            group.create_task(fails())
    except* ValueError:
        said.append("group")
    await reply(send, " ".join(said).encode())


async def fails() -> None:
    raise ValueError("as it should")


shared: list[asyncio.Future[bytes]] = []


async def shares(scope: Scope, receive: Receive, send: Send) -> None:
    """Several wait for the same future from their first step on."""
    if not shared:
        shared.append(asyncio.get_running_loop().create_future())
    await reply(send, await shared[0])


async def gives(scope: Scope, receive: Receive, send: Send) -> None:
    while len(shared) < 1 or len(shared[0]._callbacks or ()) < 8:
        await asyncio.sleep(0.01)
    shared.pop().set_result(b"shared")
    await reply(send, b"given")


async def waits_wrongly(scope: Scope, receive: Receive, send: Send) -> None:
    class Odd:
        def __await__(self) -> Any:
            yield "what is this"

    await Odd()


async def attribute(scope: Scope, receive: Receive, send: Send) -> None:
    before = getattr(current(), "user", "nobody")
    current().user = "anna"  # type: ignore[attr-defined]
    await reply(send, before.encode())


async def lends_its_context(scope: Scope, receive: Receive, send: Send) -> None:
    """To what comes after it (Python 3.12)."""
    before = who.get()
    if sys.version_info >= (3, 12):
        asyncio.get_running_loop().call_soon(who.set, "anna", context=current().get_context())
    await reply(send, before.encode())


async def enters_its_context_elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """In a thread, for a while (Python 3.12)."""
    if sys.version_info >= (3, 12):
        threading.Thread(target=current().get_context().copy().run, args=(time.sleep, 0.5)).start()
        await asyncio.to_thread(time.sleep, 0)
    await reply(send, b"entered")


async def looks_into_its_task(scope: Scope, receive: Receive, send: Send) -> None:
    """What a task waits for that stands by is not to be awaited, but nothing breaks."""
    waited_for = current()._fut_waiter  # type: ignore[attr-defined]
    said = []
    for look in (waited_for.get_loop, waited_for.result, lambda: current().get_coro().send(None)):
        try:
            said.append(repr(look()))
        except (RuntimeError, ValueError) as error:
            said.append(type(error).__name__)
    await asyncio.sleep(0.01)
    try:
        await asyncio.ensure_future(waited_for, loop=asyncio.get_running_loop())
    except RuntimeError as error:
        said.append(str(error))
    try:
        said.append(repr(type(current().get_coro())().send(None)))
    except RuntimeError:
        said.append("no task's")
    await reply(send, " ".join(said[1:]).encode())


async def dumps_all(scope: Scope, receive: Receive, send: Send) -> None:
    text = io.StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(file=text)
    await reply(send, text.getvalue().encode())


class Made(asyncio.Task[Any]):
    """By a factory."""


async def sets_a_factory(scope: Scope, receive: Receive, send: Send) -> None:
    asyncio.get_running_loop().set_task_factory(
        lambda loop, coroutine, **options: Made(coroutine, loop=loop, **options)
    )
    await reply(send, b"set")


async def kind(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, type(current()).__name__.encode())


async def fails_later(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.01)
    raise LookupError("as it should")


async def leaves_cycles(scope: Scope, receive: Receive, send: Send) -> None:
    """Of its task, which the collector finds."""
    ring: list[Any] = [current()]
    ring.append(ring)
    del ring
    gc.collect()
    await reply(send, b"left")


PATHS: dict[str, Callable[..., Any]] = {
    f"/{each.__name__}": each
    for each in (
        name, keeps_it, keeps_it_and_fails, what_was_kept, remembers_weakly, asks_to_be_called, sets_who, sets_always, own_context, cancels_itself,
        thinks_better_of_it, cancels_who_stands_by, looks_like, timeouts, shares, gives, waits_wrongly, leaves_cycles, attribute, lends_its_context,
        enters_its_context_elsewhere, looks_into_its_task, dumps_all, sets_a_factory, kind, thinks_better_of_it_in_its_context,
        cancels_later_what_stood_by, waits_a_while, leaves_its_task, awaits_what_calls_back_at_once, fails_later,
    )
}  # fmt: skip


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http", "no lifespan"
    await PATHS[scope["path"]](scope, receive, send)


always.set("set before")


def plainly(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """No coroutine function: what it sets is seen in the coroutine that it gives, and nowhere else."""
    before = who.get()
    who.set("anna")
    assert scope["type"] == "http", "no lifespan"
    if scope["path"] == "/fails":
        raise ValueError("as it should")
    return (
        reply(send, f"{before} {current().get_name()[:7]}".encode())
        if scope["path"] == "/before"
        else says_who(send)
    )


async def says_who(send: Send) -> None:
    await reply(send, who.get().encode())
