# A task that stands by, for a coroutine that may end at once.
cimport cython
from cpython.object cimport PyObject

cdef enum:
    ENDED                       # the coroutine has, with `error` or without
    WAITS                       # its task goes on with it: `go_on`
    ELSEWHERE                   # it cannot run here, and has not begun

@cython.final
cdef class Rest:
    # What a task that stands by waits for: as a future is.
    cdef public bint _asyncio_future_blocking
    cdef Standby standby

@cython.final
cdef class Standby:
    cdef readonly object task   # None when it has gone its own way
    cdef readonly object context    # the task's, as unchanged as `pristine` is
    cdef object pristine
    cdef Py_ssize_t variables   # that `pristine` has
    cdef object loop
    cdef object name            # the task's `set_name`
    cdef Rest rest
    cdef dict attributes        # the task's, none
    cdef Py_ssize_t weakly      # weak references to the task: asyncio's own
    cdef Py_ssize_t to_this     # references to the coroutine that the task has, as it stands by
    cdef Py_ssize_t to_rest
    cdef Py_ssize_t to_task
    cdef Py_ssize_t to_context
    cdef object wakeup          # has the task go on
    cdef object coroutine
    cdef object awaited         # what the coroutine waits for, and the task does not know yet
    cdef object value           # what it returned
    cdef object error           # what it raised
    cdef int stage
    cdef bint cancelled         # in the coroutine's first step
    cdef bint stands            # it can serve again

    cdef bint is_free(self) except -1
    cdef bint is_idle(self) noexcept
    cdef int begin(self, object application, dict scope, object receive, object send) except -1
    cdef int go_on(self) except -1
    cdef int leave(self) except -1
    cdef bint _is_unknown(self) except -1
    cdef bint _is_untouched(self) except -1
    cdef int _forget(self) except -1
    cdef int _wake(self) except -1

cdef PyObject* step(PyObject* coroutine) except? NULL
cdef bint can_stand_by(object loop) except -1
cdef Standby stand_by(object loop, object pristine)
cdef object own_task(object loop, object pristine, object application, dict scope, object receive, object send)
