"""FastAPI, as a site that the tests of ASGI frameworks ask; its endpoints that are plain functions run in its thread pool."""

import hashlib
import sys
from collections.abc import Iterator

from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse

application = FastAPI()


@application.get("/items/{name}")
def item(name: str) -> dict[str, str]:
    return {"item": name}


@application.post("/upload", response_class=PlainTextResponse)
async def upload(request: Request) -> str:
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
    return digest.hexdigest()


@application.get("/events")
def events() -> StreamingResponse:
    def numbers() -> Iterator[str]:
        for number in range(100):
            yield f"data: {number}\n\n"

    return StreamingResponse(numbers(), media_type="text/event-stream")


def later() -> None:
    print("done later", file=sys.stderr, flush=True)


@application.get("/background", response_class=PlainTextResponse)
def background(tasks: BackgroundTasks) -> str:
    tasks.add_task(later)
    return "begun"


@application.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)
