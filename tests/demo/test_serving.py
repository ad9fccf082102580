"""A server of our own: ready, stopped, and complained of."""

from __future__ import annotations

from pathlib import Path

import pytest

from lasthop.demo.serving import Serving
from lasthop.errors import DemoFailed


def test_leaving_it_stops_the_server(tmp_path: Path) -> None:
    with Serving("lasthop.demo:app", bind=["127.0.0.1:0"], log=tmp_path / "log") as server:
        assert None is server.process.poll()
    assert 0 == server.process.returncode


def test_a_server_that_does_not_start_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(DemoFailed, match=r"(?s)ended before it was ready.*there is no module 'not_there'"):
        Serving("not_there:app", bind=["127.0.0.1:0"], log=tmp_path / "log").__enter__()
