"""An application that keeps each thread for a second, and says when it has it."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``/sleep`` takes a second; anything else nothing. The answer is the pid."""
    if environ["PATH_INFO"] == "/sleep":
        with Path(os.environ["ENTERED"]).open("a") as entered:
            entered.write("in\n")
        time.sleep(1.0)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
