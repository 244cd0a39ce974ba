"""What README and docs say about names, keys, commands and pictures is compared with the code."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

import asyncworker
from cli.main import asyncworker as command_line
from supervisor.client import Client
from supervisor.jobtypes import keys
from supervisor.jobtypes.load import load
from supervisor.journal import Event
from supervisor.lifecycle import ENDED, NEXT, FailureKind, JobStatus
from tests.tree import PACKAGES, ROOT

README = (ROOT / "README.md").read_text()
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
ALL = {"README.md": README, **DOCS}

VERBS: Mapping[str, click.Command] = command_line.commands
PLACES = {"--state-dir", "--config", "--database"}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> dict[str, list[str]]:
    """Table rows by the code in their first cell: `| `key` | a | b |` -> {"key": ["a", "b"]}."""
    found = re.findall(r"^\| `([^`]+)` \|(.*)\|$", text, re.MULTILINE)
    return {key: [cell.strip() for cell in rest.split(" | ")] for key, rest in found}


def named(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", text))


def options(verb: str) -> set[str]:
    return {name for each in VERBS[verb].params if isinstance(each, click.Option) for name in each.opts}


# Commands


@pytest.mark.parametrize("page", ALL)
def test_every_command_mentioned_exists(page: str) -> None:
    mentioned = set(re.findall(r"(?<!from )\basyncworker ([a-z]+)", ALL[page]))
    assert mentioned <= VERBS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_row_in_the_readme_with_options_that_exist(verb: str) -> None:
    (row,) = re.findall(rf"^\| `asyncworker {verb}\b.*$", README, re.MULTILINE)
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", row)) <= options(verb)


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - {"serve"}))
def test_every_option_of_a_verb_is_in_its_row(verb: str) -> None:
    (row,) = re.findall(rf"^\| `asyncworker {verb}\b.*$", README, re.MULTILINE)
    own = options(verb) - PLACES - {"--json"}
    long_or_short = [each.opts for each in VERBS[verb].params if isinstance(each, click.Option)]
    missing = [names for names in long_or_short if own & {*names} and not any(name in row for name in names)]
    assert missing == []


def test_the_verbs_with_json_are_listed() -> None:
    (sentence,) = re.findall(r"([^.]*) take `--json`", README)
    assert named(sentence) == {verb for verb in VERBS if "--json" in options(verb)}


def test_every_option_of_serve_is_explained_to_operators() -> None:
    explained = rows(DOCS["operations.md"])
    assert options("serve") - PLACES <= explained.keys()


def test_every_make_target_is_in_the_readme() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [target for target in targets if f"`make {target}`" not in README] == []


# Job types


def documented_keys() -> set[str]:
    """The first column of the tables of keys."""
    tables = re.findall(r"^\| key \|.*\n((?:\|.*\n)+)", DOCS["jobtypes.md"], re.MULTILINE)
    return {key for table in tables for key in rows(table)}


def existing_keys() -> set[str]:
    nested = {"retries": keys.RETRIES, "limits": keys.LIMITS, "run_as": keys.RUN_AS}
    nested |= {"env": keys.ENV, "sandbox": keys.SANDBOX}
    plain = keys.JOB_TYPE.keys() - nested.keys()
    return {*plain, *(f"{key}.{part}" for key, parts in nested.items() for part in parts)}


def test_every_key_of_a_job_type_is_documented() -> None:
    assert documented_keys() - {"import_paths", "defaults", "job_types"} == existing_keys()


def test_the_job_types_in_the_readme_are_valid(tmp_path: Path) -> None:
    types, more_keys = blocks(README, "yaml")
    file = tmp_path / "jobtypes.yaml"
    file.write_text(types + more_keys)
    assert [*load(file).types] == ["Resize", "Count"]


def test_the_job_types_of_the_demo_are_valid() -> None:
    types = load(ROOT / "deploy" / "demo.yaml").types
    assert {name: each.max_concurrency for name, each in types.items()} == {
        name: each.max_concurrency for name, each in load(ROOT / "jobtypes.yaml").types.items()
    }


# Python


def test_python_in_the_docs_imports_what_is_public_and_nothing_else() -> None:
    imported = [
        (node.module, alias.name)
        for text in ALL.values()
        for block in blocks(text, "python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert {module for module, _ in imported} == {"asyncworker"}
    assert {name for _, name in imported} <= {*asyncworker.__all__}


def test_the_handler_in_the_readme_runs() -> None:
    handler = next(block for block in blocks(README, "python") if "def resize" in block)
    names: dict[str, Any] = {}
    exec(compile(handler, "README.md", "exec"), names)
    progress: list[float] = []
    job = SimpleNamespace(
        options={"width": 800}, progress=lambda fraction, _message: progress.append(fraction)
    )
    assert names["resize"]({"names": ["a", "b"]}, job) == {"resized": 2}
    assert progress == [0.5, 1.0]


def test_the_methods_of_the_client_are_listed() -> None:
    (sentence,) = re.findall(r"`Client` has (.*?)\. ", README.replace("\n", " "))
    public = {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    assert named(sentence) == public


# Structure


def test_every_module_is_named_in_the_architecture_and_every_module_named_exists() -> None:
    modules = {
        path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }
    in_table = {key for key in rows(DOCS["architecture.md"]) if key.endswith(".py")}
    assert in_table == modules | {"asyncworker.py"}


def test_every_log_event_is_explained_with_its_level() -> None:
    explained = {name: cells[0] for name, cells in rows(DOCS["operations.md"]).items()}
    assert {event.name.lower(): event.value[0] for event in Event}.items() <= explained.items()


@pytest.mark.parametrize("page", ALL)
def test_every_link_leads_somewhere(page: str) -> None:
    folder = ROOT if page == "README.md" else ROOT / "docs"
    links = [link for link in re.findall(r"\]\(([^)#]+)", ALL[page]) if "://" not in link]
    assert [link for link in links if not (folder / link).exists()] == []


def test_every_test_that_the_reliability_page_counts_on_exists() -> None:
    counted_on = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCS["reliability.md"]))
    assert counted_on
    missing = [
        (file, name)
        for file, name in sorted(counted_on)
        if not (ROOT / file).exists() or f"def {name}" not in (ROOT / file).read_text()
    ]
    assert missing == []


# The lifecycle


def picture() -> str:
    """NEXT as Mermaid."""
    lines = ["stateDiagram-v2", f"    [*] --> {JobStatus.PENDING}"]
    lines += [
        f"    {before} --> {after}" for before, nexts in NEXT.items() for after in JobStatus if after in nexts
    ]
    lines += [f"    {status} --> [*]" for status in JobStatus if status in ENDED]
    return "\n".join(lines) + "\n"


def test_the_picture_of_the_lifecycle_is_that_of_the_code() -> None:
    assert blocks(DOCS["lifecycle.md"], "mermaid") == [picture()]


def test_every_status_and_failure_kind_is_explained() -> None:
    explained = rows(DOCS["lifecycle.md"])
    assert {*map(str, JobStatus), *map(str, FailureKind)} <= explained.keys()
