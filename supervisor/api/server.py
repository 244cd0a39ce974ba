"""uvicorn's server, with an end of its own: a signal, or the end of the process that started it.

That process can also ask it to listen anew at `api.sock`, where somebody has removed that, to let go of its
connections to the database, and whether it is alive.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from supervisor.api.protocol import LONGEST_HEAD, BoundedProtocol
from supervisor.api.sockets import BACKLOG
from supervisor.asking import ANEW, ANSWER, LET_GO

KEEP_ALIVE_SECONDS = 5
GRACE_SECONDS = 1
_WATCH_SECONDS = 1.0


class Server(uvicorn.Server):
    """Serves until SIGTERM or SIGINT; `ready` is called once it does, `ending` as soon as it stops.

    `anew` makes another socket in the place of one that is gone, or None where that cannot be done; `let_go`
    closes the connections to the database that nobody uses; `answer` says that this loop turns.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        ready: Callable[[], None],
        ending: Callable[[], None],
        parent: int | None,
        anew: Callable[[], socket.socket | None],
        let_go: Callable[[], None],
        answer: Callable[[], None],
    ) -> None:
        super().__init__(_config(app, self._stir))
        self._ready = ready
        self._ending = ending
        self._parent = parent
        self._anew = anew
        self._let_go = let_go
        self._answer = answer
        self._renewing: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        loop = asyncio.get_running_loop()
        if self._parent is not None:
            os.set_blocking(self._parent, False)
            loop.add_reader(self._parent, self._heard_of_parent, self._parent)
        self._ready()

    async def main_loop(self) -> None:
        """Uvicorn's own wakes ten times a second. Here nothing does while nobody is connected."""
        while not await self.on_tick(0):  # which sets the date of the next answers
            self._watch(time.monotonic())
            self._stirred.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_SECONDS if self.server_state.connections else None):
                    await self._stirred.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Not uvicorn's, which dies of the signal once more when all is done: ours is an orderly end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True
        self._stir()

    def _stir(self) -> None:
        """The server stops, or somebody has come while nobody was there."""
        self._stirred.set()

    def _heard_of_parent(self, descriptor: int) -> None:
        """Bytes that ask for something; the end of the pipe is the supervisor's."""
        with contextlib.suppress(BlockingIOError):
            asked = os.read(descriptor, 4096)
            if not asked:
                os._exit(0)
            if ANEW in asked and (self._renewing is None or self._renewing.done()):
                self._renewing = asyncio.create_task(self._renew())
            if LET_GO in asked:
                self._let_go()
            if ANSWER in asked:
                self._answer()

    async def _renew(self) -> None:
        listener = None if self.should_exit else self._anew()
        if listener is None:
            return
        before = self.servers
        await super().startup(sockets=[listener])  # which takes it for the only one
        for each in before:
            if any(sock.family == socket.AF_UNIX for sock in each.sockets):
                each.close()
            else:
                self.servers.append(each)

    def _watch(self, now: float) -> None:
        for connection in list(cast("set[BoundedProtocol]", self.server_state.connections)):
            try:
                connection.watch(now)
            except Exception:  # noqa: BLE001  (whatever state it is in, the others are watched on)
                connection.cut()


def _config(app: ASGIApp, came: Callable[[], None]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, came)),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # errors are said by the gate, in one line; uvicorn's take thirty
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
