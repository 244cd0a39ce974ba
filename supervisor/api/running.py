"""Put the http server together, and run it."""

import asyncio
import errno
import logging
import os
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from supervisor.api.app import application
from supervisor.api.configured import Configured
from supervisor.api.context import Context
from supervisor.api.database import Database
from supervisor.api.feed import Feed
from supervisor.api.reference import Reference
from supervisor.api.server import Server
from supervisor.api.sockets import listen_unix
from supervisor.api.telling import Teller
from supervisor.errors import StoreUnavailable
from supervisor.http_settings import HttpSettings
from supervisor.installed import installed_version
from supervisor.journal import Event
from supervisor.settings import API_SOCKET

_WITHOUT_POLL = 0.1


def run(
    settings: HttpSettings,
    listeners: Sequence[socket.socket],
    teller: Teller,
    parent: int | None,
    told: int | None,
) -> bool:
    """Until it is stopped: whether a thread is still at work then."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Patient())) as runner:
        return runner.run(_run(settings, [*listeners], teller, parent, told))


class _Patient(selectors.EpollSelector):
    """Where the kernel has no memory for its own table, nothing has come yet: the next turn looks again."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        try:
            return super().select(timeout)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            time.sleep(_WITHOUT_POLL if timeout is None else min(timeout, _WITHOUT_POLL))
            return []


async def _run(
    settings: HttpSettings,
    listeners: list[socket.socket],
    teller: Teller,
    parent: int | None,
    told: int | None,
) -> bool:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # clients that go away are no news
    asyncio.get_running_loop().set_exception_handler(teller.failed_outside)
    database = Database(settings.locations.database, teller)
    types = Configured(settings.locations.config, teller)
    feed = Feed(database)
    reference = Reference(types, installed_version(), with_token=settings.token is not None)
    context = Context(settings.locations, database, types, feed, reference)
    places = [_url(each) for each in listeners if each.family != socket.AF_UNIX]

    def ready() -> None:
        teller.say(Event.HTTP_LISTENING, places=", ".join([*places, API_SOCKET]))
        _tell(told, f"{' '.join(places)}\n".encode())

    app = application(settings, context, teller)
    anew = partial(_anew, settings.locations.state_dir, teller)
    server = Server(
        app,
        ready=ready,
        ending=context.close,
        parent=parent,
        anew=anew,
        let_go=database.let_go,
        answer=partial(_tell, told, b"\n"),
    )
    await server.serve(listeners)
    if context.busy:
        return True
    database.close()
    return False


def _tell(told: int | None, what: bytes) -> None:
    if told is not None:
        with suppress(OSError):  # nobody waits any more
            os.write(told, what)


def _anew(state_dir: Path, teller: Teller) -> socket.socket | None:
    try:
        listener = listen_unix(state_dir)
    except StoreUnavailable:  # the whole folder is gone, or takes no more: whoever asked will ask again
        return None
    teller.say(Event.HTTP_SOCKET_RENEWED, name=API_SOCKET)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
