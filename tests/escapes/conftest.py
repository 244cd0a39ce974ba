"""A service of root's and one of an ordinary user's, for all the tests of a file."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escapes.ground import Ground, ground_of


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
        yield ground


@pytest.fixture(scope="module")
def of_ordinary() -> Iterator[Ground]:
    with ground_of(root=False) as ground:
        yield ground
