"""A writer of valid requests for hypothesis: what is to be said, the bytes that say it, and the events that must come back.

Written from the grammar of RFC 9112 and on purpose apart from the reader and from every other writer of the project.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.http1.corpus import Events

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
NAME = TOKEN.replace("_", "")
HOST = "abcxyz0189-._~!$&'()*+,;=%"
# Names with which the reader does something: they come from their own strategies, never as one of many.
SPECIAL = {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"}

tokens = st.text(TOKEN, min_size=1, max_size=12).map(str.encode)
names = (
    st.text(NAME, min_size=1, max_size=16).map(str.encode).filter(lambda name: name.lower() not in SPECIAL)
)
visible = [bytes([c]) for c in (*range(0x21, 0x7F), *range(0x80, 0x100))]
target_bytes = st.lists(st.sampled_from([c for c in visible if c != b"#"]), max_size=40).map(b"".join)
values = (
    st.lists(st.sampled_from([*visible, b" ", b"\t"]), max_size=60).map(b"".join).map(lambda value: value.strip(b" \t"))
    | st.sampled_from([b"chunked", b"5", b"close", b"100-continue", b"Content-Length: 5", b"GET / HTTP/1.1", b"\xc3\xa9"])
)  # fmt: skip
blanks = st.sampled_from([b"", b" ", b"\t", b"  ", b" \t "])
hosts = st.builds(
    lambda host, port: host + port,
    st.text(HOST, min_size=1, max_size=12).map(str.encode)
    | st.sampled_from([b"[::1]", b"127.0.0.1", b"a.example"]),
    st.sampled_from([b"", b":", b":80", b":65535"]),
)
contents = st.binary(max_size=80) | st.sampled_from(
    [
        b"GET /inner HTTP/1.1\r\nHost: inner\r\n\r\n",
        b"0\r\n\r\n",
        b"0\r\n\r\nGET /inner HTTP/1.1\r\nHost: inner\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"\r\n\r\n",
        b"\r\n",
    ]
)
quoted = st.lists(st.sampled_from([b"a", b" ", b"\t", b";", b"=", b'\\"', b"\\\\", b"\xff"]), max_size=6)
extensions = st.lists(
    st.builds(
        lambda name, value: b";" + name + value,
        tokens,
        st.just(b"")
        | tokens.map(lambda word: b"=" + word)
        | quoted.map(lambda parts: b'="' + b"".join(parts) + b'"'),
    ),
    max_size=2,
).map(b"".join)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """One request: its bytes and what they say."""

    data: bytes
    events: Events


@st.composite
def cased(draw: st.DrawFn, name: bytes) -> bytes:
    """`name` in any case."""
    upper = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    return bytes(c - 32 if up and 97 <= c <= 122 else c for c, up in zip(name, upper, strict=True))


@st.composite
def chunked(draw: st.DrawFn, content: bytes) -> bytes:
    """`content` in chunks of any sizes, with extensions and trailer fields."""
    out = bytearray()
    while content:
        size = draw(st.integers(1, len(content)))
        zeros = b"0" * draw(st.integers(0, 3))
        digits = b"%x" % size if draw(st.booleans()) else b"%X" % size
        out += zeros + digits + draw(extensions) + b"\r\n" + content[:size] + b"\r\n"
        content = content[size:]
    out += b"0" * draw(st.integers(1, 16)) + draw(extensions) + b"\r\n"
    for name, value in draw(st.lists(st.tuples(names, values), max_size=2)):
        out += name + b":" + draw(blanks) + value + draw(blanks) + b"\r\n"
    return bytes(out) + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> Written:
    method = draw(
        st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS"])
        | tokens.filter(lambda word: word != b"CONNECT")
    )
    minor = draw(st.sampled_from([1, 1, 1, 0]))
    host = draw(hosts)
    forms = [
        b"/" + draw(target_bytes),
        draw(st.sampled_from([b"http://", b"HTTPS://"])) + host + draw(st.sampled_from([b"", b"/a", b"?b"])),
    ]
    target = draw(st.sampled_from([*forms, b"*"] if method == b"OPTIONS" else forms))

    fields = [(name, value) for name, value in draw(st.lists(st.tuples(names, values), max_size=5))]
    content, framing = (
        draw(contents),
        draw(st.sampled_from([None, "length", "chunked"] if minor else [None, "length"])),
    )
    body = b""
    if framing == "length":
        fields.append((draw(cased(b"content-length")), b"0" * draw(st.integers(0, 2)) + b"%d" % len(content)))
        body = content
    elif framing == "chunked":
        fields.append((draw(cased(b"transfer-encoding")), draw(cased(b"chunked"))))
        body = draw(chunked(content))
    else:
        content = b""
    options = draw(
        st.lists(st.sampled_from([b"close", b"keep-alive", b"te", b"upgrade", b"closed"]), max_size=3)
    )
    if draw(st.booleans()) or options:
        fields.append((draw(cased(b"connection")), b", ".join(options)))
    expects = draw(st.booleans())
    if expects:
        fields.append((b"Expect", draw(cased(b"100-continue"))))
    if minor or draw(st.booleans()):
        fields.append((draw(cased(b"host")), draw(st.just(host) | st.just(b""))))
    fields = draw(st.permutations(fields))
    passed_over = [
        (name + b"_", value) for name, value in draw(st.lists(st.tuples(names, values), max_size=1))
    ]
    ambiguous = {name.lower() for name, _ in fields} & {
        name.lower().replace(b"_", b"-") for name, _ in passed_over
    }

    data = bytearray(draw(st.sampled_from([b"", b"", b"", b"\r\n"])))
    data += method + b" " + target + b" HTTP/1.%d\r\n" % minor
    for name, value in fields if ambiguous else [*passed_over, *fields]:
        data += name + b":" + draw(blanks) + value + draw(blanks) + b"\r\n"
    data += b"\r\n" + body

    keep = b"close" not in options and (minor == 1 or b"keep-alive" in options)
    size = len(content) if framing == "length" else framing
    events: Events = [("head", method, target, (1, minor), fields, size, keep, expects and minor == 1)]
    if content:
        events.append(("data", content))
    return Written(bytes(data), [*events, ("end",)])


conversations = st.lists(requests(), min_size=1, max_size=3)
