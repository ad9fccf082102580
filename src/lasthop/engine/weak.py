# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""How many weak references there are to an object: who serves again must be as unknown weakly as it is otherwise.

As `weakref.getweakrefcount` has it, at a tenth of its cost: it is asked several times a request.
"""

import cython
from cython.cimports.lasthop.engine.linux import PyWeakReference, Type


def count_weak(held):
    count: cython.Py_ssize_t = 0
    at: cython.p_char = cython.cast(cython.p_char, held)
    offset: cython.Py_ssize_t = Type(cython.cast(object, held)).tp_weaklistoffset
    link: cython.pointer(PyWeakReference)
    if offset == 0:
        return 0  # there can be none
    link = cython.cast(cython.pointer(cython.pointer(PyWeakReference)), at + offset)[0]
    while link != cython.NULL:
        count += 1
        link = link.wr_next
    return count
