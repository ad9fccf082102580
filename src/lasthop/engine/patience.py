"""Waiting that goes on when the application cancels it: at an end, and not only then, applications cancel whatever tasks they find.

Knows nothing of whose tasks they are.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any


async def wait_for(ending: Iterable["asyncio.Future[Any]"], seconds: float | None) -> None:
    """Until all of them have ended, for at most so many seconds; None is for ever."""
    until = None if seconds is None else time.monotonic() + seconds
    while left := [each for each in ending if not each.done()]:
        rest = None if until is None else until - time.monotonic()
        if rest is not None and rest <= 0:
            return
        try:
            await asyncio.wait(left, timeout=rest)
        except asyncio.CancelledError:
            if (ours := asyncio.current_task()) is not None:
                ours.uncancel()
