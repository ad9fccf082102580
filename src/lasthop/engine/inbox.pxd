# Messages that wait for the application.

cdef class Inbox:
    cdef readonly Py_ssize_t held       # memory of the messages that are not taken yet
    cdef dict _first                    # the next message, or None
    cdef object _more                   # a deque of those after it, or None

    cdef int _queue(self, dict message) except -1
    cdef dict _next(self)
