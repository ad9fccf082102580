"""No orphans: a process that is started here is told to end by the kernel when the thread that started it is gone, however it went.

For what could not be ended in order, since SIGKILL leaves no moment for that. A program that changes its user afterwards loses the promise (prctl(2)).
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def ending_with_us() -> Callable[[], None]:
    """What the child is to call between fork and exec (`preexec_fn`)."""
    us = os.getpid()

    def ask() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != us:  # gone in the moment between, which nobody is told of any more
            os._exit(128 + signal.SIGTERM)

    return ask
