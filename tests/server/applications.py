"""Applications for the tests of processes: small enough that whatever goes wrong is the server's fault."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the pid; ``/sleep?SECONDS`` later, ``/environ?KEY`` with a value, ``/lock`` never again in any thread."""
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = str(os.getpid())
    if path == "/sleep":
        time.sleep(float(query))
    elif path == "/environ":
        body = str(environ.get(query))
    elif path == "/os":
        body = str(os.environ.get(query))
    elif path == "/threads":
        body = " ".join(sorted(each.name for each in threading.enumerate()))
    elif path == "/spin":
        time.sleep(float(query or 0))
        hold_the_interpreter()
    elif path == "/echo":
        body = environ["wsgi.input"].read().decode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode("latin-1")]


def hold_the_interpreter() -> None:
    """Compute in C without ever letting another Python thread run."""
    10 ** (10**9)


def create(greeting: str = "hello") -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """A factory."""

    def greet(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(greeting)))])
        return [greeting.encode()]

    return greet


class Nested:
    """A holder of an application."""

    inner = staticmethod(application)


number = 42
