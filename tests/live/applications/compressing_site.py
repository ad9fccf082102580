"""Starlette with its GZipMiddleware: a file, compressed only where `http.response.pathsend` is taken away, as docs/how-to/asgi.md has it."""

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route


class WithoutPathsend:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope.get("extensions", {}).pop("http.response.pathsend", None)
        await self.app(scope, receive, send)


async def file(_: Request) -> FileResponse:
    return FileResponse(__file__)


application = Starlette(
    routes=[Route("/", file)], middleware=[Middleware(WithoutPathsend), Middleware(GZipMiddleware)]
)
by_sendfile = Starlette(routes=[Route("/", file)], middleware=[Middleware(GZipMiddleware)])
