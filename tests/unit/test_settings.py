from pathlib import Path

import pytest

from supervisor.errors import InvalidConfiguration, StoreUnavailable
from supervisor.settings import Locations, Settings
from supervisor.store.dbfile import path_of


def test_what_is_given_wins_over_the_environment() -> None:
    found = Locations.resolve(state_dir="/given", environ={"ASYNCWORKER_STATE_DIR": "/named"})
    assert found.state_dir == Path("/given")


def test_our_variable_wins_over_systemds_and_that_over_xdg() -> None:
    environ = {"XDG_STATE_HOME": "/xdg", "HOME": "/home/me"}
    assert Locations.resolve(environ=environ).state_dir == Path("/xdg/asyncworker")
    environ["STATE_DIRECTORY"] = "/var/lib/one:/var/lib/two"
    assert Locations.resolve(environ=environ).state_dir == Path("/var/lib/one")
    environ["ASYNCWORKER_STATE_DIR"] = "/named"
    assert Locations.resolve(environ=environ).state_dir == Path("/named")


def test_the_database_lies_in_the_state_folder_unless_told_otherwise() -> None:
    assert Locations.resolve(state_dir="/s", environ={}).database == "/s/jobs.db"
    assert (
        Locations.resolve(state_dir="/s", database="sqlite:////x.db", environ={}).database
        == "sqlite:////x.db"
    )


def test_a_relative_database_lies_in_the_folder_that_it_was_named_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for named in ("a/jobs.db", "sqlite:///a/jobs.db", "sqlite+pysqlite:///a/jobs.db"):
        for found in (
            Locations.resolve(state_dir="/s", database=named, environ={}),
            Locations.resolve(state_dir="/s", environ={"ASYNCWORKER_DATABASE": named}),
        ):
            assert path_of(found.database) == tmp_path / "a" / "jobs.db"
            with monkeypatch.context() as elsewhere:
                elsewhere.chdir("/")
                assert path_of(found.database) == tmp_path / "a" / "jobs.db"


@pytest.mark.parametrize("named", [":memory:", "sqlite://", "sqlite:///x?mode=ro", "mysql:///x", "x:///y"])
def test_what_is_no_file_of_a_database_is_refused_as_it_was_written(named: str) -> None:
    found = Locations.resolve(state_dir="/s", database=named, environ={}).database
    assert found == named
    with pytest.raises(StoreUnavailable):
        path_of(found)


def test_the_state_folder_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    where = Locations.resolve(state_dir=tmp_path / "deep" / "state", environ={})
    where.make_state_dir()
    assert where.state_dir.stat().st_mode & 0o777 == 0o700
    assert where.logs.stat().st_mode & 0o777 == 0o700


def test_a_state_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StoreUnavailable, match=r"file/state cannot be used \(Not a directory\); give a folder"
    ):
        Locations.resolve(state_dir=tmp_path / "file" / "state", environ={}).make_state_dir()


def test_durations_and_formats_of_the_environment_are_read() -> None:
    environ = {"ASYNCWORKER_DRAIN_TIMEOUT": "2m", "ASYNCWORKER_LOG_FORMAT": "json", "HOME": "/h"}
    settings = Settings.from_environment(environ)
    assert (settings.drain_timeout, settings.log_format) == (120.0, "json")


@pytest.mark.parametrize(
    "name, value", [("ASYNCWORKER_DRAIN_TIMEOUT", "soon"), ("ASYNCWORKER_LOG_FORMAT", "xml")]
)
def test_a_setting_that_makes_no_sense_is_one_sentence(name: str, value: str) -> None:
    with pytest.raises(InvalidConfiguration, match=name):
        Settings.from_environment({name: value, "HOME": "/h"})


def test_without_any_setting_the_defaults_hold() -> None:
    assert Settings.from_environment({"HOME": "/h"}).drain_timeout == 30.0
