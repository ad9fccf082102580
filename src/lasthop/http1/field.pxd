# Fields in C, and what all readers share: bounds and refusals.
from libc.stdint cimport int16_t, int64_t, uint16_t, uint32_t

cdef extern from * nogil:
    int __builtin_ctzll(unsigned long long)

# In the order of `refusals.ROWS`; a reader returns them as they stand here.
cdef enum Refusal:
    BAD_REQUEST_LINE = -1
    BAD_METHOD = -2
    BAD_TARGET = -3
    BAD_VERSION = -4
    VERSION_NOT_SUPPORTED = -5
    BARE_LF = -6
    BARE_CR = -7
    BAD_HEADER_NAME = -8
    BAD_HEADER_VALUE = -9
    FOLDED_HEADER = -10
    MISSING_HOST = -11
    REPEATED_HOST = -12
    BAD_HOST = -13
    BAD_CONTENT_LENGTH = -14
    REPEATED_CONTENT_LENGTH = -15
    LENGTH_AND_CHUNKED = -16
    BAD_TRANSFER_ENCODING = -17
    TRANSFER_ENCODING_1_0 = -18
    UNKNOWN_TRANSFER_ENCODING = -19
    AMBIGUOUS_NAME = -20
    BAD_EXPECT = -21
    LINE_TOO_LONG = -22
    TOO_MANY_FIELDS = -23
    FIELD_TOO_LARGE = -24
    HEAD_TOO_LARGE = -25
    BODY_TOO_LARGE = -26
    BAD_CHUNK_SIZE = -27
    BAD_CHUNK_EXTENSION = -28
    BAD_CHUNK_END = -29
    BAD_TRAILER = -30
    CONNECT_REFUSED = -31
    EMPTY_LINES = -32

cdef enum:
    NEED_MORE = 0
    # Places in the table of known names; field.py builds the table and asserts these.
    UNDERSCORED = -2    # head.py's mark for a name with `_`, until it is taken out
    UNKNOWN = -1
    HOST = 0
    CONTENT_LENGTH = 1
    TRANSFER_ENCODING = 2
    CONNECTION = 3
    EXPECT = 4
    CONTENT_TYPE = 5
    COOKIE = 6
    # What fronts say of the client: from FORWARDED to X_REAL_IP it is read, to LAST_OF_FRONTS it is not.
    FORWARDED = 7
    X_FORWARDED_FOR = 8
    X_FORWARDED_PROTO = 9
    X_FORWARDED_HOST = 10
    X_FORWARDED_PORT = 11
    X_REAL_IP = 12
    LAST_OF_FRONTS = 25

cdef struct Bounds:     # `limits.Limits` in C
    uint32_t line
    uint32_t fields
    uint32_t field_size
    uint32_t head
    int64_t body

# All places are counted from the first byte of the buffer that was read, which must stay where it is for as long as they are used.
cdef struct Field:
    uint32_t name
    uint32_t value
    uint32_t value_size
    uint16_t name_size
    int16_t known       # the name's place in the table of known names, or UNKNOWN

cdef unsigned char lower(unsigned char c) noexcept nogil
cdef bint same_word(const unsigned char* text, Py_ssize_t size, const char* lower) noexcept nogil
cdef Py_ssize_t line_end(const unsigned char* buf, Py_ssize_t at, Py_ssize_t size) noexcept nogil
cdef Py_ssize_t blame(unsigned char byte, Py_ssize_t otherwise) noexcept nogil
cdef Py_ssize_t read_field(Field* field, bint* underscore, const unsigned char* buf, Py_ssize_t at, Py_ssize_t size, const Bounds* bounds) noexcept nogil
