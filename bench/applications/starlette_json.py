# mypy: disable-error-code="import-untyped,import-not-found,misc,no-untyped-call,untyped-decorator"
"""Starlette with a small JSON reply through a route with a converter."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.applications import THING


async def thing(request: Request) -> JSONResponse:
    """One thing by its number."""
    return JSONResponse({"id": request.path_params["number"], **THING})


app = Starlette(routes=[Route("/things/{number:int}", thing)])
