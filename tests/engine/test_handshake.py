"""The opening handshake: what is refused and how, what is offered, what a 101 says."""

import subprocess
import sys
from typing import Any

import pytest

from lasthop.engine.handshake import Terms
from tests.engine.sessions import REQUEST, Pair, Session, all_of, asked, disconnect, opened, sending

EXTENSIONS = b"sec-websocket-extensions"


def without(name: bytes) -> list[tuple[bytes, bytes]]:
    return [field for field in REQUEST if field[0] != name]


def replaced(name: bytes, value: bytes) -> Any:
    return Session([*without(name), (name, value)], "/", settings=Terms())


def test_the_accept_key_is_the_one_of_the_rfc() -> None:
    assert [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ] == asked().accept(None, [])


@pytest.mark.parametrize("version", [b"8", b"12", b"14", b"13, 14", b"thirteen", b""])
def test_another_version_is_told_which_one_is_spoken(version: bytes) -> None:
    refusal = replaced(b"sec-websocket-version", version).refusal
    assert refusal is not None
    status, fields, body = refusal
    assert 426 == status
    assert (b"sec-websocket-version", b"13") in fields
    assert b"version 13" in body


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"sec-websocket-key", b""),
        (b"sec-websocket-key", b"c2hvcnQ="),
        (b"sec-websocket-key", b"not base 64 at all, really"),
        (b"sec-websocket-key", b"\xff\xfe"),
        (b"sec-websocket-protocol", b"a b"),
        (b"sec-websocket-extensions", b"permessage-deflate; ="),
        (b"connection", b"Upgrade, ,;"),
    ],
)
def test_a_malformed_handshake_is_a_bad_request_that_quotes_nothing(name: bytes, value: bytes) -> None:
    session = replaced(name, value)
    assert session.refusal is not None
    assert 400 == session.refusal[0]
    assert session.fault
    assert not value or value not in session.refusal[2]
    with pytest.raises(RuntimeError, match=r"accepted or refused"):
        session.accept(None, [])


@pytest.mark.parametrize("name", [b"sec-websocket-key", b"sec-websocket-version"])
def test_a_header_that_is_missing_or_there_twice_is_a_bad_request(name: bytes) -> None:
    missing = Session(without(name), "/", settings=Terms())
    twice = Session([*REQUEST, (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")], "/", settings=Terms())
    assert [400, 400] == [session.refusal and session.refusal[0] for session in (missing, twice)]


@pytest.mark.parametrize(
    ("name", "value"), [(b"upgrade", b"h2c"), (b"upgrade", b"websocket, h2c"), (b"connection", b"close")]
)
def test_no_request_for_a_websocket_is_told_so(name: bytes, value: bytes) -> None:
    refusal = replaced(name, value).refusal
    assert refusal is not None
    assert 426 == refusal[0]
    assert (b"upgrade", b"websocket") in refusal[1]


def test_subprotocols_are_offered_in_the_peers_order() -> None:
    session = asked((b"sec-websocket-protocol", b"chat, superchat"), (b"sec-websocket-protocol", b"v2"))
    assert ["chat", "superchat", "v2"] == session.subprotocols
    assert (b"Sec-WebSocket-Protocol", b"superchat") in session.accept("superchat", [])


def test_a_subprotocol_that_was_not_offered_is_the_applications_error() -> None:
    session = asked((b"sec-websocket-protocol", b"chat"))
    with pytest.raises(ValueError, match=r"'mqtt' was not offered; the peer offers: chat"):
        session.accept("mqtt", [])
    with pytest.raises(ValueError, match=r"the peer offers: none"):
        asked().accept("mqtt", [])
    assert session.accept("chat", [])  # nothing was accepted before


@pytest.mark.parametrize(
    "header",
    [
        (b"Sec-WebSocket-Accept", b"mine"),
        (b"sec-websocket-protocol", b"chat"),
        (b"Sec-WebSocket-Extensions", b"permessage-deflate"),
        (b"Connection", b"close"),
        (b"upgrade", b"h2c"),
        (b"content-length", b"5"),
        (b"transfer-encoding", b"chunked"),
        (b"x-split", b"a\r\nset-cookie: b"),
        (b"x-split", b"a\nb"),
        (b"x-nul", b"a\0b"),
        (b"x y", b"a"),
        (b"x:y", b"a"),
        (b"", b"a"),
    ],
)
def test_a_header_that_may_not_be_sent_is_the_applications_error(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r"websocket\.accept: the header"):
        asked((b"sec-websocket-protocol", b"chat")).accept(None, [header])


def test_headers_of_the_wrong_type_are_the_applications_error() -> None:
    with pytest.raises(TypeError, match=r"are bytes"):
        asked().accept(None, [("x-a", "b")])


def test_the_applications_headers_come_last_and_as_they_are() -> None:
    more = [(b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=\xe9")]
    assert more == asked().accept(None, more)[-2:]


def test_nothing_goes_either_way_before_it_is_accepted() -> None:
    session = asked()
    with pytest.raises(RuntimeError, match=r"before it was accepted"):
        session.feed(b"\x81\x80\0\0\0\0")
    with pytest.raises(RuntimeError, match=r"before websocket\.accept"):
        session.send(sending("hello"))
    with pytest.raises(RuntimeError, match=r"answered by HTTP"):
        session.close(1001)
    session.accept(None, [])
    with pytest.raises(RuntimeError, match=r"has been accepted"):
        session.accept(None, [])


def test_a_peer_that_is_gone_before_it_is_accepted_is_no_error_of_the_application() -> None:
    session = asked()
    assert not session.accepted
    session.feed_eof()
    assert not session.accepted
    assert [disconnect(1006)] == all_of(session)
    with pytest.raises(OSError, match=r"before websocket\.accept"):
        session.accept(None, [])
    with pytest.raises(OSError, match=r"closed"):
        session.send(sending("hello"))
    session.send({"type": "websocket.close"})
    assert session.ended


def test_the_librarys_client_agrees_with_what_is_said() -> None:
    pair = Pair(deflate=True, subprotocol="chat")
    assert "chat" == pair.client.subprotocol
    assert 1 == len(pair.client.extensions)


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        (b"permessage-deflate", b"permessage-deflate; server_max_window_bits=12"),
        (
            b"permessage-deflate; server_no_context_takeover",
            b"permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
        ),
        (b"permessage-deflate; server_max_window_bits=8", None),
        (b"permessage-deflate; unknown", None),
        (b"permessage-bzip2", None),
    ],
)
def test_deflate_is_taken_on_terms_that_both_can_keep(offered: bytes, said: bytes | None) -> None:
    fields = dict(asked((EXTENSIONS, offered)).accept(None, []))
    assert said == fields.get(b"Sec-WebSocket-Extensions")


def test_deflate_can_be_declined() -> None:
    fields = dict(asked((EXTENSIONS, b"permessage-deflate"), deflate=False).accept(None, []))
    assert b"Sec-WebSocket-Extensions" not in fields


def test_a_session_tells_its_terms() -> None:
    assert 20.0 == opened().terms.ping_interval_s


def test_without_the_library_the_error_says_how_to_get_it() -> None:
    program = (
        "import sys; sys.modules['websockets'] = None\n"
        "from lasthop.engine.websocket import Session; Session([], '/', settings=None)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'lasthop[websocket]'" in ran.stderr
