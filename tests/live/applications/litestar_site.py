"""Litestar, as a site that the tests of ASGI frameworks ask."""

import hashlib
import sys
from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.exceptions import WebSocketDisconnect
from litestar.response import Stream


@get("/items/{name:str}")
async def item(name: str) -> dict[str, str]:
    return {"item": name}


@post("/upload", status_code=200, media_type=MediaType.TEXT, request_max_body_size=None)
async def upload(request: Request[Any, Any, Any]) -> str:
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
    return digest.hexdigest()


async def numbers() -> AsyncIterator[str]:
    for number in range(100):
        yield f"data: {number}\n\n"


@get("/events")
async def events() -> Stream:
    return Stream(numbers(), media_type="text/event-stream")


async def later() -> None:
    print("done later", file=sys.stderr, flush=True)


@get("/background")
async def background() -> Response[str]:
    return Response("begun", media_type=MediaType.TEXT, background=BackgroundTask(later))


@websocket("/echo")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return


application = Litestar([item, upload, events, background, echo])
