"""Services for the tests of the whole system: real processes, a real database file, real signals."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncworker import Client
from tests.escapes.ground import ordinary
from tests.support.ordinary import UID
from tests.support.service import TYPES, Service, Serving
from tests.support.shim import Shim

MakeService = Callable[..., Service]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated and without a job: what every service but the first finds."""
    folder = tmp_path_factory.mktemp("database")
    with Client(folder, folder / "jobtypes.yaml") as client:
        client.overview()
    return folder / "jobs.db"


@contextlib.contextmanager
def services(folder: Path, empty_database: Path) -> Iterator[MakeService]:
    """Makes them in this folder; all are ended afterwards."""
    made: list[Service] = []

    def make(at: Path = folder, types: dict[str, Any] | None = None, **places: Any) -> Service:
        at.mkdir(parents=True, exist_ok=True)
        service = Service(at, TYPES if types is None else types, **places)
        made.append(service)
        service.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not service.database.exists():
            shutil.copy(empty_database, service.database)
        return service

    yield make
    for service in made:
        service.end()


@pytest.fixture
def make_service(tmp_path: Path, empty_database: Path) -> Iterator[MakeService]:
    with services(tmp_path, empty_database) as make:
        yield make


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """For an ordinary user. Not below the folder of this run, through which nobody but root may pass."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def serve_as_an_ordinary_user(service: Service) -> Serving:
    """One that was made in an `open_folder`, which is that user's from now on."""
    folder, through = service.config.parent, ordinary(namespaces=True)
    for path in [folder, *folder.rglob("*")] if through else []:
        os.chown(path, UID, UID)
    serving = service.serve(*through[1:], *([sys.executable] if through else []), "-P", "-m", "supervisor")
    serving.said("http_listening", 60.0)  # through its socket, so that no file is made by us
    return serving.ready()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For a service that a whole file shares."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def shim(folder: Path) -> Shim:
    return Shim(folder)


@pytest.fixture
def http() -> bool:
    """Whether `service` has an http server: a file of tests that do without says so by its own fixture."""
    return True


@pytest.fixture
def service(make_service: MakeService, *, http: bool) -> Service:
    service = make_service()
    service.http = http
    return service
