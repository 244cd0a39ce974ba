"""Our package names are not ours alone."""

import sys
from pathlib import Path

import pytest

from tests.tree import PACKAGES, ROOT
from workers import names


@pytest.mark.parametrize("name", PACKAGES)
def test_ours_is_not_foreign(name: str, tmp_path: Path) -> None:
    assert not names.is_foreign(name, [ROOT])
    assert not names.is_foreign(name, [tmp_path])
    assert not names.is_foreign(name, [])
    assert not names.is_foreign(name, [tmp_path / "nowhere"])


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("form", ["{}/__init__.py", "{}.py", "{}/module.py"])
def test_a_package_a_module_and_a_bare_folder_are(name: str, form: str, tmp_path: Path) -> None:
    file = tmp_path / form.format(name)
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert names.is_foreign(name, [tmp_path])


def test_other_names_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "json.py").touch()
    assert not names.is_foreign("json", [tmp_path])


def test_where_nothing_is_foreign_nothing_is_given_up(tmp_path: Path) -> None:
    before = set(sys.modules)
    names.give_up([str(tmp_path), str(ROOT)])
    assert set(sys.modules) == before
