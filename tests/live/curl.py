"""curl, as a user runs it: over TCP or, with --unix-socket, over a UNIX socket."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

SECONDS = 30


@dataclass
class Reply:
    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name.lower()]


def curl(address: str, path: str, *options: str, given: bytes | None = None) -> Reply:
    """Ask; `given` is what `@-` in the options means. Fails when curl does: a reply cut off is such a failure (18)."""
    words = ["curl", "--silent", "--show-error", "--include", "--max-time", str(SECONDS), "-H", "Expect:"]
    if address.startswith("unix:"):
        words += ["--unix-socket", address.removeprefix("unix:")]
        address = "localhost"
    done = subprocess.run(
        [*words, *options, f"http://{address}{path}"], input=given, capture_output=True, timeout=SECONDS + 5
    )
    assert 0 == done.returncode, f"curl {path} ended with {done.returncode}: {done.stderr.decode()}"
    return parse(done.stdout)


def parse(said: bytes) -> Reply:
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split()[1])
    if status == 100:
        return parse(body)
    headers = [(line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in lines]
    return Reply(status, body, headers)
