"""Distributions are built once; environments are real, and without a network."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.environment import HERMETIC, Environment
from tests.packaging.theirs import build_wheel
from tests.tree import ROOT, project_files


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the project."""
    folder = tmp_path_factory.mktemp("checkout")
    for file in project_files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    return folder


@pytest.fixture(scope="session")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from the sdist."""
    folder = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(checkout)]
    subprocess.run(build, env=HERMETIC, check=True, capture_output=True, text=True)
    return folder


@pytest.fixture(scope="session")
def ours(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    (archive,) = built.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="session")
def editable(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install -e` makes and installs (PEP 660); it leads back to the checkout."""
    folder = tmp_path_factory.mktemp("editable")
    hook = f"from setuptools import build_meta; build_meta.build_editable({os.fspath(folder)!r})"
    subprocess.run([sys.executable, "-c", hook], cwd=checkout, env=HERMETIC, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Environment]:
    return lambda: Environment(tmp_path_factory.mktemp("environment"))
