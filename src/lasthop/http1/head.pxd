# The head of a request in C: what `head.py` fills in and `body.py`, `reader.py` and the engine read.
from libc.stdint cimport int16_t, int64_t, uint16_t, uint32_t

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
    # Places in the table of known names; head.py builds the table and asserts these.
    UNKNOWN = -1
    HOST = 0
    CONTENT_LENGTH = 1
    TRANSFER_ENCODING = 2
    CONNECTION = 3
    EXPECT = 4
    CONTENT_TYPE = 5
    COOKIE = 6

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

cdef struct Head:
    uint32_t method_size        # the method begins at `method`
    uint32_t method
    uint32_t target
    uint32_t target_size
    uint32_t path               # of origin-form, or of what follows the authority in absolute-form
    uint32_t path_size          # 0 for `*` and for absolute-form without a path
    uint32_t query              # after the `?`
    uint32_t query_size
    uint32_t authority          # of absolute-form: it stands for Host (RFC 9112, 3.2.2)
    uint32_t authority_size
    int minor                   # HTTP/1.minor, 0 or 1
    bint escaped                # the path has a `%`
    bint https                  # absolute-form said https
    bint keep_alive             # what the peer wishes
    bint expect_continue
    bint chunked
    int64_t length              # Content-Length, or -1 when there is none
    uint32_t nfields            # fields to hand on: names with `_` are passed over and not among them
    uint32_t capacity           # of `fields`, in fields
    Field* fields

# Where the reading of a head that has not wholly come yet goes on.
cdef struct Progress:
    uint32_t line               # where the line begins that was not complete
    uint32_t fields             # how many fields came before it

cdef Py_ssize_t read_head(Head* head, Progress* progress, const unsigned char* buf, Py_ssize_t size, const Bounds* bounds) noexcept nogil
cdef Py_ssize_t read_field(Field* field, bint* underscore, const unsigned char* buf, Py_ssize_t at, Py_ssize_t size, const Bounds* bounds) noexcept nogil
cdef bint same_word(const unsigned char* text, Py_ssize_t size, const char* lower) noexcept nogil
cdef bint is_token(unsigned char c) noexcept nogil
