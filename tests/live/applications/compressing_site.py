"""Starlette with its GZipMiddleware: a file, compressed only where `http.response.pathsend` is not offered, as docs/how-to/asgi.md has it."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route


async def file(_: Request) -> FileResponse:
    return FileResponse(__file__)


application = Starlette(routes=[Route("/", file)], middleware=[Middleware(GZipMiddleware)])
