"""Starts a server from a target and settings in JSON: what ``lasthop serve`` does, without the command line."""

import json
import os
import sys
from pathlib import Path

from lasthop.settings import Settings

from lasthop.errors import LasthopError
from lasthop.server.supervisor import run


def settings_of(words: dict[str, object]) -> Settings:
    return Settings(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in words.items()}
    )


def main() -> int:
    target, words = sys.argv[1], json.loads(sys.argv[2])
    if words.pop("listen_pid", False):  # what systemd sets for the process that it starts
        os.environ["LISTEN_PID"] = str(os.getpid())
    later = words.pop("later", None)
    reread = None if later is None else lambda: settings_of(json.loads(Path(later).read_text()))
    try:
        return run(target, settings_of(words), reread)
    except LasthopError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
