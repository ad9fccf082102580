"""A small Falcon application: a page, JSON, a form, an upload, a stream, a file, cookies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon


class Page:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = "<h1>Guests</h1>"


class Json:
    def on_post(self, req: Any, resp: Any) -> None:
        resp.media = {"got": req.get_media(), "method": req.method}


class Form:
    def on_post(self, req: Any, resp: Any) -> None:
        resp.text = f"welcome {req.get_media()['guest']}"


class Upload:
    def on_post(self, req: Any, resp: Any) -> None:
        for part in req.get_media():
            content = part.stream.read()
            resp.media = {
                "name": part.filename,
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }


class Stream:
    def on_get(self, req: Any, resp: Any) -> None:
        def lines() -> Iterator[bytes]:
            for number in range(1000):
                yield b"line %d\n" % number

        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = lines()


class File:
    def on_get(self, req: Any, resp: Any) -> None:
        path = Path(os.environ["LIVE_FILE"])
        resp.content_type = "application/octet-stream"
        resp.set_stream(path.open("rb"), path.stat().st_size)


class Cookies:
    def on_get(self, req: Any, resp: Any) -> None:
        for name in ("one", "two", "three"):
            resp.set_cookie(name, f"value-of-{name}", secure=False)
        resp.text = "baked"


application = falcon.App()
application.add_route("/page", Page())
application.add_route("/json", Json())
application.add_route("/form", Form())
application.add_route("/upload", Upload())
application.add_route("/stream", Stream())
application.add_route("/file", File())
application.add_route("/cookies", Cookies())
