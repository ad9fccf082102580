"""Waiting that goes on when the application cancels it: at an end, and not only then, applications cancel whatever tasks they find.

Knows nothing of whose tasks they are.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any


async def wait_for(ending: Iterable["asyncio.Future[Any]"], seconds: float) -> None:
    """Until all of them have ended, for at most so many seconds."""
    until = time.monotonic() + seconds
    while (left := [each for each in ending if not each.done()]) and time.monotonic() < until:
        try:
            await asyncio.wait(left, timeout=until - time.monotonic())
        except asyncio.CancelledError:
            if (ours := asyncio.current_task()) is not None:
                ours.uncancel()
