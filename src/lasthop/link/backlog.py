"""How many connections the kernel lets wait in a listener's queue.

Over ``unix:`` a full queue refuses a connection at once (EAGAIN, which a front turns into a 502), over TCP it delays one. So
the queue is as long as the kernel allows unless the user asks for less, and a request for more is said to be clipped: the
kernel itself clips in silence.
"""

from pathlib import Path

SOMAXCONN = Path("/proc/sys/net/core/somaxconn")

UNKNOWN_LIMIT = 128
"""What is assumed where /proc is missing: the limit of every kernel before 5.4."""


def kernel_limit(path: Path = SOMAXCONN) -> int:
    """The longest queue that this network namespace allows."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return UNKNOWN_LIMIT


def queue_length(asked: int, limit: int) -> tuple[int, str | None]:
    """What to pass to listen(2), and a warning when the kernel gives less than what was asked for.

    0 asks for as much as there is.
    """
    if asked == 0:
        return limit, None
    if asked > limit:
        return limit, (
            f"backlog {asked} is clipped to {limit} by the kernel; "
            f"hint: sysctl net.core.somaxconn={asked} (in a container: in its own network namespace)"
        )
    return asked, None
