# What comes back, in C.
from libc.stdint cimport uint32_t

from lasthop.engine.loadline cimport Line, Run

cdef void handle(Run* run, Line* line, uint32_t events) noexcept nogil
