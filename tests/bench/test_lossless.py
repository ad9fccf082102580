"""The soak: it counts what is lost, and what is not."""

from __future__ import annotations

import argparse
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import front
from bench.lossless import Asking, run
from bench.process import Bailiff

WRONG = b"0" * 64


class Wrong(BaseHTTPRequestHandler):
    """GET: another text of the right length; POST: an error."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._reply(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(502)

    def _reply(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(WRONG)))
        self.end_headers()
        self.wfile.write(WRONG)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_wrong_replies_are_counted_by_kind() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as server:
        threading.Thread(target=server.serve_forever).start()
        asking = Asking(server.server_port, 200)
        asking.begin()
        asking.end()
        server.shutdown()
    assert asking.failures["status 502"] >= 90
    assert {"plain: status 200", "plain: status 502"} <= set(asking.failures)
    assert asking.done >= 1


@pytest.mark.skipif(front.executable() is None, reason="nginx is not installed")
def test_a_short_one_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Bailiff() as bailiff:
        assert run(bailiff, "unix", argparse.Namespace(requests=2000, reloads=1, takeovers=1, workers=2))
    assert "1 reloads, 1 takeovers: 0 failed" in capsys.readouterr().out
