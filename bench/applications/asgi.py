"""ASGI applications without a framework: the bytes are made once, so that what is measured is the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bench.applications.plain import HELLO

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CHUNKS = 100
CHUNK = b"x" * 64

TEXT = (b"content-type", b"text/plain")
HELLO_HEADERS = [TEXT, (b"content-length", str(len(HELLO)).encode())]


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan, as every framework has it and no server warns of."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """13 bytes."""
    if scope["type"] != "http":
        await _live(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": HELLO_HEADERS})
    await send({"type": "http.response.body", "body": HELLO})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Reply with the request's body."""
    if scope["type"] != "http":
        await _live(receive, send)
        return
    pieces = []
    more = True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(pieces)
    headers = [TEXT, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Reply in chunks whose number nobody knows beforehand."""
    if scope["type"] != "http":
        await _live(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
    for _ in range(CHUNKS):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back each text message of a WebSocket; a plain request gets a plain reply."""
    if scope["type"] != "websocket":
        await hello(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": message["text"]})
