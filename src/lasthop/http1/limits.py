"""What a request may measure. All of it is the peer's to send, so all of it is bounded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on one request, in bytes unless said; line ends (CRLF) do not count in `line` and `field_size`."""

    line: int = 8190
    """The request line."""
    fields: int = 100
    """The number of header fields, and of trailer fields."""
    field_size: int = 8190
    """One field: name, colon and value."""
    head: int = 65536
    """The whole head, with its line ends; the whole trailer too."""
    body: int = 1 << 30
    """The body after decoding; 0: no bound."""
