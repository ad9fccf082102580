"""The declaration itself: complete, consistent, and checked from Python as from everywhere else."""

from __future__ import annotations

import dataclasses

import pytest

from lasthop.errors import SettingError, SettingsConflict
from lasthop.settings import NAMES, Settings, default_of, kind_of, option_of, says_of, variable_of
from lasthop.sources import _SERVICE, PREFIX


def test_defaults_are_right_by_their_own_rules() -> None:
    assert {name: default_of(name) for name in NAMES} == dataclasses.asdict(Settings())


@pytest.mark.parametrize("name", NAMES)
def test_a_default_that_is_written_reads_back_as_the_same(name: str) -> None:
    kind, default = kind_of(name), default_of(name)
    if default not in (None, ()):
        shown = kind.show(default)
        assert default == kind.read(shown.split() if kind.many else shown)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_is_in_one_sentence(name: str) -> None:
    short = says_of(name).short
    assert short
    assert not short.endswith(".")
    assert "\n" not in short


def test_options_letters_and_variables_are_unique() -> None:
    words = [
        word
        for name in NAMES
        for word in (option_of(name), variable_of(name), says_of(name).letter, says_of(name).alias)
        if word
    ]
    assert len(set(words)) == len(words)


def test_no_setting_has_a_name_that_kubernetes_gives_to_services() -> None:
    assert [] == [name for name in NAMES if _SERVICE.fullmatch(variable_of(name).removeprefix(PREFIX))]


def test_python_may_give_what_the_command_line_may() -> None:
    settings = Settings(timeout="2m", limit_request_body="64k", bind=["unix:/run/app.sock"])  # type: ignore[arg-type]
    assert (120.0, 65536, ("unix:/run/app.sock",)) == (
        settings.timeout,
        settings.limit_request_body,
        settings.bind,
    )


def test_python_is_refused_what_the_command_line_is_refused() -> None:
    with pytest.raises(
        SettingError,
        match=r"workers is 0 \(given in Python\), but it must be a whole number, 1 or more, or auto",
    ):
        Settings(workers=0)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().workers = 2  # type: ignore[misc]


def test_jitter_without_what_it_is_added_to_is_refused() -> None:
    with pytest.raises(SettingsConflict) as caught:
        Settings(max_requests_jitter=10)
    assert ("max_requests_jitter", "max_requests") == caught.value.settings


@pytest.mark.parametrize("part", ["limit_request_line", "limit_request_field_size"])
def test_a_line_longer_than_the_head_is_refused(part: str) -> None:
    with pytest.raises(SettingsConflict, match=part):
        Settings(**{part: 100_000})  # type: ignore[arg-type]
