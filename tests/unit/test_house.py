"""The rules of the house that no linter knows."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.tree import PACKAGES, ROOT, project_files

FILES = project_files()
OURS = [path for path in FILES if path.suffix == ".py" and path.parts[0] in {*PACKAGES, "asyncworker.py"}]

LONGEST_FILE = 250
LONGEST_FUNCTION = 40
PUBLISHED = Path("supervisor/store/migrations/versions")
"""A migration is as long as the schema it makes, and nobody may touch it afterwards."""

VAGUE = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}

NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}

# In pieces, so that this file does not contain what it looks for.
REGISTRIES = re.compile(
    "|".join(["py" + r"pi\.(?:org|python)", "python" + r"hosted\.org", "npm" + r"js\.(?:org|com)"])
)
SOMEBODYS_HOME = re.compile(r"(?<![\w.}-])/(?:" + "ro" + r"ot|ho" + r"me/[\w.-]+|Us" + r"ers/[\w.-]+)/")


def code_lines(source: str) -> int:
    """Lines with code on them: not blank, no comment, no docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def long_functions(source: str) -> list[tuple[str, int]]:
    functions = (
        n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lengths = ((function.name, (function.end_lineno or 0) - function.lineno + 1) for function in functions)
    return [(name, length) for name, length in lengths if length > LONGEST_FUNCTION]


def test_no_file_is_longer_than_one_can_read_at_a_sitting() -> None:
    lengths = {str(path): code_lines((ROOT / path).read_text()) for path in OURS}
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    ours = [path for path in OURS if PUBLISHED not in path.parents]
    too_long = {str(path): long_functions((ROOT / path).read_text()) for path in ours}
    assert {path: functions for path, functions in too_long.items() if functions} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in OURS if VAGUE & {*path.parts[:-1], path.stem}] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_whose_it_is(package: str) -> None:
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    assert 'DISTRIBUTION = "asyncworker"' in {
        ast.unparse(node).replace("'", '"') for node in tree.body if isinstance(node, ast.Assign)
    }


@pytest.mark.parametrize("pattern", [REGISTRIES, SOMEBODYS_HOME], ids=["package registry", "somebody's home"])
def test_no_file_depends_on_a_place_outside(pattern: re.Pattern[str]) -> None:
    texts = {str(path): (ROOT / path).read_text(errors="replace") for path in FILES}
    found = {path: pattern.findall(text) for path, text in texts.items()}
    assert {path: matches for path, matches in found.items() if matches} == {}


def test_the_service_keeps_nothing_in_a_temporary_folder_that_others_may_fill_or_clear() -> None:
    """But for the trial of a sandbox, which is thrown away with its folder."""
    users = [
        path.relative_to(ROOT).as_posix()
        for package in ("supervisor", "workers")
        for path in sorted((ROOT / package).rglob("*.py"))
        if re.search(r"^\s*(import|from) tempfile\b|gettempdir", path.read_text(), re.MULTILINE)
    ]
    assert users == ["workers/abilities.py"]
