"""A service of root's and one of an ordinary user's, for all the tests of a file."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escapes.ground import Ground, ground_of
from workers import landlock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.processes)


@pytest.fixture(scope="module")
def of_root() -> Iterator[Ground]:
    if os.getuid() != 0:
        pytest.skip("a service of root's takes root")
    with ground_of(root=True) as ground:
        ground.skip_without_namespaces()
        yield ground


@pytest.fixture(scope="module")
def of_ordinary() -> Iterator[Ground]:
    with ground_of(root=False) as ground:
        ground.skip_without_namespaces()
        yield ground


@pytest.fixture(scope="module")
def of_ordinary_without_namespaces() -> Iterator[Ground]:
    if os.getuid() != 0:
        pytest.skip("only root can forbid namespaces to a user")
    if landlock.version() < landlock.ENOUGH:
        pytest.skip(f"Landlock is of version {landlock.version()}")
    with ground_of(root=False, namespaces=False) as ground:
        yield ground
