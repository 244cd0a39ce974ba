from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.api.server import HttpServer
from tests.cli.commandline import Installation, PlayedService


@pytest.fixture(scope="module")
def shared_installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("http"))


@pytest.fixture(scope="module")
def service(shared_installation: Installation) -> Iterator[PlayedService]:
    """This test process, on record as the live supervisor."""
    played = PlayedService(shared_installation)
    yield played
    played.store.close()


@pytest.fixture(scope="module")
def server(shared_installation: Installation, service: PlayedService) -> Iterator[HttpServer]:
    """One for all tests of a module: a start takes more than a second."""
    started = HttpServer(shared_installation)
    yield started
    started.close()
    assert " failed: " not in started.log, started.log  # no 500, in any test


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """One of its own."""
    return Installation(tmp_path)


@pytest.fixture
def played(installation: Installation) -> Iterator[PlayedService]:
    """With an empty database, and this test process as the live supervisor."""
    service = PlayedService(installation)
    yield service
    service.store.close()


@pytest.fixture
def start(installation: Installation, played: PlayedService) -> Iterator[Callable[..., HttpServer]]:
    """Start a server of one's own."""
    with ExitStack() as stack:

        def started(*arguments: Any, **more: Any) -> HttpServer:
            server = HttpServer(installation, *arguments, **more)
            stack.callback(server.close)
            return server

        yield started
