"""The family of errors: facts in, text, hint and exit code out."""

from __future__ import annotations

import inspect

from lasthop import errors
from lasthop.errors import LasthopError, ListenError, SettingError, UnknownSetting


def family() -> list[type[LasthopError]]:
    return [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, LasthopError)]


def test_every_error_says_which_exit_code_it_gives() -> None:
    assert {1, 2, 4} == {each.exit_code for each in family()}


def test_every_error_says_what_it_is() -> None:
    assert [] == [each.__name__ for each in family() if not each.__doc__]


def test_the_text_has_the_hint_on_a_line_of_its_own() -> None:
    error = ListenError("127.0.0.1:80", "port 80 is taken", "another port")
    assert "cannot listen on 127.0.0.1:80: port 80 is taken\n  hint: another port" == str(error)


def test_without_a_hint_the_text_is_one_line() -> None:
    error = SettingError("workers", 0, "LASTHOP_WORKERS", "it must be 1 or more")
    assert "workers is 0 (LASTHOP_WORKERS), but it must be 1 or more" == str(error)


def test_facts_stay_facts() -> None:
    error = UnknownSetting("wrokers", "lasthop.toml", ["workers"])
    assert ("wrokers", ("workers",), "did you mean workers?") == (error.name, error.nearest, error.hint)
