# cython: language_level=3
"""What forking in the application means for the engine: it is noticed here, by the hooks of `os.register_at_fork`.

A child has copies of every descriptor and of the epoll set. It must never serve from them; and while it lives, close() in the parent does not
end a connection for the peer.
"""

import os

import cython

_generation = cython.declare(cython.int, 0)
_forked = cython.declare(cython.bint, False)


def _in_child() -> None:
    global _generation, _forked
    _generation += 1
    _forked = False


def _in_parent() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_in_child, after_in_parent=_in_parent)


def generation():
    return _generation


def has_forked():
    return _forked
