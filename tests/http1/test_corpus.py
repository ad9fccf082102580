"""Every file of the corpus, fed in every way: what it says must come of it comes of it, however the bytes are cut."""

import re

import pytest

from lasthop.http1 import REFUSALS, RequestReader
from tests.http1.corpus import CORPUS, Case, Events, cases, parse, unescape
from tests.http1.feeding import AFTER, AFTER_EVENTS, at_random, byte_by_byte, fresh_seed, whole

CASES = list(cases())
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@every_case
def test_whole(case: Case) -> None:
    assert whole(case.sent, case.limits) == (case.expected, case.refused)


@every_case
def test_byte_by_byte(case: Case) -> None:
    assert byte_by_byte(case.sent, case.limits) == (case.expected, case.refused)


@every_case
def test_split_at_random(case: Case) -> None:
    for _ in range(5):
        seed = fresh_seed()
        assert at_random(case.sent, case.limits, seed) == (case.expected, case.refused), (
            f"SPLIT_SEED={seed} repeats this"
        )


@pytest.mark.parametrize("case", [case for case in CASES if not case.waits], ids=lambda case: case.name)
def test_with_another_request_behind(case: Case) -> None:
    """What follows a whole request is the next one, and what follows a refusal is not looked at."""
    behind: Events = [] if case.refused else AFTER_EVENTS
    expected = ([*case.expected, *behind], case.refused)
    seed = fresh_seed()
    assert whole(case.sent + AFTER, case.limits) == expected
    assert byte_by_byte(case.sent + AFTER, case.limits) == expected
    assert at_random(case.sent + AFTER, case.limits, seed) == expected, f"SPLIT_SEED={seed} repeats this"


def test_nothing_comes_after_a_refusal() -> None:
    reader = RequestReader()
    assert reader.feed(b"GET\r\n") == [("refused", 400, "bad_request_line")]
    assert (reader.feed(AFTER), reader.closed) == ([], True)


def test_there_are_enough_files_and_each_has_its_own_bytes() -> None:
    assert len(CASES) >= 220
    by_content: dict[tuple[bytes, object], list[str]] = {}
    for case in CASES:
        by_content.setdefault((case.sent, case.limits), []).append(case.name)
    assert [names for names in by_content.values() if len(names) > 1] == []


def test_every_refusal_has_a_file() -> None:
    seen = {case.expected[-1][2] for case in CASES if case.refused}
    assert set(REFUSALS) - seen == set()


def test_every_file_is_read() -> None:
    """No file lies in the corpus under a name that nobody looks at."""
    others = [
        path.relative_to(CORPUS).as_posix()
        for path in CORPUS.rglob("*")
        if path.is_file() and path.suffix != ".http"
    ]
    assert others == ["README.md"]


def test_names_of_files_are_words() -> None:
    assert [
        case.name for case in CASES if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9]+(-[a-z0-9]+)*", case.name)
    ] == []


def test_escapes_say_what_they_say() -> None:
    assert unescape(r"a\r\n\t\\\x00\xff") == b"a\r\n\t\\\x00\xff"
    assert unescape(r"\{3 ab}c") == b"abababc"
    assert unescape(r"\{2 x\{2 y}\r\n}") == b"xyy\r\nxyy\r\n"
    assert unescape("{}") == b"{}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Why.\n----------\nGET \n----------\nwaits\n", "blanks at the end"),
        ("Why.\n----------\nGET\t/\n----------\nwaits\n", "does not print"),
        ("Why.\n----------\n\\q\n----------\nwaits\n", "unknown escape"),
        ("Why.\n----------\n\\{2 x\n----------\nwaits\n", "not closed"),
        ("Why.\n----------\nGET\n", "2 sections"),
        ("No full stop\n----------\n\n----------\nwaits\n", "a sentence that says why"),
        ("Why.\nlimits: lines=3\n----------\n\n----------\nwaits\n", "not a limit"),
        ("Why.\n----------\n\n----------\n", "say `waits`"),
        ("Why.\n----------\n\n----------\nwaits\nend\n", "nothing comes after"),
        ("Why.\n----------\n\n----------\nrefused 500 bad_target\n", "bad_target is 400, not 500"),
        ("Why.\n----------\n\n----------\nhaed GET / HTTP/1.1 no-body keep\n", "no event"),
    ],
)  # fmt: skip
def test_a_file_that_could_be_misread_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse("x/y", text)
