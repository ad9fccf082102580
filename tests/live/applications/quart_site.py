"""Quart, as a site that the tests of ASGI frameworks ask."""

import hashlib
import sys
from collections.abc import AsyncIterator

from quart import Quart, Response, request, websocket

application = Quart(__name__)


@application.get("/items/<name>")  # type: ignore[untyped-decorator]
async def item(name: str) -> dict[str, str]:
    return {"item": name}


@application.post("/upload")  # type: ignore[untyped-decorator]
async def upload() -> str:
    body = await request.get_data()
    return hashlib.sha256(body if isinstance(body, bytes) else body.encode()).hexdigest()


async def numbers() -> AsyncIterator[bytes]:
    for number in range(100):
        yield f"data: {number}\n\n".encode()


@application.get("/events")  # type: ignore[untyped-decorator]
async def events() -> Response:
    return Response(numbers(), content_type="text/event-stream")


async def later() -> None:
    print("done later", file=sys.stderr, flush=True)


@application.get("/background")  # type: ignore[untyped-decorator]
async def background() -> str:
    application.add_background_task(later)
    return "begun"


@application.websocket("/echo")
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())
