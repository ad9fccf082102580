"""A small Bottle application: a page, JSON, a form, an upload, a stream, a file, cookies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bottle

application: Any = bottle.Bottle()


def page() -> Any:
    return bottle.template(
        "<h1>{{title}}</h1><ul>\n% for each in guests:\n<li>{{each}}</li>\n% end\n</ul>",
        title="Guests & friends",
        guests=["Ada", "<Grace>"],
    )


def json() -> Any:
    return {"got": bottle.request.json, "method": bottle.request.method}


def form() -> Any:
    return f"welcome {bottle.request.forms.getunicode('guest')}"


def upload() -> Any:
    given = bottle.request.files["document"]
    content = given.file.read()
    return {
        "name": given.raw_filename,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def stream() -> Iterator[str]:
    bottle.response.content_type = "text/plain"
    for number in range(1000):
        yield f"line {number}\n"


def file() -> Any:
    path = Path(os.environ["LIVE_FILE"])
    return bottle.static_file(path.name, root=str(path.parent))


def cookies() -> Any:
    for name in ("one", "two", "three"):
        bottle.response.set_cookie(name, f"value-of-{name}")
    return "baked"


for name, view in {"page": page, "stream": stream, "file": file, "cookies": cookies}.items():
    application.route(f"/{name}", "GET", view)
for name, view in {"json": json, "form": form, "upload": upload}.items():
    application.route(f"/{name}", "POST", view)
