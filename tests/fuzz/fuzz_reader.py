#!/usr/bin/env python3
"""Looks for bytes that the reader reads wrongly: atheris (libFuzzer) on `RequestReader`, `fuzz_reader.py -max_total_time=600 DIRECTORY`.

The bytes are chosen by what they reach in the compiled reader, so it has to be a build with coverage counters: `run.py` makes one and
calls this program. `check` is what is held to be true of all bytes; a test replays the kept corpus with it.
"""

import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from lasthop.http1 import Limits, RequestReader, head  # noqa: E402
from tests.http1.excuses import excuse_for  # noqa: E402
from tests.http1.feeding import SMALL, at_random, byte_by_byte, check_shape, whole  # noqa: E402
from tests.http1.opinions import differences  # noqa: E402

LIMITS = (Limits(), SMALL)


def check(data: bytes) -> None:
    """No exception; the same events however the bytes are cut; whatever is accepted, h11 and llhttp read alike."""
    seed = zlib.crc32(data)  # the cuts have to be the same each time that the same bytes come
    for limits in LIMITS:
        result = whole(data, limits)
        check_shape(result)
        for other in (byte_by_byte(data, limits), at_random(data, limits, seed)):
            if other != result:
                raise AssertionError(f"cut, it is {other}; whole, it is {result}")
    if any(event[0] == "head" for event in RequestReader(Limits()).feed(data)):
        found = [difference for difference in differences(data) if excuse_for(difference, data) is None]
        if found:
            raise AssertionError(f"read otherwise: {found}")


def main() -> None:
    if b"__sanitizer_cov" not in Path(head.__file__).read_bytes():
        sys.exit(
            f"fuzz_reader: {head.__file__} has no coverage counters, so nothing would be learnt from an input.\n"
            "Run tests/fuzz/run.py with the same arguments: it builds a reader that has them, and runs this program on it."
        )
    import atheris

    # -merge runs this program again and again, by the words of argv[0] as a shell reads them.
    atheris.Setup([f"{sys.executable} {sys.argv[0]}", *sys.argv[1:]], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
