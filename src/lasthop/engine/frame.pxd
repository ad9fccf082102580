# A frame of the WebSocket protocol as a peer sends it (masked), and as a server does (unmasked).

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)    # of a str, or of what inherits from it

cdef enum:
    PART            # more bytes are needed
    WHOLE           # the frame is there
    ODD             # no frame that a peer may send: for the library to refuse
    FINAL = 0x80        # FIN; alone, the last fragment
    FIRST_TEXT = 0x01   # of fragments
    FIRST_BINARY = 0x02
    FINAL_TEXT = 0x81
    FINAL_BINARY = 0x82
    FINAL_PING = 0x89
    FINAL_PONG = 0x8A
    COMPRESSED = 0x40   # RSV1
    LARGE = 16384       # a payload of so many bytes is not copied behind its head, nor put together with what follows

cdef struct Frame:
    unsigned char head
    Py_ssize_t at       # where the payload begins; its mask stands before it
    Py_ssize_t size     # of the payload

cdef int measure(Frame* frame, const unsigned char* data, Py_ssize_t size, Py_ssize_t most) noexcept nogil
cdef bytes unmasked(const unsigned char* payload, Py_ssize_t size)
cdef str unmasked_text(const unsigned char* payload, Py_ssize_t size)
cdef bytes framed(unsigned char head, const unsigned char* payload, Py_ssize_t size)
cdef bytes frame_head(unsigned char head, Py_ssize_t size)
cdef list gathered(list pieces)
