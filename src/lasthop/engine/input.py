# cython: language_level=3, boundscheck=False, wraparound=False
"""`wsgi.input`: the request's body as a file that is read once (PEP 3333, "Input and Error Streams").

Knows lines and sizes; the bytes come from the intake. Nothing is read before the application asks, and no more is held than one block.
"""

import cython
from cython.cimports.lasthop.engine.intake import Intake

_BLOCK = cython.declare(cython.Py_ssize_t, 65536)


@cython.final
@cython.cclass
class Input:
    """Reads the body of one request. Ends where the body ends, however it was framed (`wsgi.input_terminated`).

    A body that breaks off, stalls or is malformed raises an OSError: it never looks complete.
    """

    _intake: Intake
    _ahead: bytes

    def __cinit__(self, intake: Intake):
        self._intake = intake
        self._ahead = b""

    def read(self, size=-1):
        """`size` bytes, or what is left if that is less; all that is left for None or a negative size."""
        wanted: cython.Py_ssize_t = -1 if size is None else size
        block: bytes
        if wanted < 0:
            pieces: list = [self._ahead]
            self._ahead = b""
            while True:
                block = self._intake.read_block(1 << 20)
                if not block:
                    return (
                        b"".join(pieces)
                        if len(pieces) > 2 or pieces[0]
                        else pieces[1]
                        if len(pieces) == 2
                        else b""
                    )
                pieces.append(block)
        if not self._ahead:
            block = self._intake.read_block(wanted)
            if len(block) < wanted and len(block) == 1 << 20:
                return self._read_on([block], wanted - len(block))
            return block
        block = self._ahead[:wanted]
        self._ahead = self._ahead[wanted:]
        if len(block) == wanted:
            return block
        return self._read_on([block], wanted - len(block))

    @cython.cfunc
    def _read_on(self, pieces: list, wanted: cython.Py_ssize_t) -> object:
        block: bytes
        while wanted > 0:
            block = self._intake.read_block(wanted)
            if not block:
                break
            wanted -= len(block)
            pieces.append(block)
        return b"".join(pieces)

    def readline(self, size=-1):
        """A line with its end, or at most `size` bytes of it; b"" at the end of the body."""
        most: cython.Py_ssize_t = -1 if size is None else size
        pieces: list = []
        have: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t
        if most == 0:
            return b""
        while True:
            if not self._ahead:
                self._ahead = self._intake.read_some(_BLOCK)
                if not self._ahead:
                    return b"".join(pieces)
            end = self._ahead.find(b"\n") + 1
            if end == 0:
                end = len(self._ahead)
            if most > 0 and end > most - have:
                end = most - have
            block: bytes = self._ahead[:end]
            self._ahead = self._ahead[end:]
            have += end
            if not pieces and (block.endswith(b"\n") or have == most):
                return block
            pieces.append(block)
            if block.endswith(b"\n") or have == most:
                return b"".join(pieces)

    def readlines(self, hint=-1):
        """The lines that are left; after `hint` bytes of them, no more are read."""
        most: cython.Py_ssize_t = -1 if hint is None else hint
        have: cython.Py_ssize_t = 0
        lines: list = []
        for line in self:
            lines.append(line)
            have += len(line)
            if 0 < most <= have:
                break
        return lines

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def close(self):
        """Nothing to close: the body belongs to the connection."""
