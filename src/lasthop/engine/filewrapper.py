"""`wsgi.file_wrapper`: a file that the application hands over to be sent (PEP 3333, "Optional Platform-Specific File Handling")."""

from collections.abc import Iterator
from typing import Protocol


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class FileWrapper:
    """Returned as the reply's body, a regular file leaves by `sendfile`; anything else with `read` is read block by block."""

    def __init__(self, filelike: _Readable, blksize: int = 65536) -> None:
        self.filelike = filelike
        self.blksize = blksize

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration

    def close(self) -> None:
        """Close the file, if it can be closed; the server calls it when the reply is over."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()
