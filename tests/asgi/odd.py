"""ASGI applications that do what is seldom done, or should not be: what they leave must neither reach other requests nor look like a whole reply."""

import asyncio
import contextlib
import contextvars
import gc
import http
import os
from collections.abc import Awaitable
from pathlib import Path

from tests.asgi.applications import TEXT, Receive, Scope, Send, read, reply, tell

who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
START = {"type": "http.response.start", "status": 200, "headers": [TEXT]}
END = {"type": "http.response.body"}


def body(text: bytes, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": text, "more_body": more}


def named(scope: Scope) -> Path:
    return Path(scope["query_string"].decode())


def task(awaitable: Awaitable[None]) -> asyncio.Task[None]:
    return asyncio.create_task(awaitable)  # type: ignore[arg-type]


async def refused(send: Send, message: object) -> str:
    try:
        await send(message)  # type: ignore[arg-type]
    except (RuntimeError, ValueError, TypeError) as error:
        return type(error).__name__
    return "was taken"


async def sets_who(scope: Scope, receive: Receive, send: Send) -> None:
    who.set("anna")
    await asyncio.sleep(0.05)
    await reply(send, b"set")


async def says_who(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, who.get().encode())


async def streams_as_anna(scope: Scope, receive: Receive, send: Send) -> None:
    who.set("anna")
    await send(START)
    for _ in range(300):
        await send(body(b"x"))
        await asyncio.sleep(0.002)
    await send(END)


async def file_after_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    """The sending of a file is begun when the reply is over; more of it than the peer takes at once is under way."""
    with named(scope).open("rb") as file:
        await send(START)
        await send(body(b"x"))
        late = task(send({"type": "http.response.zerocopysend", "file": file}))
        await send(body(b"x" * 2_000_000, more=False))
        try:
            await late
        except RuntimeError as error:
            tell("late file:", error)


async def file_given_up(scope: Scope, receive: Receive, send: Send) -> None:
    """The descriptor's number is another file's as soon as nobody sends it any more."""
    length = named(scope).stat().st_size
    await send(START | {"headers": [(b"content-length", b"%d" % length)]})
    file = named(scope).open("rb")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(send({"type": "http.response.zerocopysend", "file": file}), 0.1)
    number = file.fileno()
    file.close()
    with Path("/dev/zero").open("rb") as other, (named(scope).parent / "secret").open("rb") as secret:
        assert number in {other.fileno(), secret.fileno()}
        tell("given up", await refused(send, body(b"and more", more=False)))
        await asyncio.sleep(0.3)


async def beside_a_file(scope: Scope, receive: Receive, send: Send) -> None:
    """Nothing can come into a file that is under way."""
    await send(START)
    with named(scope).open("rb") as file, named(scope).open("rb") as second:
        first = task(send({"type": "http.response.zerocopysend", "file": file, "more_body": True}))
        await asyncio.sleep(0.1)
        said = [
            await refused(send, message)
            for message in (body(b"more"), END, {"type": "http.response.zerocopysend", "file": second})
        ]
        tell("has tried")
        await first
        await send(body(" ".join(said).encode(), more=False))


async def leaves_a_file_under_way(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    with named(scope).open("rb") as file:
        first = task(send({"type": "http.response.zerocopysend", "file": file}))
        await asyncio.sleep(0.1)
    left.add(first)
    first.add_done_callback(left.discard)


left: set[asyncio.Task[None]] = set()


async def path_after_a_piece(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send(body(b"begun "))
    said = await refused(send, {"type": "http.response.pathsend", "path": str(named(scope))})
    await send(body(said.encode(), more=False))


async def odd_files(scope: Scope, receive: Receive, send: Send) -> None:
    """Those that cannot be sent leave the reply as it was."""
    await send(START)
    with named(scope).open("rb") as file:
        said = [
            await refused(send, {"type": "http.response.pathsend", "path": file.fileno()}),
            await refused(send, {"type": "http.response.zerocopysend", "file": file, "offset": -5}),
            await refused(send, {"type": "http.response.zerocopysend", "file": file, "count": -5}),
        ]
    await send(body(" ".join(said).encode(), more=False))


async def short_with_trailers(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START | {"headers": [(b"content-length", b"100")], "trailers": True})
    await send(body(b"hel", more=False))
    await send({"type": "http.response.trailers", "headers": []})


async def file_with_trailers(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START | {"trailers": True})
    await send({"type": "http.response.pathsend", "path": str(named(scope))})
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"7")]})


async def late_trailers(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START | {"trailers": True})
    await send(body(b"all of it", more=False))
    await asyncio.sleep(0.1)
    said = [
        await refused(send, {"type": "http.response.trailers", "headers": [(name, value)]})
        for name, value in (
            (b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked"), (b"bad name", b"x"), (b"x", b"a\r\nb: c"), (b"", b""),
        )
    ]  # fmt: skip
    await send({"type": "http.response.trailers", "headers": [(b"x-said", " ".join(said).encode())]})


class Unsure:
    def __bool__(self) -> bool:
        raise ValueError("neither")


async def fails_half_way(scope: Scope, receive: Receive, send: Send) -> None:
    """Messages that are refused leave nothing on the wire."""
    for message in (
        {"type": "http.response.early_hint", "links": [b"</a>", "text"]},
        {"type": "http.response.early_hint"},
        START | {"trailers": Unsure()},
        START | {"headers": [(b"x", b"1"), (b"y", "text")]},
    ):
        with contextlib.suppress(TypeError, ValueError, KeyError):
            await send(message)
    await reply(send, b"fine")


async def receives_beside(scope: Scope, receive: Receive, send: Send) -> None:
    """One task waits for the rest of the body while another streams."""

    async def receives() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waits = asyncio.create_task(receives())
    await send(START)
    for _ in range(100):
        await send(body(bytes(50_000)))
    await send(END)
    await waits


async def receives_after_the_head(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send(body(b"begun "))
    message = await receive()
    await send(body(message.get("body", b"?") or message["type"].encode(), more=False))


async def created(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START | {"status": http.HTTPStatus.CREATED})
    await send(END)


async def receives_for_a_while(scope: Scope, receive: Receive, send: Send) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(receive(), 0.1)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(receive(), 0.1)
    await asyncio.sleep(1.5)
    await reply(send, b"without it")


async def reads_it_all(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"%d" % len(await read(receive)))


marked: list[dict[str, object]] = []


async def marks_the_scope(scope: Scope, receive: Receive, send: Send) -> None:
    """In each of four ways, and some are kept."""
    before = (
        "mark" in scope["asgi"]
        or "mark" in scope["extensions"]
        or "http.response.trailers" not in scope["extensions"]
        or "mark" in scope["extensions"]["http.response.pathsend"]
    )
    version = scope["asgi"]["version"]
    match len(marked) % 4:
        case 0:
            scope["asgi"]["mark"] = True
        case 1:
            scope["asgi"]["version"] = "1.0"
        case 2:
            scope["extensions"]["mark"] = scope["extensions"].pop("http.response.trailers")
        case 3:
            scope["extensions"]["http.response.pathsend"]["mark"] = True
    marked.append(scope["extensions"] if len(marked) > 4 else {})
    await reply(send, f"{before} {version}".encode())


async def breaks_off(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send(body(b"begun"))
    await asyncio.sleep(0.1)
    raise RuntimeError("in the midst of it")


async def fails_in_a_group(scope: Scope, receive: Receive, send: Send) -> None:
    """The peer has gone: whoever finds that out in a group raises a group."""

    async def sends() -> None:
        while True:
            await send(body(bytes(50_000)))

    await send(START)
    async with asyncio.TaskGroup() as group:
        group.create_task(sends())
        group.create_task(sends())


async def sleeps_until_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send(body(b"begun"))
    try:
        await asyncio.sleep(3600)
    finally:
        tell("cancelled")


async def stops_when_told(scope: Scope, receive: Receive, send: Send) -> None:
    """As most frameworks do with a stream whose peer has gone."""
    await send(START)
    await send(body(b"begun"))
    await told(scope, receive)


async def stops_before_it_begins(scope: Scope, receive: Receive, send: Send) -> None:
    await told(scope, receive)


async def told(scope: Scope, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        tell(scope["path"], "waits")
    tell(scope["path"], "was told")


class Told:
    """Says so when it is collected: nobody but itself knows it. A loop is asked for something in the midst of whatever runs."""

    def __init__(self, asked: list[str]) -> None:
        self.itself = self
        self.asked = asked
        self.loop = asyncio.get_running_loop()

    def __del__(self) -> None:
        self.loop.call_soon(self.note)
        self.loop.call_soon(self.asked.append, "with an argument")
        self.loop.create_task(self.notes())

    def note(self) -> None:
        self.asked.append("without")

    async def notes(self) -> None:
        self.asked.append("in a task")


asked: list[str] = []


async def collects(scope: Scope, receive: Receive, send: Send) -> None:
    """Leaves something that is collected as soon as the next request is made a task."""
    await reply(send, b"collected")
    gc.set_threshold(1)
    Told(asked)


async def says_what_was_asked(scope: Scope, receive: Receive, send: Send) -> None:
    gc.set_threshold(700, 10, 10)
    gc.collect()
    await asyncio.sleep(0.01)
    await reply(send, " ".join(str(asked.count(each)) for each in sorted(set(asked))).encode())


PATHS = {
    f"/{each.__name__}": each
    for each in (
        sets_who, says_who, streams_as_anna, file_after_the_end, file_given_up, beside_a_file, leaves_a_file_under_way, path_after_a_piece, odd_files,
        short_with_trailers, file_with_trailers, late_trailers, fails_half_way, receives_beside, receives_after_the_head, created,
        receives_for_a_while, reads_it_all, marks_the_scope, breaks_off, fails_in_a_group, sleeps_until_cancelled, collects,
        says_what_was_asked, stops_when_told, stops_before_it_begins,
    )
}  # fmt: skip


async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    match scope["path"]:
        case "/ends_unread":
            await send({"type": "websocket.accept"})
            await asyncio.sleep(0.5)
        case "/half_denied":
            await send({"type": "websocket.http.response.start", "status": 418, "headers": []})
            raise RuntimeError("before the body")
        case "/denied_with_text":
            await send({"type": "websocket.http.response.start", "status": 418, "headers": []})
            await send({"type": "websocket.http.response.body", "body": 7})
        case "/answers_late":
            assert (await receive())["type"] == "websocket.disconnect"
            await send({"type": "websocket.http.response.start", "status": 418, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"no"})
            await send({"type": "websocket.close"})
            tell("has answered nobody")
        case "/large":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "bytes": bytes(4_000_000)})
            await receive()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        tell("lifespan ends", os.getpid())
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        await PATHS[scope["path"]](scope, receive, send)
