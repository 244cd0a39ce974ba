"""asyncworker unit: what stands in it follows from the installation."""

import itertools
import shlex
import sys
from pathlib import Path

import pytest

from cli.unit import read_by
from cli.unitfile import Installation, quoted, unit_file
from supervisor.jobtypes.parse import parse_job_types
from supervisor.settings import Locations
from supervisor.units import period
from tests.cli.commandline import ONLY_THE_STORE
from tests.cli.commandline import Installation as Place


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def value(text: str, name: str) -> str:
    (found,) = [line.partition("=")[2] for line in lines(text) if line.startswith(f"{name}=")]
    return found


@pytest.mark.parametrize(
    "argument,word",
    [
        ("/opt/a/b", "/opt/a/b"),
        ("with space", '"with space"'),
        ("100%", "100%%"),
        ("$HOME", "$$HOME"),
        ('say "x"', r'"say \"x\""'),
        ("back\\slash", r'"back\\slash"'),
        ("", '""'),
    ],
)
def test_words_stand_for_themselves(argument: str, word: str) -> None:
    assert quoted(argument) == word


def test_the_time_to_stop_is_longer_than_drain_and_grace_together() -> None:
    text = unit_file(Installation(("x",), drain=300.0, grace=45.0))
    assert int(value(text, "TimeoutStopSec")) > 345


def test_homes_and_temporary_folders_are_hidden_unless_something_of_ours_is_there() -> None:
    apart = unit_file(Installation(("x",), reads=(Path("/opt/x"),), writes=(Path("/srv/x"),)))
    assert (value(apart, "ProtectHome"), value(apart, "PrivateTmp")) == ("yes", "yes")
    assert value(apart, "ReadWritePaths") == "-/srv/x"
    inside = unit_file(Installation(("x",), reads=(Path("/home") / "x",), writes=(Path("/tmp/x"),)))
    assert value(inside, "ProtectHome") == "read-only"
    assert "PrivateTmp" not in inside
    assert "ReadWritePaths=/tmp /var/tmp" in inside


def test_capabilities_are_dropped_where_there_is_a_user_and_kept_for_run_as() -> None:
    assert value(unit_file(Installation(("x",), user="jobs")), "CapabilityBoundingSet") == ""
    as_root = unit_file(Installation(("x",), needs_root=True))
    assert "CapabilityBoundingSet" not in as_root
    assert "run_as" in as_root


def test_for_a_users_manager_there_is_no_sandbox_and_another_target() -> None:
    text = unit_file(Installation(("x",), for_system=False, own_state=True))
    assert not [line for line in lines(text) if line.startswith(("Protect", "Private", "User", "StateDir"))]
    assert value(text, "WantedBy") == "default.target"


@ONLY_THE_STORE
def test_options_of_serve_are_carried_over(installation: Place) -> None:
    done = installation.run(
        "unit", "--drain-timeout", "5m", "--token-file", "token", "--keep-failed", "forever"
    )
    assert done.code == 0, done.err
    words = shlex.split(value(done.out, "ExecStart"))
    assert words[1] == "serve"
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert given["--drain-timeout"] == "300"
    assert given["--keep-failed"] == "forever"
    assert given["--token-file"].startswith("/")
    assert given["--config"] == str(installation.config)
    assert "systemctl daemon-reload" in done.err


@ONLY_THE_STORE
def test_a_duration_of_the_unit_is_the_one_that_was_given(installation: Place) -> None:
    written = ("--drain-timeout", "15d"), ("--keep-completed", "1234567.25"), ("--keep-failed", "60d")
    for given in ({**dict(written), "--keep-cancelled": last} for last in ("0.01ms", "1m0.000000001ms")):
        done = installation.run("unit", *itertools.chain(*given.items()))
        assert done.code == 0, done.err
        words = shlex.split(value(done.out, "ExecStart"))
        printed = {option: period(words[words.index(option) + 1]) for option in given}
        assert printed == {option: period(text) for option, text in given.items()}
        assert "The drain (1296000 s)" in done.out


@ONLY_THE_STORE
@pytest.mark.parametrize("named", ["apart/foo.db", "sqlite:///apart/foo.db"])
def test_a_relative_database_is_the_one_in_the_folder_of_the_caller(installation: Place, named: str) -> None:
    done = installation.run("--database", named, "unit")
    assert done.code == 0, done.err
    words = shlex.split(value(done.out, "ExecStart"))
    folder = installation.folder / "apart"
    assert words[words.index("--database") + 1] == str(folder / "foo.db")
    assert f"ReadWritePaths=-{folder}" in lines(done.out)


def printed(monkeypatch: pytest.MonkeyPatch, job_type: str, token_file: str | None = None) -> tuple[str, str]:
    """ProtectHome= and PrivateTmp= where all the rest lies in /opt."""
    for prefix in ("prefix", "base_prefix"):
        monkeypatch.setattr(sys, prefix, "/opt/python")
    at = Locations.resolve("/opt/state", "/opt/jobtypes.yaml", environ={})
    text = f"import_paths: [.]\njob_types: {{Tool: {{max_concurrency: 1, {job_type}}}}}"
    configured = parse_job_types(text, at.config, shown_as="jobtypes.yaml")
    text = unit_file(Installation(("x",), reads=tuple(read_by(at, configured, token_file))))
    return value(text, "ProtectHome"), "yes" if "PrivateTmp=yes" in lines(text) else "no"


@pytest.mark.parametrize(
    "folder, expected",
    [
        ("/opt/x", ("yes", "yes")),
        ("/home/x", ("read-only", "yes")),
        ("/run/user/x", ("read-only", "yes")),
        ("/tmp/x", ("yes", "no")),
        ("/var/tmp/x", ("yes", "no")),
    ],
)
def test_what_the_service_or_a_job_reads_is_not_hidden(
    folder: str, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(monkeypatch, "command: [cat]", f"{folder}/token") == expected
    for job_type in (
        f"command: [{folder}/tool, fast]",
        f"command: [..{folder}/tool]",
        f"command: [python3, {folder}/tool.py]",
        f"command: [cat], sandbox: {{read_only: [/usr, {folder}]}}",
    ):
        assert printed(monkeypatch, job_type) == expected


def test_where_a_link_leads_is_not_hidden_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "link"
    link.symlink_to("/home/x")
    assert printed(monkeypatch, f"command: [{link}/tool]")[0] == "read-only"
    assert printed(monkeypatch, "command: [cat]", f"{link}/token")[0] == "read-only"


@ONLY_THE_STORE
def test_an_option_that_serve_does_not_have_is_refused(installation: Place) -> None:
    done = installation.run("unit", "--drain", "5m")
    assert done.code == 2
    assert "--drain-timeout" in done.err


@ONLY_THE_STORE
def test_job_types_with_mistakes_are_refused(installation: Place) -> None:
    installation.config.write_text("job_types: [")
    assert installation.run("unit").code == 2
