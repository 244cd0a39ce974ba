"""Our names are not ours alone: either everything works, or one sentence says what to do.

The environments have none of our dependencies, so whatever passes here has imported nothing heavy.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.environment import Environment

pytestmark = pytest.mark.packaging

GUARD = ("python", "-P", "-c", "import asyncworker; asyncworker.check_names()")
ENTRIES = [
    ("asyncworker", "version"),
    ("python", "-P", "-m", "asyncworker"),
    ("python", "-P", "-m", "supervisor"),
    GUARD,
]
TAKEN = [
    "ours, theirs",
    "editable, theirs",
    "theirs, editable",
    "ours, theirs, theirs removed",
    "theirs, ours, theirs removed",
]
IMPORT = ("python", "-P", "-c", "from asyncworker import Client")


@pytest.fixture(scope="module")
def wheel_environment(new_environment: Callable[[], Environment], ours: Path) -> Environment:
    environment = new_environment()
    environment.install(ours)
    return environment


@pytest.fixture(scope="module")
def editable_environment(new_environment: Callable[[], Environment], editable: Path) -> Environment:
    environment = new_environment()
    environment.install(editable)
    return environment


def assert_quiet(run: subprocess.CompletedProcess[str]) -> None:
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def assert_one_sentence(run: subprocess.CompletedProcess[str], *mentioned: str) -> None:
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("asyncworker: ")
    assert run.stderr.endswith(".\n")
    assert run.stderr.count("\n") == 1
    assert [
        words for words in ("virtual environment of its own", *mentioned) if words not in run.stderr
    ] == []


@pytest.fixture(scope="module")
def installed(
    request: pytest.FixtureRequest,
    new_environment: Callable[[], Environment],
    ours: Path,
    editable: Path,
    theirs: Path,
) -> Environment:
    """An environment after the steps that the test names."""
    environment = new_environment()
    for step in request.param.split(", "):
        if step == "theirs removed":
            environment.uninstall("supervisor")
        else:
            environment.install({"ours": ours, "editable": editable, "theirs": theirs}[step])
    return environment


@pytest.mark.parametrize(
    "installed", ["theirs, ours", "ours, theirs, ours", "theirs, editable, ours"], indirect=True
)
def test_what_left_us_whole_works(installed: Environment) -> None:
    assert_quiet(installed.run(*GUARD))


@pytest.mark.parametrize("installed", TAKEN, indirect=True)
def test_what_took_our_supervisor_is_named_at_every_entry(installed: Environment) -> None:
    for entry in ENTRIES:
        run = installed.run(*entry)
        assert_one_sentence(run, "'supervisor'", str(installed.site_packages / "supervisor"))
        assert "PYTHONPATH" not in run.stderr


@pytest.mark.parametrize("installed", ["ours, theirs"], indirect=True)
def test_an_import_of_the_public_face_says_it_too(installed: Environment) -> None:
    run = installed.run(*IMPORT)
    assert "ImportError: " + str(installed.site_packages / "supervisor") in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("installed", ["editable, theirs, theirs removed"], indirect=True)
def test_an_editable_installation_is_whole_again_without_them(installed: Environment) -> None:
    assert_quiet(installed.run(*GUARD))


def test_a_missing_package_is_named(new_environment: Callable[[], Environment], ours: Path) -> None:
    environment = new_environment()
    environment.install(ours)
    shutil.rmtree(environment.site_packages / "cli")
    assert_one_sentence(environment.run("asyncworker", "version"), "'cli' is missing")


@pytest.fixture(params=["wheel_environment", "editable_environment"])
def environment(request: pytest.FixtureRequest) -> Environment:
    found: Environment = request.getfixturevalue(request.param)
    return found


def test_alone_we_are_quiet(environment: Environment) -> None:
    assert_quiet(environment.run(*GUARD))


@pytest.mark.parametrize("name", ["supervisor", "workers", "cli"])
@pytest.mark.parametrize("text", ["", "print('hello')", "1 / 0", "raise SystemExit(7)", "not Python"])
def test_a_package_of_the_users_on_pythonpath_is_named(
    wheel_environment: Environment, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text(text)
    run = wheel_environment.run("asyncworker", "version", pythonpath=tmp_path)
    run.stdout = ""  # what their package prints is theirs
    assert_one_sentence(run, f"'{name}'", str(tmp_path / name), "off PYTHONPATH")


def test_a_script_of_the_users_called_cli_is_named_and_not_run(
    environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "cli.py").write_text("print('ran')")
    run = environment.run("asyncworker", "version", pythonpath=tmp_path)
    assert_one_sentence(run, "'cli'", str(tmp_path / "cli.py"), "off PYTHONPATH")


def test_a_folder_without_init_on_pythonpath_yields_to_a_wheel(
    wheel_environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "workers").mkdir()
    assert_quiet(wheel_environment.run(*GUARD, pythonpath=tmp_path))


def test_a_folder_without_init_on_pythonpath_hides_an_editable_installation(
    editable_environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "workers").mkdir()
    run = editable_environment.run("asyncworker", "version", pythonpath=tmp_path)
    assert_one_sentence(run, "'workers'", str(tmp_path / "workers"), "no __init__.py", "off PYTHONPATH")


def test_a_package_in_the_current_folder_is_not_seen(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").touch()
    assert_quiet(environment.run(*GUARD, cwd=tmp_path))


def test_a_package_in_the_current_folder_is_named_where_python_looks_there(
    environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").touch()
    run = environment.run("python", "-m", "asyncworker", "version", cwd=tmp_path)
    assert_one_sentence(run, "'workers'", str(tmp_path / "workers"))
