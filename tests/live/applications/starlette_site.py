"""Starlette, as a site that the tests of ASGI frameworks ask."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket


async def item(request: Request) -> Response:
    return JSONResponse({"item": request.path_params["name"]})


async def upload(request: Request) -> Response:
    return PlainTextResponse(hashlib.sha256(await request.body()).hexdigest())


async def numbers() -> AsyncIterator[str]:
    for number in range(100):
        await asyncio.sleep(0)
        yield f"data: {number}\n\n"


async def events(request: Request) -> Response:
    return StreamingResponse(numbers(), media_type="text/event-stream")


def later() -> None:
    print("done later", file=sys.stderr, flush=True)


async def background(request: Request) -> Response:
    return PlainTextResponse("begun", background=BackgroundTask(later))


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


application = Starlette(
    routes=[
        Route("/items/{name}", item),
        Route("/upload", upload, methods=["POST"]),
        Route("/events", events),
        Route("/background", background),
        WebSocketRoute("/echo", echo),
    ]
)
