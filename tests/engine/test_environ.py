"""What an application is told of a request (PEP 3333, "environ Variables"; RFC 3875)."""

import io
import json
import sys
from typing import Any
from wsgiref.validate import validator

import pytest

from tests.engine.conftest import Run
from tests.engine.running import Environ, Link, Running, Start, get, post


def telling(environ: Environ, start_response: Start) -> list[bytes]:
    """The texts of the environ, as JSON."""
    start_response("200 OK", [])
    return [json.dumps({key: value for key, value in environ.items() if isinstance(value, str)}).encode()]


def told(running: Running, data: bytes, link: Link = "unix") -> dict[str, str]:
    reply = running.ask(data, link)
    assert 200 == reply.status
    facts: dict[str, str] = json.loads(reply.body)
    return facts


def request(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join([line, host, *fields, b"", b""])


def test_a_plain_request_over_a_socket_file(run: Run, threads: int) -> None:
    assert {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a/b",
        "QUERY_STRING": "c=d",
        "RAW_URI": "/a/b?c=d",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "lasthop",
        "REMOTE_ADDR": "",
        "HTTP_HOST": "a",
        "wsgi.url_scheme": "http",
    } == told(run(telling, threads), get("/a/b?c=d"))


@pytest.mark.parametrize(("link", "address"), [("tcp", "127.0.0.1"), ("tcp6", "::1")])
def test_over_tcp_the_peer_is_told(run: Run, threads: int, link: Link, address: str) -> None:
    running = run(telling, threads)
    peer = running.connect(link)
    for _ in range(3):
        facts = json.loads(peer.send(get()).reply().body)
        expected = (address, str(peer.socket.getsockname()[1]), address, str(peer.socket.getpeername()[1]))
        assert expected == tuple(
            facts[key] for key in ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT")
        )


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/?", "/", ""),
        (b"/?a?b", "/", "a?b"),
        (b"/%61%2F%c3%a9", "/a/\xc3\xa9", ""),
        (b"/%", "/%", ""),
        (b"/%4", "/%4", ""),
        (b"/%zz%4g%g4%41", "/%zz%4g%g4A", ""),
        (b"/%00", "/\0", ""),
        (b"/%3Fa=b?c=%64", "/?a=b", "c=%64"),
        (b"/%2541", "/%41", ""),
        (b"/\xc3\xa9?\xe9", "/\xc3\xa9", "\xe9"),
        (b"//double", "//double", ""),
        (b"/../up", "/../up", ""),
        (b"/;a=b", "/;a=b", ""),
    ],
)
def test_the_path_is_unescaped_and_the_query_is_not(run: Run, target: bytes, path: str, query: str) -> None:
    facts = told(run(telling), request(line=b"GET " + target + b" HTTP/1.1"))
    assert (path, query, target.decode("latin-1")) == (
        facts["PATH_INFO"],
        facts["QUERY_STRING"],
        facts["RAW_URI"],
    )


@pytest.mark.parametrize(
    "method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "X-Y!"]
)
def test_any_method_is_told_as_it_was_sent(run: Run, method: str) -> None:
    methods = []

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        methods.append(environ["REQUEST_METHOD"])
        start_response("200 OK", [])
        return []

    run(application).ask(get(method=method), method=method)
    assert [method] == methods


def test_http_1_0_is_told(run: Run) -> None:
    facts = told(run(telling), b"GET / HTTP/1.0\r\n\r\n")
    assert ("HTTP/1.0", False) == (facts["SERVER_PROTOCOL"], "HTTP_HOST" in facts)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([b"X-A: b"], {"HTTP_X_A": "b"}),
        ([b"x-a:b", b"X-A: \t c \t", b"X-a:"], {"HTTP_X_A": "b,c,"}),
        ([b"Accept: a", b"User-Agent: u", b"accept: b"], {"HTTP_ACCEPT": "a,b", "HTTP_USER_AGENT": "u"}),
        ([b"Cookie: a=b", b"X-A: c", b"cookie: d=e"], {"HTTP_COOKIE": "a=b; d=e", "HTTP_X_A": "c"}),
        ([b"Content-Type: text/plain"], {"CONTENT_TYPE": "text/plain"}),
        ([b"X-Latin: \xe9\xff"], {"HTTP_X_LATIN": "\xe9\xff"}),
        ([b"Proxy: http://evil", b"PROXY: x"], {}),
        ([b"Proxies: x", b"Proxy-Authorization: y"], {"HTTP_PROXIES": "x", "HTTP_PROXY_AUTHORIZATION": "y"}),
        ([b"X_A: b", b"Content_Length: 5", b"Remote_Addr: x"], {}),
        ([b"Via: 1.1 a", b"Via: 1.1 b"], {"HTTP_VIA": "1.1 a,1.1 b"}),
        ([b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Other: x"], {}),  # from whoever is not trusted
        ([b"Connection: keep-alive, x", b"Upgrade: y"], {"HTTP_CONNECTION": "keep-alive, x", "HTTP_UPGRADE": "y"}),
        ([b"!#$%&'*+.^`|~: odd"], {"HTTP_!#$%&'*+.^`|~": "odd"}),
    ],
)  # fmt: skip
def test_headers_are_told_by_their_names(run: Run, fields: list[bytes], expected: dict[str, str]) -> None:
    facts = told(run(telling), request(*fields))
    plain = told(run(telling), request())
    assert expected == {key: value for key, value in facts.items() if key not in plain}


def test_the_length_and_type_of_a_body_are_told(run: Run) -> None:
    facts = told(run(telling), post(b"hello", "Content-Type: a/b"))
    assert ("5", "a/b", False) == (
        facts["CONTENT_LENGTH"],
        facts["CONTENT_TYPE"],
        "HTTP_CONTENT_TYPE" in facts,
    )


def test_absolute_form_stands_for_host(run: Run) -> None:
    running = run(telling)
    for target, path, query in (
        (b"http://b:80/c?d", "/c", "d"),
        (b"HTTPS://b:80?d", "", "d"),
        (b"http://b:80", "", ""),
    ):
        facts = told(running, request(line=b"GET " + target + b" HTTP/1.1", host=b"Host: other"))
        assert ("b:80", path, query) == (facts["HTTP_HOST"], facts["PATH_INFO"], facts["QUERY_STRING"])


def test_options_of_the_whole_server(run: Run) -> None:
    facts = told(run(telling), request(line=b"OPTIONS * HTTP/1.1"))
    assert ("OPTIONS", "", "*") == (facts["REQUEST_METHOD"], facts["PATH_INFO"], facts["RAW_URI"])


def test_each_request_has_an_environ_of_its_own(run: Run, threads: int) -> None:
    seen = []

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        seen.append(environ)
        assert "mine" not in environ
        environ["mine"] = environ["PATH_INFO"]
        environ["wsgi.url_scheme"] = "changed"
        start_response("200 OK", [])
        return [environ["mine"].encode()]

    peer = run(application, threads).send(get("/a") + get("/b"))
    assert [b"/a", b"/b"] == [reply.body for reply in peer.replies(2)]
    assert (["/a", "/b"], dict) == ([environ["mine"] for environ in seen], type(seen[0]))


@pytest.mark.parametrize(("threads", "multiprocess"), [(1, False), (4, True)])
def test_wsgis_own_keys(run: Run, threads: int, multiprocess: bool) -> None:
    seen: list[Any] = []

    def application(environ: Environ, start_response: Start) -> list[bytes]:
        seen.append({key: value for key, value in environ.items() if key.startswith("wsgi.")})
        start_response("200 OK", [])
        return []

    run(application, threads, multiprocess=multiprocess).ask()
    keys = seen[0]
    assert callable(keys.pop("wsgi.file_wrapper"))
    assert b"" == keys.pop("wsgi.input").read()
    assert keys == {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": threads > 1,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
    }


@pytest.mark.parametrize(
    "data", [get(), get("/a?b"), post(b"hello", "Content-Type: a/b"), get(method="HEAD")]
)
def test_the_validator_of_the_standard_library_finds_nothing(run: Run, threads: int, data: bytes) -> None:
    def application(environ: Environ, start_response: Start) -> list[bytes]:
        body = environ["wsgi.input"].read(5)
        environ["wsgi.input"].readline(5)
        environ["wsgi.errors"].flush()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"read ", body]

    def errors(environ: Environ, start_response: Start) -> Any:
        environ["wsgi.errors"] = io.StringIO()
        return validator(application)(environ, start_response)

    running = run(errors, threads)
    method = "HEAD" if data.startswith(b"HEAD") else "GET"
    reply = running.ask(data, method=method)
    assert (200, []) == (reply.status, running.said)
