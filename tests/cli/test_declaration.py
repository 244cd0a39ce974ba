"""How every verb is declared, and what that costs."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from cli.main import asyncworker as group
from cli.options import verb
from tests.cli.commandline import Answer, Installation

Command = Callable[..., Answer]


@pytest.fixture(scope="module")
def way() -> str:
    """Nothing here depends on it."""
    return "store"


VERBS = (
    "serve submit status list cancel retry wait logs prune backup types check doctor unit version completion"
).split()


def options() -> Iterator[tuple[str, click.Option]]:
    for command in (group, *group.commands.values()):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield f"{command.name} {parameter.opts[0]}", parameter


def test_the_verbs_are_those_of_the_interface() -> None:
    assert list(group.commands) == VERBS


@pytest.mark.parametrize("name, option", [*options()], ids=lambda each: each if isinstance(each, str) else "")
def test_every_option_is_an_environment_variable_too(name: str, option: click.Option) -> None:
    long = next(spelling for spelling in option.opts if spelling.startswith("--"))
    assert option.envvar == "ASYNCWORKER_" + long[2:].replace("-", "_").upper()


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_takes_the_places_and_explains_itself(name: str) -> None:
    command = group.commands[name]
    assert {"state_dir", "config", "database"} <= {parameter.name for parameter in command.params}
    assert command.help
    assert all(p.help for p in command.params if isinstance(p, click.Option) and p.name != "help")


def test_an_option_that_forgets_its_variable_is_refused_when_it_is_declared() -> None:
    def forgetful(**_: object) -> None: ...

    with pytest.raises(TypeError, match="--forgotten"):
        verb("forgetful")(click.option("--forgotten")(forgetful))


def test_options_are_taken_from_the_environment(installation: Installation) -> None:
    given = {"ASYNCWORKER_JSON": "1", "ASYNCWORKER_PRIORITY": "12"}
    assert installation.run("submit", "EmailJob", given=given).json["priority"] == 12
    assert installation.run("submit", "EmailJob", "--priority", "3", given=given).json["priority"] == 3


def test_a_mistake_in_the_environment_is_wrong_usage(installation: Installation) -> None:
    answer = installation.run("list", given={"ASYNCWORKER_PAGE_SIZE": "many"})
    assert (answer.code, "--page-size" in answer.err) == (2, True)


def test_places_may_stand_before_the_verb_or_after_it_and_win_over_the_environment(
    installation: Installation, asyncworker: Command, tmp_path: Path
) -> None:
    asyncworker("--state-dir", str(tmp_path / "before"), "submit", "EmailJob")
    asyncworker("submit", "EmailJob", "--state-dir", str(tmp_path / "after"))
    asyncworker(
        "--state-dir", str(tmp_path / "x"), "submit", "EmailJob", "--state-dir", str(tmp_path / "both")
    )
    assert [(tmp_path / name / "jobs.db").exists() for name in ("before", "after", "both")] == [True] * 3
    assert not (tmp_path / "x").exists()
    assert not installation.state_dir.exists()


def test_the_database_can_lie_elsewhere(asyncworker: Command, tmp_path: Path) -> None:
    for database in (str(tmp_path / "plain.db"), f"sqlite:///{tmp_path}/url.db"):
        assert asyncworker("submit", "EmailJob", "--database", database).code == 0
        assert asyncworker("list", "--json", "--database", database).json["totalCount"] == 1


def test_the_state_folder_is_its_owners_alone(installation: Installation, asyncworker: Command) -> None:
    asyncworker("submit", "EmailJob")
    assert installation.state_dir.stat().st_mode & 0o777 == 0o700
    assert (installation.state_dir / "jobs.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("words", [["--help"], ["version"], ["submit", "--help"], ["completion", "bash"]])
def test_what_needs_no_database_imports_none(installation: Installation, words: list[str]) -> None:
    program = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "import asyncworker\n"
        "asyncworker.main()"
    )
    installation.command = lambda *words: [sys.executable, "-P", "-c", program, *words]  # type: ignore[method-assign]
    answer = installation.run(*words)
    imported = set(json.loads(answer.err))
    assert answer.code == 0
    assert not imported & {"sqlalchemy", "rich", "alembic", "yaml", "sqlite3", "supervisor.client"}


def test_version_is_one_line(asyncworker: Command) -> None:
    from importlib.metadata import version  # noqa: PLC0415

    assert asyncworker("version") == Answer(0, f"asyncworker {version('asyncworker')}\n", "")


@pytest.mark.parametrize("shell, word", [("bash", "complete "), ("zsh", "compdef"), ("fish", "complete ")])
def test_completion_is_clicks_script(asyncworker: Command, shell: str, word: str) -> None:
    answer = asyncworker("completion", shell)
    assert "_ASYNCWORKER_COMPLETE" in answer.out
    assert word in answer.out


def test_verbs_are_completed(installation: Installation) -> None:
    asked = {"_ASYNCWORKER_COMPLETE": "bash_complete", "COMP_WORDS": "asyncworker ca", "COMP_CWORD": "1"}
    assert installation.run(given=asked).out.split() == ["plain,cancel"]


def test_serve_becomes_the_service_with_everything_in_its_environment(
    installation: Installation, asyncworker: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, words: became.append(words))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    words = ("serve", "--drain-timeout", "1m30s", "--log-format", "json", "--no-http", "--state-dir", "here")
    kept = ("--keep-failed", "forever", "--keep-cancelled", "90s")
    assert asyncworker(*words, *kept).code == 0
    assert became == [[sys.executable, "-P", "-m", "supervisor"]]
    given = {name[12:]: text for name, text in os.environ.items() if name.startswith("ASYNCWORKER_")}
    assert given == {
        "STATE_DIR": str(installation.folder / "here"),
        "CONFIG": str(installation.config),
        "DATABASE": str(installation.folder / "here" / "jobs.db"),
        "DRAIN_TIMEOUT": "90",
        "LOG_FORMAT": "json",
        "HTTP": "",
        "KEEP_COMPLETED": "604800",
        "KEEP_FAILED": "forever",
        "KEEP_CANCELLED": "90",
    }
    assert not (installation.folder / "here").exists()


@pytest.mark.parametrize("words", [("--drain-timeout", "soon"), ("--log-format", "xml"), ("extra",)])
def test_serve_refuses_what_it_cannot_read(
    asyncworker: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it must not start"))
    assert asyncworker("serve", *words).code == 2
