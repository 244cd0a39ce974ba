"""One keeper for all the tests of a file that leave it as it was, and one of its own for the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.keeper import TestKeeper, groups_can_be_made, keeper_in


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.processes)


@pytest.fixture(scope="module")
def isolation(request: pytest.FixtureRequest) -> str:
    level: str = getattr(request, "param", "cgroup")
    if hasattr(request, "param") and level == "cgroup" and not groups_can_be_made():
        pytest.skip("no control groups can be made here (version 2, with cgroup.kill)")
    return level


@pytest.fixture(scope="module")
def shared_keeper(tmp_path_factory: pytest.TempPathFactory, isolation: str) -> Iterator[TestKeeper]:
    with keeper_in(tmp_path_factory.mktemp("keeper"), isolation) as keeper:
        yield keeper


@pytest.fixture
def keeper(shared_keeper: TestKeeper) -> TestKeeper:
    """Shared: a test may not hurt it, and waits for the ends of all that it starts."""
    return shared_keeper


@pytest.fixture
def own_keeper(tmp_path: Path, isolation: str) -> Iterator[TestKeeper]:
    with keeper_in(tmp_path, isolation) as keeper:
        yield keeper
