from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.store import Store, open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with open_store(str(path), supervisor=True) as opened:
        yield opened


@pytest.fixture
def client(store: Store) -> Iterator[Store]:
    with open_store(str(store.path)) as opened:
        yield opened
