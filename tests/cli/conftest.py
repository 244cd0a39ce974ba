import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.main import run
from supervisor.client import Client
from supervisor.ways.straight import StoreWay
from supervisor.ways.through import SocketWay
from tests.cli.commandline import Answer, Installation, PlayedService, way_of
from tests.cli.httpserver import HttpServer, emptied, serving


@pytest.fixture(scope="module", params=["store", "socket"])
def way(request: pytest.FixtureRequest) -> str:
    """Every verb is tested both ways; a test that is about one way says so with ONLY_THE_STORE."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def server(way: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer | None]:
    """One for all tests of a module."""
    if way == "store":
        yield None
        return
    with serving(Installation(tmp_path_factory.mktemp("served"), way)) as started:
        yield started


@pytest.fixture
def installation(server: HttpServer | None, tmp_path: Path) -> Installation:
    if server is None:
        return Installation(tmp_path)
    emptied(server.installation)
    return Installation(server.installation.folder, "socket")


@pytest.fixture
def straight_too() -> None:
    """For what REST does not offer, and the command line therefore asks the store."""


@pytest.fixture
def asyncworker(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Answer]]:
    """Run a command in this process: a third of a second faster, where isolation does not matter."""
    for name in ("ASYNCWORKER_STATE_DIR", "ASYNCWORKER_CONFIG", "COLUMNS", "TZ"):
        monkeypatch.setenv(name, installation.environment[name])
    monkeypatch.chdir(installation.folder)
    if installation.way == "socket" and "straight_too" not in request.fixturenames:
        monkeypatch.setattr(Client, "_straight", _forbidden)

    def command(*words: str) -> Answer:
        capfd.readouterr()
        code = run(words)
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    yield command
    _stop_listening()


def _stop_listening() -> None:
    """A command that was told to say more writes to the standard error of its own test, closed by then."""
    logger = logging.getLogger("asyncworker")
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


def _forbidden(*_: object, **__: object) -> None:
    pytest.fail("it did not go through the socket")


@pytest.fixture
def service(installation: Installation) -> Iterator[PlayedService]:
    played = PlayedService(installation)
    yield played
    played.store.close()


@pytest.fixture
def through(installation: Installation) -> Iterator[Client]:
    """A client that goes through the socket."""
    with Client(installation.state_dir, installation.config) as client:
        assert isinstance(way_of(client), SocketWay)
        yield client


@pytest.fixture
def straight(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client that found nobody at the socket."""
    with Client(installation.state_dir, installation.config) as client:
        with monkeypatch.context() as patched:
            patched.setattr("supervisor.client.through_the_socket", lambda *_: None)
            client.has_supervisor()
        assert isinstance(way_of(client), StoreWay)
        yield client
