"""No orphans: a process that is started here is told to end by the kernel when the thread that started it is gone, however it went.

For what could not be ended in order, since SIGKILL leaves no moment for that. A program that changes its user afterwards loses the promise (prctl(2)).
"""

from __future__ import annotations

import ctypes
import signal

PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """To be called in the child, between fork and exec (`preexec_fn`)."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
