"""Where an HTTP/1 message ends: enough of RFC 9112, section 6, to know that a reply is complete and to cut a stream into its messages.

Sans-I/O. Lenient, because it judges nobody: what it cannot make sense of ends where the connection ends.
"""

from __future__ import annotations

HEAD_END = b"\r\n\r\n"
LINE_END = b"\r\n"
BODILESS = (204, 304)
LINE_CHARACTERS = 100


def end_of_message(data: bytes | bytearray, *, is_reply: bool, to_head: bool = False) -> int | None:
    """How many bytes the first message has; None: it is not complete, or it ends with the connection."""
    head_size = data.find(HEAD_END) + len(HEAD_END)
    if head_size < len(HEAD_END):
        return None
    status = status_of(data) if is_reply else 0
    if is_reply and (to_head or status in BODILESS or 100 <= status < 200):
        return head_size
    fields = _fields(bytes(data[:head_size]))
    if "chunked" in fields.get("transfer-encoding", "").lower():
        return _end_of_chunks(data, head_size)
    length = fields.get("content-length")
    if length is None:
        return None if is_reply else head_size
    if not length.isdecimal() or len(length) > 18:
        return None
    end = head_size + int(length)
    return end if len(data) >= end else None


def status_of(data: bytes | bytearray) -> int:
    """The status of a reply; 0 where there is none."""
    words = bytes(data[:32]).split(b" ")
    return int(words[1]) if len(words) > 1 and words[1][:3].isdigit() and len(words[1]) == 3 else 0


def first_line(data: bytes | bytearray) -> str:
    """The first line, without what a terminal would obey."""
    line = bytes(data[:LINE_CHARACTERS]).partition(LINE_END)[0].decode("latin-1")
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def sizes(stream: bytes, *, is_reply: bool, to_head: bool = False) -> list[int]:
    """How many bytes each message of a stream has; the last may be cut short."""
    found = []
    while stream:
        end = end_of_message(stream, is_reply=is_reply, to_head=to_head) or len(stream)
        found.append(end)
        stream = stream[end:]
    return found


def _fields(head: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in head.split(LINE_END)[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            found[name.decode("latin-1").lower()] = value.decode("latin-1").strip()
    return found


def _end_of_chunks(data: bytes | bytearray, at: int) -> int | None:
    while True:
        line_end = data.find(LINE_END, at)
        if line_end < 0:
            return None
        try:
            size = int(bytes(data[at:line_end]).partition(b";")[0], 16)
        except ValueError:
            return None
        if size == 0:
            if data[line_end : line_end + 4] == HEAD_END:
                return line_end + 4
            trailers = data.find(HEAD_END, line_end)
            return trailers + len(HEAD_END) if trailers >= 0 else None
        at = line_end + 2 + size + 2
