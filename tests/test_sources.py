"""Which source wins, and that nothing unknown passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lasthop.errors import SettingError, SettingsFileError, UnknownSetting
from lasthop.foreign import told
from lasthop.settings import NAMES
from lasthop.sources import gather


def test_without_anything_all_values_are_defaults(tmp_path: Path) -> None:
    assert dict.fromkeys(NAMES, "default") == gather({}, {}, tmp_path).origins


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "lasthop.toml"
    file.write_text("[server]\nworkers = 2\nthreads = 2\nbacklog = 2\n")
    found = gather({"workers": "4"}, {"LASTHOP_WORKERS": "3", "LASTHOP_THREADS": "3"}, tmp_path)
    assert (4, 3, 2) == (found.settings.workers, found.settings.threads, found.settings.backlog)
    origins = [found.origins[name] for name in ("workers", "threads", "backlog", "timeout")]
    assert ["--workers", "LASTHOP_THREADS", f"{file} [server]", "default"] == origins
    given = {"workers": "--workers", "threads": "LASTHOP_THREADS", "backlog": f"{file} [server]"}
    assert given == found.settings.given


def test_keys_may_have_dashes_or_underscores(tmp_path: Path) -> None:
    (tmp_path / "lasthop.toml").write_text("[server]\nkeep-alive = 5\ngraceful_timeout = '10s'\n")
    settings = gather({}, {}, tmp_path).settings
    assert (5.0, 10.0) == (settings.keep_alive, settings.graceful_timeout)


def test_a_key_with_both_spellings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lasthop.toml").write_text("[server]\nkeep-alive = 5\nkeep_alive = 6\n")
    with pytest.raises(SettingsFileError, match="twice"):
        gather({}, {}, tmp_path)


def test_pyproject_serves_where_there_is_no_file_of_our_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.lasthop]\nbind = ['unix:/run/app.sock', '127.0.0.1:1']\n")
    assert ("unix:/run/app.sock", "127.0.0.1:1") == gather({}, {}, tmp_path).settings.bind
    (tmp_path / "lasthop.toml").write_text("[server]\n")
    assert ("127.0.0.1:8000",) == gather({}, {}, tmp_path).settings.bind


def test_a_pyproject_that_is_none_of_ours_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("this is not TOML")
    assert "default" == gather({}, {}, tmp_path).origins["bind"]


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_named_file_is_read_instead(tmp_path: Path, by_variable: bool) -> None:
    (tmp_path / "lasthop.toml").write_text("[server]\nworkers = 2\n")
    (tmp_path / "other.toml").write_text("[server]\nthreads = 3\n")
    environment = {"LASTHOP_CONFIG": "other.toml"} if by_variable else {}
    settings = gather({}, environment, tmp_path, None if by_variable else "other.toml").settings
    assert (1, 3) == (settings.workers, settings.threads)


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError, match="No such file"):
        gather({}, {}, tmp_path, "absent.toml")


@pytest.mark.parametrize(
    ("text", "name", "hint"),
    [
        ("[server]\nwrokers = 2\n", "wrokers", "did you mean workers?"),
        ("[servre]\nworkers = 2\n", "[servre]", "did you mean [server]?"),
        ("workers = 2\n", "workers before any table", "did you mean [server] on a line above workers?"),
    ],
)
def test_an_unknown_name_in_the_file_is_refused_with_the_nearest(
    tmp_path: Path, text: str, name: str, hint: str
) -> None:
    (tmp_path / "lasthop.toml").write_text(text)
    with pytest.raises(UnknownSetting) as caught:
        gather({}, {}, tmp_path)
    assert (name, hint) == (caught.value.name, caught.value.hint)


def test_another_servers_option_is_refused_with_what_it_is_called_here(tmp_path: Path) -> None:
    (tmp_path / "lasthop.toml").write_text('[server]\nworker_class = "gthread"\n')
    with pytest.raises(UnknownSetting, match="there is no setting worker_class") as caught:
        gather({}, {}, tmp_path)
    assert told("--worker-class") == caught.value.hint
    with pytest.raises(UnknownSetting, match="there is no setting LASTHOP_HOST") as caught:
        gather({}, {"LASTHOP_HOST": "127.0.0.1"}, Path("/"))
    assert "uvicorn's --host is --bind HOST:PORT here" == caught.value.hint


def test_an_unknown_variable_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownSetting, match="there is no setting LASTHOP_WROKERS") as caught:
        gather({}, {"LASTHOP_WROKERS": "2"}, tmp_path)
    assert "LASTHOP_WORKERS" == caught.value.nearest[0]


def test_what_kubernetes_sets_for_a_service_called_lasthop_is_passed_over(tmp_path: Path) -> None:
    environment = {
        "LASTHOP_SERVICE_HOST": "10.0.0.1",
        "LASTHOP_SERVICE_PORT": "80",
        "LASTHOP_SERVICE_PORT_HTTP": "80",
        "LASTHOP_PORT": "tcp://10.0.0.1:80",
        "LASTHOP_PORT_80_TCP": "tcp://10.0.0.1:80",
        "LASTHOP_PORT_80_TCP_ADDR": "10.0.0.1",
        "LASTHOP_WEB_SERVICE_HOST": "10.0.0.2",
        "LASTHOP_WEB_PORT_80_TCP_PROTO": "tcp",
    }
    assert dict.fromkeys(NAMES, "default") == gather({}, environment, tmp_path).origins


def test_a_variable_with_several_values_is_split(tmp_path: Path) -> None:
    environment = {"LASTHOP_BIND": "127.0.0.1:1, unix:/run/app.sock\n[::1]:2"}
    assert ("127.0.0.1:1", "unix:/run/app.sock", "[::1]:2") == gather({}, environment, tmp_path).settings.bind


def test_an_empty_variable_turns_off_what_the_file_turned_on(tmp_path: Path) -> None:
    (tmp_path / "lasthop.toml").write_text("[server]\naccess_logfile = '-'\n")
    assert None is gather({}, {"LASTHOP_ACCESS_LOGFILE": ""}, tmp_path).settings.access_logfile


def test_an_error_names_the_value_its_source_and_the_rule(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        gather({}, {"LASTHOP_TIMEOUT": "soon"}, tmp_path)
    error = caught.value
    assert ("timeout", "soon", "LASTHOP_TIMEOUT") == (error.setting, error.value, error.source)
    assert (
        "it must be a number of seconds 0 or more, or a duration such as 1500ms, 30s, 2m or 1h30m"
        == error.rule
    )


@pytest.mark.parametrize(
    ("content", "what"), [(b"[server\n", "line 1"), (b"\xff", "UTF-8"), (b"server = 1\n", "not a table")]
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "lasthop.toml").write_bytes(content)
    with pytest.raises(SettingsFileError, match=what):
        gather({}, {}, tmp_path)
