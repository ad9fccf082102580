# Whether this process, since the engine began, has forked or is a fork.
cdef int generation() noexcept nogil    # how many forks lie between the first process and this one
cdef bint has_forked() noexcept nogil   # a child of this process may hold copies of its descriptors
