"""ASGI applications whose messages are code that sends, and that keep what serves again by ways that hardly anybody takes."""

import asyncio
import contextlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from tests.asgi.applications import TEXT, Receive, Scope, Send, reply, tell
from tests.asgi.tasks import current, standing_by

START = {"type": "http.response.start", "status": 200, "headers": [TEXT]}
END = {"type": "http.response.body"}
TRAILERS = {"type": "http.response.trailers"}


def end_by_hand(send: Any, message: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """What should give fields, and sends a message first."""
    with contextlib.suppress(RuntimeError):
        send(message)
    yield b"x-sent", b"by hand"


class Sends(bytes):
    """A piece of a body that sends the last one when it is looked at."""

    send: Any

    def __bytes__(self) -> bytes:
        with contextlib.suppress(RuntimeError):
            self.send(END)
        return b"a piece"


class AsItLikes(int):
    """A number that is between any two others."""

    def __le__(self, other: object) -> bool:
        return True

    __lt__ = __ge__ = __gt__ = __le__


class Sick:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error


async def waits(scope: Scope) -> None:
    if scope["query_string"]:
        await asyncio.sleep(0.01)


async def fields_that_send(scope: Scope, receive: Receive, send: Send) -> None:
    await waits(scope)
    await send(START | {"headers": end_by_hand(send, END)})
    await send(END)


async def trailers_that_send(scope: Scope, receive: Receive, send: Send) -> None:
    await waits(scope)
    await send(START | {"trailers": True})
    await send(END)
    await send(TRAILERS | {"headers": end_by_hand(send, TRAILERS)})


async def links_that_send(scope: Scope, receive: Receive, send: Send) -> None:
    await waits(scope)
    links = (link for name, link in end_by_hand(send, END | {"body": b"early"}))
    await send({"type": "http.response.early_hint", "links": links})
    await reply(send, b"late")


async def body_that_sends(scope: Scope, receive: Receive, send: Send) -> None:
    await waits(scope)
    await send(START)
    piece = Sends(b"no")
    piece.send = send
    await send(END | {"body": piece, "more_body": True})
    await send(END)


class OfZero:
    """A file whose number is asked for by code that sends the last of the body."""

    def __init__(self, send: Any, path: str) -> None:
        self.send = send
        self.file = open(path, "rb")  # noqa: SIM115, PTH123

    def fileno(self) -> int:
        with contextlib.suppress(StopIteration):
            self.send(END | {"body": b"by hand"}).__await__().send(None)
        return self.file.fileno()


async def file_that_sends(scope: Scope, receive: Receive, send: Send) -> None:
    await waits(scope)
    await send(START)
    try:
        await send({"type": "http.response.zerocopysend", "file": OfZero(send, __file__)})
    except RuntimeError as error:
        tell("refused:", error)


async def empty_files(scope: Scope, receive: Receive, send: Send) -> None:
    await waits(scope)
    await send(START)
    with open("/dev/null") as null, open(__file__, "rb") as file:  # noqa: PTH123
        for message in ({"file": file, "count": 0}, {"file": file, "offset": 1_000_000}):
            await send({"type": "http.response.zerocopysend", "more_body": True} | message)
        with contextlib.suppress(ValueError):
            await send({"type": "http.response.zerocopysend", "file": null})
    await send(END | {"body": b"after"})


def spelled_anew(message: dict[str, Any]) -> dict[str, Any]:
    """With keys that are equal to the usual ones, and not the same objects, and with one more."""
    return {"".join(key): value for key, value in message.items()} | {"of_its_own": 1}


async def spells_its_keys(scope: Scope, receive: Receive, send: Send) -> None:
    await waits(scope)
    await send(spelled_anew(START | {"trailers": False}))
    await send(spelled_anew(END | {"body": b"well", "more_body": True}))
    await send(spelled_anew(END | {"body": b" spelled", "more_body": False}))


class Empties:
    """A value that takes all others away when it is looked at."""

    def __init__(self, message: dict[str, Any]) -> None:
        self.message = message

    def __bool__(self) -> bool:
        self.message.clear()
        return False


async def empties_its_messages(scope: Scope, receive: Receive, send: Send) -> None:
    await waits(scope)
    message = START | {"status": int("201"), "headers": [(bytes([120]) * 20, bytes([121]) * 20)]}
    message["trailers"] = Empties(message)
    await send(message)
    assert not message
    message |= END | {"body": bytes([122]) * 3_000}
    message["more_body"] = Empties(message)
    await send(message)
    assert not message


async def misses_one(scope: Scope, receive: Receive, send: Send) -> None:
    """Of its message's parts, the one that the query names."""
    await send({key: value for key, value in START.items() if key != scope["query_string"].decode()})


async def any_status(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START | {"status": AsItLikes(scope["query_string"])})
    await send(END)


async def cannot_be_named(scope: Scope, receive: Receive, send: Send) -> None:
    errors = {b"exception": ValueError("sick"), b"exit": SystemExit(3), b"interrupt": KeyboardInterrupt()}
    scope["path"] = Sick(errors[scope["query_string"]])
    raise LookupError("as it should")


async def ordered(scope: Scope, receive: Receive, send: Send) -> None:
    await send(OrderedDict(START))
    await send(OrderedDict(END, body=b"in order"))


coroutines: list[Any] = []


async def keeps_its_coroutine(scope: Scope, receive: Receive, send: Send) -> None:
    coroutines.append(current().get_coro())
    await reply(send, b"kept")


async def looks_through_it(scope: Scope, receive: Receive, send: Send) -> None:
    """Does a coroutine that was kept show this request's?"""
    scopes = [each.cr_frame.f_locals.get("scope") for each in coroutines if each.cr_frame]
    await reply(send, str(any(each is scope for each in scopes)).encode())


calls: "weakref.WeakKeyDictionary[Any, str]" = weakref.WeakKeyDictionary()
contexts: list[Any] = []


async def remembers_its_calls(scope: Scope, receive: Receive, send: Send) -> None:
    before = calls.get(send, "nothing"), calls.get(receive, "nothing")
    calls[send] = calls[receive] = "something"
    await reply(send, " ".join(before).encode())


async def remembers_its_context(scope: Scope, receive: Receive, send: Send) -> None:
    task: Any = current()
    contexts[:] = [each for each in contexts if each() is not None]
    before = [each for each in contexts if each() is task.get_context()]
    contexts.append(weakref.ref(task.get_context()))
    await reply(send, str(len(before)).encode())


async def throws_into_who_stands_by(scope: Scope, receive: Receive, send: Send) -> None:
    thrown = 0
    for task in await standing_by():
        coroutine: Any = task.get_coro()
        with contextlib.suppress(LookupError):
            coroutine.throw(LookupError("thrown"))
        thrown += 1
    await reply(send, b"%d" % thrown)


async def cancels_it_twice(scope: Scope, receive: Receive, send: Send) -> None:
    (task,) = await standing_by()
    await reply(send, f"{task.cancel()} {task.cancel()}".encode())


left = threading.Event()


async def occupies_its_context(scope: Scope, receive: Receive, send: Send) -> None:
    """Of the one that stands by: a thread runs in it from now on."""
    (task,) = await standing_by()
    entered = threading.Event()

    def occupy() -> None:
        entered.set()
        left.wait(20)

    context: Any = task.get_context()  # type: ignore[attr-defined]
    threading.Thread(target=context.run, args=(occupy,), daemon=True).start()
    await asyncio.to_thread(entered.wait, 20)
    await reply(send, b"occupied")


async def leaves_it(scope: Scope, receive: Receive, send: Send) -> None:
    left.set()
    await reply(send, b"left")


async def begins(scope: Scope, receive: Receive, send: Send) -> None:
    """A reply whose head is given, and then something goes wrong; the query says what."""
    what = scope["query_string"].decode()
    length = [(b"content-length", b"90")] if what in ("short", "long", "path") else []
    await send(START | {"headers": [TEXT, *length]})
    await asyncio.sleep(0.02)
    wrong: dict[str, dict[str, Any]] = {
        "again": START,
        "trailers": TRAILERS,
        "text": END | {"body": "text"},
        "short": END | {"body": b"ten bytes."},
        "long": END | {"body": bytes(100)},
        "path": {"type": "http.response.pathsend", "path": __file__},
        "missing": {"type": "http.response.pathsend", "path": "/missing"},
    }
    if what == "returns":
        return
    if what == "raises":
        raise LookupError("as it should")
    try:
        await send(wrong[what])
    except (RuntimeError, TypeError, OSError):
        await asyncio.sleep(0.02)
        raise


async def goes_on(scope: Scope, receive: Receive, send: Send) -> None:
    """A message is refused, and better ones follow."""
    await send(START | {"headers": [(b"content-length", b"3")]})
    for wrong in (START, END | {"body": b"no"}, END | {"body": b"maybe"}, END | {"body": "yes"}):
        with contextlib.suppress(RuntimeError, TypeError):
            await send(wrong)
        await asyncio.sleep(0.01)
    await send(END | {"body": b"yes"})


async def cancels_all(scope: Scope, receive: Receive, send: Send) -> None:
    await waits(scope)
    for task in asyncio.all_tasks() - {current()}:
        task.cancel()
    await reply(send, b"cancelled")


PATHS: dict[str, Callable[..., Any]] = {
    f"/{each.__name__}": each
    for each in (
        fields_that_send, trailers_that_send, links_that_send, body_that_sends, any_status, cannot_be_named, ordered, keeps_its_coroutine,
        looks_through_it, remembers_its_calls, remembers_its_context, throws_into_who_stands_by, cancels_it_twice, occupies_its_context, leaves_it,
        begins, goes_on, cancels_all, file_that_sends, empty_files, spells_its_keys, empties_its_messages, misses_one,
    )
}  # fmt: skip


async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    match scope["path"]:
        case "/denied_shorter":
            headers = [(b"content-length", b"7")]
            await send({"type": "websocket.http.response.start", "status": 418, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b"no"})
        case "/listens":
            await send({"type": "websocket.accept"})
            tell("heard", await receive())
        case "/accepts_while_it_closes":
            message = {"type": "websocket.close"}
            await send({"type": "websocket.accept", "headers": end_by_hand(send, message)})
            await send({"type": "websocket.send", "text": "talks"})
            await receive()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] != "lifespan", "no lifespan"
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        await PATHS[scope["path"]](scope, receive, send)
