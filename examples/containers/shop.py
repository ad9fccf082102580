"""An application to try the examples with."""

from collections.abc import Callable, Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Reply to everything; /health is what probes ask for."""
    body = b"well\n" if environ["PATH_INFO"] == "/health" else b"Hello from the other container\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
