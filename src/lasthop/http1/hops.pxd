# What a header says of the hops before us, in C: where the last one stands, and what it is.

cdef extern from "<arpa/inet.h>" nogil:
    int AF_INET, AF_INET6
    int inet_pton(int family, const char* text, void* address)

cdef extern from "<string.h>" nogil:
    const void* memrchr(const void* text, int byte, size_t size)

# What a node is.
cdef enum Kind:
    MALFORMED = 0
    ADDRESS = 1         # an IP address, with or without a port
    UNTOLD = 2          # `unknown`, or a name that hides one: nobody can know
    LOCAL = 3           # a UNIX socket: nginx writes `unix:`

cdef struct Node:
    int kind
    bint six                    # the address has 16 bytes, else 4
    bint plain                  # the text is the address, as it is written
    int port                    # -1: not told
    unsigned char address[16]   # in IPv6's form, IPv4 mapped into it

cdef struct Span:       # a part of a text; size -1: there is none
    Py_ssize_t at
    Py_ssize_t size

cdef struct Element:    # of Forwarded
    Span client         # for=, without its quotation marks
    Span host
    Span proto

cdef Py_ssize_t last_item(Span* item, const unsigned char* text, Py_ssize_t size) noexcept nogil
cdef Py_ssize_t last_element(Element* element, const unsigned char* text, Py_ssize_t size) noexcept nogil
cdef void read_node(Node* node, const unsigned char* text, Py_ssize_t size, bint bare) noexcept nogil
cdef int read_port(const unsigned char* text, Py_ssize_t size) noexcept nogil
cdef int read_scheme(const unsigned char* text, Py_ssize_t size) noexcept nogil
