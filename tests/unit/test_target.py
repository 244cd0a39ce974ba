"""'package.module:function' -> the callable, or one sentence that helps."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.target import TargetError, resolve

Writer = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Writer]:
    """Writes modules into the one import path; they are forgotten afterwards."""
    path, modules = list(sys.path), set(sys.modules)

    def written(name: str, text: str) -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    yield written
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_function_of_a_module_of_a_package(write: Writer, tmp_path: Path) -> None:
    write("a_package/module.py", "def function(): return 7")
    assert resolve("a_package.module:function", [tmp_path])() == 7


def test_a_method_of_a_class(write: Writer, tmp_path: Path) -> None:
    write("a_module.py", "class A:\n class B:\n  @staticmethod\n  def c(): return 8")
    assert resolve("a_module:A.B.c", [tmp_path])() == 8


def test_the_import_paths_come_before_everything_and_once(write: Writer, tmp_path: Path) -> None:
    write("a_module.py", "def f(): pass")
    resolve("a_module:f", [tmp_path])
    resolve("a_module:f", [tmp_path])
    assert sys.path[0] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1


PROBLEMS = {
    "no module": (
        "",
        "nowhere:f",
        "there is no module nowhere (looked in {path} and the installed packages)",
    ),
    "no submodule": (
        "",
        "a_module.b:f",
        "there is no module a_module.b (looked in {path} and the installed packages)",
    ),
    "needs another": (
        "import not_there",
        "a_module:f",
        "importing a_module failed: it needs a module not_there, which is not installed",
    ),
    "raises": ("1 / 0", "a_module:f", "importing a_module raised ZeroDivisionError: division by zero"),
    "no function": ("", "a_module:f", "a_module has no f; check the handler in jobtypes.yaml"),
    "no inner": ("class A: pass", "a_module:A.f", "a_module has no A.f; check the handler in jobtypes.yaml"),
    "not callable": ("f = 5", "a_module:f", "a_module:f is not callable: it is a int"),
    "no name": ("", "a_module", "a_module has no ; check the handler in jobtypes.yaml"),
}


@pytest.mark.parametrize("source, target, message", PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_is_one_sentence(
    write: Writer, tmp_path: Path, source: str, target: str, message: str
) -> None:
    write("a_module.py", source)
    with pytest.raises(TargetError) as caught:
        resolve(target, [tmp_path])
    assert str(caught.value).startswith(message.format(path=tmp_path))


def test_what_is_no_exception_passes(write: Writer, tmp_path: Path) -> None:
    write("a_module.py", "raise SystemExit(3)")
    with pytest.raises(SystemExit):
        resolve("a_module:f", [tmp_path])
