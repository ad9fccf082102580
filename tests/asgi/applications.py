"""ASGI applications that tests serve: each path is one thing that an application may do."""

import asyncio
import contextlib
import contextvars
import gc
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TEXT = (b"content-type", b"text/plain")
who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


def tell(*words: object) -> None:
    """Say something where the test can read it: the server's log."""
    print(*words, file=sys.stderr, flush=True)


async def reply(
    send: Send, body: bytes = b"", status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers or [TEXT]})
    await send({"type": "http.response.body", "body": body})


async def read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            tell("gone")
            raise ConnectionError("gone")
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"hello")


async def show_scope(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, repr(scope).encode())


async def pid(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, str(os.getpid()).encode())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, await read(receive))


async def pieces(scope: Scope, receive: Receive, send: Send) -> None:
    """How many messages the body came in, and its length."""
    sizes = []
    while True:
        message = await receive()
        sizes.append(len(message["body"]))
        if not message["more_body"]:
            break
    await reply(send, json.dumps([len(sizes), sum(sizes), max(sizes)]).encode())


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
    for i in range(10):
        await send({"type": "http.response.body", "body": b"%d;" % i, "more_body": True})
        await asyncio.sleep(0.005)
    await send({"type": "http.response.body"})


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """Gives more and more, and says how much was taken and how it ended."""
    given = 0
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            given += 65536
            if given == 4 << 20:
                tell("gave 4 MiB")
    except OSError as error:
        tell("endless ended:", type(error).__name__)
        raise


async def sleep(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(float(scope["query_string"] or b"0.2"))
    await reply(send, str(os.getpid()).encode())


async def waits_for_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await read(receive)
    tell("waits")
    message = await receive()
    tell("then:", message["type"])


async def disconnects_after_reply(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"done")
    tell("after the reply:", (await receive())["type"])


async def background(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"done")
    await asyncio.sleep(float(scope["query_string"] or 0.3))
    tell("background ended")


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("as it should")


async def fails_in_the_body(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    raise ValueError("as it should")


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    return None


async def too_long(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"hello!!", headers=[(b"content-length", b"5")])


async def too_short(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"hel", headers=[(b"content-length", b"5")])


async def body_first(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.body", "body": b"x"})


async def twice(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def after_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"whole")
    await send({"type": "http.response.body", "body": b"more"})


async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.pushed"})


async def split(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, headers=[(b"x-a", b"b\r\nx-c: d")])


async def text_body(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, "text")  # type: ignore[arg-type]


async def hints(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
    await reply(send, b"hello")


async def trailers(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT], "trailers": True})
    await send({"type": "http.response.body", "body": b"hello"})
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"5")]})


async def file(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["query_string"].decode()
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
    await send({"type": "http.response.pathsend", "path": path})


async def parts_of_file(scope: Scope, receive: Receive, send: Send) -> None:
    with Path(scope["query_string"].decode()).open("rb") as opened:
        await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
        await send({"type": "http.response.body", "body": b"<", "more_body": True})
        await send(
            {
                "type": "http.response.zerocopysend",
                "file": opened,
                "offset": 1,
                "count": 1000,
                "more_body": True,
            }
        )
        await send({"type": "http.response.zerocopysend", "file": opened, "offset": 5000, "more_body": True})
        await send({"type": "http.response.body", "body": b">"})


async def context(scope: Scope, receive: Receive, send: Send) -> None:
    """Context variables are a request's own, and there is a current task."""
    before = who.get()
    who.set(scope["query_string"].decode())
    await asyncio.sleep(0)
    task = asyncio.current_task()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        inner = group.create_task(asyncio.sleep(0, who.get()))
    await reply(send, f"{before} {inner.result()} {task is not None}".encode())


async def as_tasks(scope: Scope, receive: Receive, send: Send) -> None:
    """What `receive` and `send` give can be made a task of, as a coroutine can."""
    message: Message = await asyncio.create_task(receive())  # type: ignore[arg-type]
    late: asyncio.Task[Message] = asyncio.create_task(receive())  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    late.cancel()
    await asyncio.wait([late])
    await asyncio.wait_for(send({"type": "http.response.start", "status": 200, "headers": [TEXT]}), 5)
    await asyncio.gather(
        send({"type": "http.response.body", "body": message["body"] + b" " + str(late.cancelled()).encode()})
    )


async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
    """A time-out takes `receive` back, and the next `receive` has what came since; threads see the context."""
    try:
        async with asyncio.timeout(0.05):
            await receive()
            tell("too early")
    except TimeoutError:
        tell("no body yet")
    who.set("anna")
    seen = await asyncio.to_thread(who.get)
    try:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(asyncio.sleep(3600))
            group.create_task(asyncio.to_thread(int, "not a number"))
    except* ValueError:
        seen += f" {waiting.cancelled()} "
    await reply(send, seen.encode() + await read(receive))


async def cancels_itself(scope: Scope, receive: Receive, send: Send) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def two_senders(scope: Scope, receive: Receive, send: Send) -> None:
    """One task waits for the peer to read when another ends the reply."""
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
    first: asyncio.Task[None] = asyncio.create_task(
        send({"type": "http.response.body", "body": b"x" * 8_000_000, "more_body": True})  # type: ignore[arg-type]
    )
    await asyncio.sleep(0.05)
    assert not first.done()
    await send({"type": "http.response.body"})
    await first
    tell("both have sent")


async def sends_for_both(scope: Scope, receive: Receive, send: Send) -> None:
    """One task waits for the peer to read, and a message of another takes along what it waits for."""
    sent = 0

    async def sends() -> None:
        nonlocal sent
        while not ends.is_set():
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            sent += 1

    ends = asyncio.Event()
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
    first = asyncio.create_task(sends())
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.1)
    tell("read what is there")
    Path(
        scope["query_string"].decode()
    ).read_bytes()  # a FIFO holds up the loop, so that only the next message finds room
    ends.set()
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await asyncio.wait_for(first, 20)
    await send({"type": "http.response.body"})
    tell("both have sent")


async def exits(scope: Scope, receive: Receive, send: Send) -> None:
    raise SystemExit(3)


async def exits_later(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.01)
    raise SystemExit(3)


async def stops_the_loop(scope: Scope, receive: Receive, send: Send) -> None:
    asyncio.get_running_loop().stop()
    await reply(send, b"stopped")


async def forks(scope: Scope, receive: Receive, send: Send) -> None:
    """The child comes back, too."""
    await reply(send, b"parent" if os.fork() else b"child")


async def headers_that_send(scope: Scope, receive: Receive, send: Send) -> None:
    class Headers(list[tuple[bytes, bytes]]):
        def __iter__(self) -> Any:
            try:
                send({"type": "http.response.start", "status": 201, "headers": [(b"x", b"y")]})
            except RuntimeError as error:
                tell(error)
            return super().__iter__()

    await reply(send, b"once", headers=Headers([TEXT]))


async def receives_too_late(scope: Scope, receive: Receive, send: Send) -> None:
    """A `receive` that never ran has taken nothing."""
    task = asyncio.ensure_future(receive())
    task.cancel()
    await asyncio.wait([task])
    await reply(send, await read(receive))


async def polls(scope: Scope, receive: Receive, send: Send) -> None:
    """Looks now and then whether the peer has gone: how many futures are left of that."""
    await read(receive)
    for _ in range(300):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(receive(), 0.001)
    gc.collect()
    left = sum(isinstance(each, asyncio.Future) for each in gc.get_objects())
    await reply(send, str(left).encode())


async def blocks(scope: Scope, receive: Receive, send: Send) -> None:
    import time

    time.sleep(float(scope["query_string"]))
    await reply(send, b"late")


PATHS = {
    f"/{each.__name__}": each
    for each in (
        hello, show_scope, pid, echo, pieces, stream, endless, sleep, waits_for_the_end, disconnects_after_reply, background, fails,
        fails_in_the_body, returns, too_long, too_short, body_first, twice, after_the_end, unknown, split, text_body, hints, trailers,
        file, parts_of_file, context, as_tasks, bounded, cancels_itself,
        two_senders, sends_for_both, exits, exits_later, stops_the_loop, forks, headers_that_send, receives_too_late, polls, blocks,
    )
}  # fmt: skip


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("there is none")
    await PATHS.get(scope["path"], hello)(scope, receive, send)


async def living(scope: Scope, receive: Receive, send: Send) -> None:
    """With a lifespan."""
    if scope["type"] != "lifespan":
        await reply(send, json.dumps(scope["state"]).encode())
        return
    assert (await receive())["type"] == "lifespan.startup"
    tell("begins")
    scope["state"]["colour"] = "green"
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    tell("ends")
    await send({"type": "lifespan.shutdown.complete"})


async def begins_with_all(scope: Scope, receive: Receive, send: Send) -> None:
    """Cancels whatever tasks it finds before it has begun."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0.01)
    await living(scope, receive, send)


async def ends_with_all(scope: Scope, receive: Receive, send: Send) -> None:
    """Says twice that it has begun, and at its end cancels whatever tasks it finds, and goes on."""
    if scope["type"] != "lifespan":
        await reply(send, b"hello")
        return
    await receive()
    for _ in range(2):
        try:
            await send({"type": "lifespan.startup.complete"})
        except RuntimeError as error:
            tell("refused:", error)
    await receive()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0.2)
    tell("ends")
    await send({"type": "lifespan.shutdown.complete"})


async def cannot_start(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})


async def raises_at_start(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise ValueError("as it should")


async def begins_slowly(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "lifespan":
        await reply(send, b"hello")
        return
    await receive()
    await asyncio.sleep(3)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def holds_the_loop_up(scope: Scope, receive: Receive, send: Send) -> None:
    time.sleep(30)


async def never_ends(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "lifespan":
        await reply(send, b"hello")
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await asyncio.sleep(3600)


class OwnTask(asyncio.Task[Any]):
    """What a library's task factory makes."""


async def stops_the_loop_and_lives(scope: Scope, receive: Receive, send: Send) -> None:
    """Its lifespan stops the loop at its start and at its end."""
    if scope["type"] != "lifespan":
        await reply(send, b"hello")
        return
    for phase in ("startup", "shutdown"):
        await receive()
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        tell(phase, "ends")
        await send({"type": f"lifespan.{phase}.complete"})


async def with_own_tasks(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "lifespan":
        await reply(send, type(asyncio.current_task()).__name__.encode())
        return
    loop = asyncio.get_running_loop()
    await receive()
    loop.set_task_factory(lambda loop, coroutine, **options: OwnTask(coroutine, loop=loop, **options))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def says_what_nobody_asked(scope: Scope, receive: Receive, send: Send) -> None:
    """Lifespan messages in no order."""
    if scope["type"] != "lifespan":
        await reply(send, b"hello")
        return
    await receive()
    for kind in ("lifespan.shutdown.complete", "http.response.start"):
        try:
            await send({"type": kind})
        except RuntimeError as error:
            tell("refused:", error)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def fails_while_serving(scope: Scope, receive: Receive, send: Send) -> None:
    """Its lifespan ends by an error as soon as it is asked to by a request."""
    if scope["type"] != "lifespan":
        scope["state"]["asked"].set()
        await reply(send, b"hello")
        return
    await receive()
    scope["state"]["asked"] = asyncio.Event()
    await send({"type": "lifespan.startup.complete"})
    await scope["state"]["asked"].wait()
    raise ValueError("as it should")


async def socket(scope: Scope, receive: Receive, send: Send) -> None:
    """WebSockets; the path says how."""
    client = f"{scope['client'][0] if scope['client'] else None} {scope['scheme']}"
    if scope["type"] != "websocket":
        await reply(send, client.encode() if scope["path"] == "/client" else b"hello")
        return
    assert (await receive())["type"] == "websocket.connect"
    match scope["path"]:
        case "/denied":
            await send({"type": "websocket.close"})
            return
        case "/denial":
            await send(
                {"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-tea", b"no")]}
            )
            await send({"type": "websocket.http.response.body", "body": b"a ", "more_body": True})
            await send({"type": "websocket.http.response.body", "body": b"teapot"})
            return
        case "/fails":
            raise ValueError("as it should")
        case "/returns":
            return
    await send(
        {
            "type": "websocket.accept",
            "subprotocol": next(iter(scope["subprotocols"]), None),
            "headers": [
                (b"x-seen", scope["path"].encode()),
                *([(b"Date", b"never"), (b"server", b"mine")] if scope["path"] == "/own_headers" else []),
            ],
        }
    )
    match scope["path"]:
        case "/fails_later":
            raise ValueError("as it should")
        case "/floods":
            for _ in range(1000):
                await send({"type": "websocket.send", "bytes": b"x" * 65536})
            tell("flooded")
        case "/slow":
            await asyncio.sleep(1)
        case "/client":
            await send({"type": "websocket.send", "text": client})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            tell("websocket ended:", message["code"])
            return
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "asked"})
        elif message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"]})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


def plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """A WSGI application."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
