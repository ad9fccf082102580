"""Why a request is refused: one row for each rule that a peer can break.

A row is (name, status, sentence). The compiled readers know a refusal by its place here: `field.pxd` has the same names in
the same order as C constants, and a test holds the two together. The sentence is for the log; a peer is told the status
alone. What each rule protects from is said where it is applied, with the section of RFC 9112.
"""

from typing import Final

ROWS: Final[tuple[tuple[str, int, str], ...]] = (
    ("bad_request_line", 400, "the request line is not `method SP target SP HTTP/1.x`"),
    ("bad_method", 400, "the method is not a token"),
    ("bad_target", 400, "the request target is not origin-form, absolute-form or, for OPTIONS, `*`"),
    ("bad_version", 400, "the HTTP version is malformed"),
    ("version_not_supported", 505, "the HTTP version is not 1.x"),
    ("bare_lf", 400, "a line ends with LF alone"),
    ("bare_cr", 400, "a CR is not followed by LF"),
    ("bad_header_name", 400, "a header name is not a token directly followed by a colon"),
    ("bad_header_value", 400, "a header value has a control character"),
    ("folded_header", 400, "a header is continued on a second line (obs-fold)"),
    ("missing_host", 400, "an HTTP/1.1 request has no Host"),
    ("repeated_host", 400, "there are two Host headers"),
    ("bad_host", 400, "the Host is not a host and an optional port"),
    ("bad_content_length", 400, "the Content-Length is not a number of at most 18 digits"),
    ("repeated_content_length", 400, "there are two Content-Lengths"),
    ("length_and_chunked", 400, "there is a Content-Length beside Transfer-Encoding"),
    ("bad_transfer_encoding", 400, "the Transfer-Encoding is not `chunked`, once, at the end"),
    ("transfer_encoding_1_0", 400, "an HTTP/1.0 request has a Transfer-Encoding"),
    ("unknown_transfer_encoding", 501, "the Transfer-Encoding is none that is understood here"),
    ("ambiguous_name", 400, "two header names differ only in `-` and `_`"),
    ("bad_expect", 417, "the expectation is not `100-continue`"),
    ("line_too_long", 414, "the request line is longer than allowed"),
    ("too_many_fields", 431, "there are more header fields than allowed"),
    ("field_too_large", 431, "a header field is larger than allowed"),
    ("head_too_large", 431, "the request head is larger than allowed"),
    ("body_too_large", 413, "the request body is larger than allowed"),
    ("bad_chunk_size", 400, "a chunk size is not 1 to 16 hexadecimal digits"),
    ("bad_chunk_extension", 400, "a chunk extension is malformed or too long"),
    ("bad_chunk_end", 400, "the data of a chunk is not followed by CRLF"),
    ("bad_trailer", 400, "a trailer field is malformed, or the trailer is too large"),
    ("connect_refused", 501, "CONNECT is not served here"),
    ("empty_lines", 400, "more than one empty line stands before the request"),
)

REFUSALS: Final[dict[str, tuple[int, str]]] = {name: (status, sentence) for name, status, sentence in ROWS}


def refusal_of(code: int) -> tuple[str, int, str]:
    """The row of a reader's negative result `code` (-1 is the first row)."""
    return ROWS[-code - 1]
