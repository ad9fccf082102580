"""An application that keeps a thread, and says when it has it."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``/sleep`` takes a second; ``/held`` until somebody writes to the pipe GATE; anything else nothing. The answer is the pid."""
    path = environ["PATH_INFO"]
    if path in ("/sleep", "/held"):
        with Path(os.environ["ENTERED"]).open("a") as entered:
            entered.write("in\n")
        if path == "/sleep":
            time.sleep(1.0)
        else:
            Path(os.environ["GATE"]).read_text()
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
