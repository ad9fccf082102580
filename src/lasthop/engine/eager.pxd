# Tasks that begin at once, in Python 3.11.
cimport cython

@cython.final
cdef class Eager:
    cdef object loop
    cdef dict namespace         # the loop's own attributes
    cdef object catcher         # `catch`, bound once
    cdef object step            # the first step of a task that is being made
    cdef object context         # in which it is to run
    cdef int asked              # how often something was to be called soon, while a task was made
