"""The missing directories of a path: made from the first missing part on, none changed that is there.

They are made closed, each from the descriptor of the one before and never through a symbolic link, and given away only when all are
there, the innermost first: whom one of them belongs to cannot lead the making of the next elsewhere. Knows nothing of sockets.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path


def make_missing(directory: Path, give: Callable[[int], None]) -> list[Path]:
    """Make what is missing of an absolute path, have each new one given away by its descriptor; which were made. All or none.

    Raises OSError with the name of the part that cannot be made.
    """
    there = directory
    while not os.path.lexists(there):
        there = there.parent
    made: list[tuple[Path, int]] = []
    with contextlib.ExitStack() as stack:
        try:
            at = _opened(stack, there, None)
            for name in directory.relative_to(there).parts:
                above, there = at, there / name
                new = True
                try:
                    os.mkdir(name, 0o700, dir_fd=above)
                except FileExistsError:
                    new = False  # another start was quicker
                at = _opened(stack, there, above)
                if new:
                    made.append((there, at))
            for _, descriptor in reversed(made):
                give(descriptor)
        except BaseException as error:
            for path, _ in reversed(made):
                with contextlib.suppress(OSError):
                    path.rmdir()
            if isinstance(error, OSError):
                error.filename = str(there)
            raise
    return [path for path, _ in made]


def _opened(stack: contextlib.ExitStack, path: Path, above: int | None) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    # Only what was there before may be a symbolic link: whoever named the path meant it.
    descriptor = (
        os.open(path, flags) if above is None else os.open(path.name, flags | os.O_NOFOLLOW, dir_fd=above)
    )
    stack.callback(os.close, descriptor)
    return descriptor
