# Whom the load asks, in C.
from lasthop.engine.linux cimport sockaddr_storage, socklen_t

cdef struct Remote:
    sockaddr_storage address
    socklen_t size
    bint is_tcp

# Why there is no connection, or no reply. In the order of `remote.FAILURES`.
cdef enum:
    REFUSED
    DENIED
    NO_PORT
    NO_DESCRIPTOR
    UNREACHABLE
    CONNECT_TIMED_OUT
    RESET
    EARLY_END
    MALFORMED
    WRONG_BODY
    TIMED_OUT
    OTHER
    NO_FAILURE              # also their number

cdef int read_address(Remote* remote, object address) except -1
cdef int open_socket(const Remote* remote) noexcept nogil
cdef int connect_socket(const Remote* remote, int fd) noexcept nogil
cdef int failure_of(int number) noexcept nogil
cdef int socket_error(int fd) noexcept nogil
