# Who is at the other end of a UNIX socket, and who may be.
from libc.stdint cimport uint32_t

cdef enum:
    MOST_IDS = 64           # of users, and of groups, that can be allowed

cdef struct Credentials:    # struct ucred
    int pid
    uint32_t uid
    uint32_t gid

cdef struct Allowed:
    bint asked              # there is a rule: whoever is not named is not let in
    int nuids
    int ngids
    uint32_t uids[MOST_IDS]
    uint32_t gids[MOST_IDS]

cdef int read_credentials(int fd, Credentials* who) noexcept nogil
cdef bint may_enter(const Allowed* allowed, int fd, const Credentials* who) noexcept nogil
cdef int name_allowed(Allowed* allowed, object ids) except -1
cdef object note_of(const Credentials* who)
