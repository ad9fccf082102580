"""Starts a server from a target and settings in JSON: what ``lasthop serve`` does, without the command line."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from lasthop.errors import LasthopError
from lasthop.server.supervisor import run
from lasthop.settings import Settings


def settings_of(words: dict[str, Any]) -> Settings:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in words.items()
    }
    return Settings(**values)


def main() -> int:
    target, words = sys.argv[1], json.loads(sys.argv[2])
    if passed := words.pop("as_systemd", []):
        for at, number in enumerate(passed):
            os.dup2(number, 3 + at)
        os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(passed))}
    later = words.pop("later", None)
    reread = None if later is None else lambda: settings_of(json.loads(Path(later).read_text()))
    try:
        return run(target, settings_of(words), reread)
    except LasthopError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
