"""What is installed is the project, the whole of it, and nothing else."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging import theirs
from tests.tree import PACKAGES, project_files

pytestmark = pytest.mark.packaging


def source() -> set[str]:
    """What must be installed: the public face and everything in our packages."""
    files = (path for path in project_files() if path.parts[0] in PACKAGES)
    return {"asyncworker.py", *map(str, files)}


@pytest.fixture(scope="module")
def wheel(ours: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(ours)


def test_the_wheel_holds_our_packages_whole_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    installed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert installed == source()


def test_the_wheel_brings_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    info = {Path(name).name: name for name in wheel.namelist() if ".dist-info/" in name}
    assert b"asyncworker = asyncworker:main" in wheel.read(info["entry_points.txt"])
    assert b"The AsyncWorker authors" in wheel.read(info["LICENSE"])


def test_the_sdist_builds_the_same_wheel(sdist: Path) -> None:
    """The wheel looked at above was built from it; here only that it is an archive of ours."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"setup.cfg", "pyproject.toml", "LICENSE"} | source() <= names


def test_nothing_in_supervisor_has_a_name_of_theirs() -> None:
    ours = {Path(path.parts[1]).stem for path in project_files() if path.parts[0] == "supervisor"}
    assert ours & theirs.NAMES == set()
